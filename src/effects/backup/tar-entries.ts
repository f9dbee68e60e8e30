/** A tar that is read entry by entry and compared with what was noted of each: size, hash, none missing, none more. */
import { createHash } from 'node:crypto';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Extract } from 'tar-stream';
import type { AppError } from '../../errors.ts';
import { type ReadOptions, readEncrypted } from './pipeline.ts';
import { hashing } from './storage-objects.ts';

type Noted = { bytes: number; sha256: string };
type Take<N> = (noted: N, body: Readable) => Promise<void>;
type Differs = (what: string) => AppError;

/** Calls `take` with each entry as it comes; nothing of it counts until this resolves. Throws what `differs` makes of the first difference. */
export async function eachEntry<N extends Noted>(
  tar: Extract,
  noted: ReadonlyMap<string, N>,
  differs: Differs,
  take: Take<N>,
): Promise<void> {
  const left = new Map(noted);
  for await (const entry of tar) {
    const { name, size } = entry.header;
    const found = left.get(name);
    if (!found || size !== found.bytes) throw differs('an entry is not as noted');
    left.delete(name);
    const hash = createHash('sha256');
    const body = new PassThrough();
    const hashed = pipeline(entry, hashing(hash), body);
    await Promise.all([take(found, body), hashed]);
    if (hash.digest('hex') !== found.sha256) throw differs('the bytes of an entry are not those that were noted');
  }
  if (left.size > 0) throw differs(`${left.size} entries are missing in it`);
}

/** The same of an encrypted part of a backup, which must be whole too. */
export async function readNoted<N extends Noted>(
  options: ReadOptions,
  noted: ReadonlyMap<string, N>,
  differs: Differs,
  take: Take<N>,
): Promise<void> {
  const { extract } = await import('tar-stream');
  const { clear, verdict } = await readEncrypted(options);
  const tar = extract();
  const fed = pipeline(clear, tar);
  fed.catch(() => undefined); // comes out of the entries too
  try {
    await eachEntry(tar, noted, differs, take);
    await fed;
  } catch (error) {
    clear.destroy();
    tar.destroy();
    await verdict; // a damaged file is the better reason
    throw error;
  }
  await verdict;
}
