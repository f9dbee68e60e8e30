/**
 * The bytes of the storage service: one tar of `bucket/name`, and beside it what is noted of each object. Invariants:
 * 1. One object at a time goes by; none is held whole.
 * 2. What the database lists and the service does not give is named, with the reason; it is no success.
 * 3. An object that gives another number of bytes than it announces fails the part.
 */
import { createHash } from 'node:crypto';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { EffectContext, Reach, TargetRecord } from '../handler.ts';
import { createTransfer, type TransferAnswer } from '../http/transfer.ts';
import { keptReachOf } from '../postgres/sql-target.ts';

export type StorageAccess = { baseUrl: string; serviceKey: string; reach: Reach };
type Listed = { bucket: string; name: string; updatedAt: Date };

const storedObject = z.object({
  bucket: z.string(),
  name: z.string(),
  bytes: z.number().int(),
  sha256: z.string(),
  contentType: z.string().nullable(),
  cacheControl: z.string().nullable(),
});
export type StoredObject = z.infer<typeof storedObject>;
const lostObject = z.object({ bucket: z.string(), name: z.string(), why: z.string() });
export const storageContents = z.object({
  format: z.literal('capstan-storage/1'),
  objects: z.array(storedObject),
  lost: z.array(lostObject),
});
export type StorageContents = z.infer<typeof storageContents>;

/** How the objects of a target are reached; undefined without address or service key. */
export async function storageAccess(ctx: EffectContext, record: TargetRecord): Promise<StorageAccess | undefined> {
  const reference = record.secrets['serviceRoleKey'];
  if (reference === undefined || record.url === '') return undefined;
  return { baseUrl: record.url, serviceKey: await ctx.secrets.reveal(reference), reach: await keptReachOf(ctx, record) };
}

/** How many objects the database lists, and their bytes as it knows them; undefined without the storage service's tables. */
export async function countObjects(client: Client): Promise<{ objects: number; bytes: number } | undefined> {
  const there = await client.query<{ there: boolean }>(`select to_regclass('storage.objects') is not null as there`);
  if (!there.rows[0]?.there) return undefined;
  const { rows } = await client.query<{ objects: string; bytes: string }>(
    `select count(*)::text as objects, coalesce(sum((metadata ->> 'size')::bigint), 0)::text as bytes from storage.objects`,
  );
  return { objects: Number(rows[0]?.objects), bytes: Number(rows[0]?.bytes) };
}

/** Every row, in pages. */
async function* listObjects(client: Client): AsyncGenerator<Listed> {
  let last: [string, string] = ['', ''];
  for (;;) {
    const { rows } = await client.query<Listed>(
      `select bucket_id as bucket, name, coalesce(updated_at, 'epoch') as "updatedAt" from storage.objects
       where (bucket_id, name) > ($1, $2) order by bucket_id, name limit 1000`,
      last,
    );
    yield* rows;
    const end = rows.at(-1);
    if (!end) return;
    last = [end.bucket, end.name];
  }
}

export type PackedObjects = { tar: Readable /** Settles when the tar is whole. */; ended: Promise<void>; contents(): StorageContents };

/** Streams every object into a tar. Failures come out of the tar. */
export async function packObjects(client: Client, access: StorageAccess, signal: AbortSignal): Promise<PackedObjects> {
  const { pack } = await import('tar-stream');
  const tar = pack({ highWaterMark: 64 * 1024 });
  const transfer = createTransfer(access.baseUrl, access.reach, { signal });
  const contents: StorageContents = { format: 'capstan-storage/1', objects: [], lost: [] };
  const work = async () => {
    for await (const { bucket, name, updatedAt } of listObjects(client)) {
      signal.throwIfAborted();
      const answer = await transfer.get(objectPath(bucket, name), keysOf(access));
      const bytes = Number(answer.headers['content-length']);
      if (answer.status !== 200 || !Number.isSafeInteger(bytes)) {
        contents.lost.push({ bucket, name, why: await refusal(answer) });
        continue;
      }
      const hash = createHash('sha256');
      const entry = tar.entry({ name: `${bucket}/${name}`, size: bytes, mtime: updatedAt });
      await pipeline(answer.body, hashing(hash), entry, { signal });
      contents.objects.push({
        bucket,
        name,
        bytes,
        sha256: hash.digest('hex'),
        contentType: answer.headers['content-type'] ?? null,
        cacheControl: answer.headers['cache-control'] ?? null,
      });
    }
    tar.finalize();
  };
  const ended = work()
    .catch((error: Error) => {
      tar.destroy(error);
      throw error;
    })
    .finally(() => transfer.close());
  ended.catch(() => undefined); // awaited by the writer
  return { tar: Readable.from(tar, { objectMode: false }), ended, contents: () => contents };
}

export const objectPath = (bucket: string, name: string): string =>
  `/storage/v1/object/authenticated/${[bucket, ...name.split('/')].map(encodeURIComponent).join('/')}`;

export const keysOf = ({ serviceKey }: StorageAccess): Record<string, string> => ({
  apikey: serviceKey,
  authorization: `Bearer ${serviceKey}`,
});

/** Why an object did not come. Throws where the fault is not the object's: keys refused, or a service that is not well. */
export async function refusal({ status, body }: TransferAnswer): Promise<string> {
  if (status === 200) {
    body.resume();
    return 'the service did not say how large it is';
  }
  let text = '';
  for await (const chunk of body) if (text.length < 2_000) text += String(chunk);
  // storage-api answers 400 and says the real status inside.
  const said = z.object({ statusCode: z.coerce.number() }).safeParse(parsed(text));
  const real = said.success ? said.data.statusCode : status;
  if (real === 404) return 'the storage service does not have it';
  if (real === 401 || real === 403)
    throw new AppError('STORAGE_REFUSED', {
      message: `The storage service refuses the target's service key (${real}).`,
      fix: 'Store the right service key with the target, or leave storage out of `parts`.',
    });
  throw new AppError('STORAGE_UNREACHABLE', {
    message: `The storage service did not give an object (${real}).`,
    fix: 'It is tried again; if it stays so, look at the log of the service storage.',
    retry: 'later',
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function hashing(hash: ReturnType<typeof createHash>): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
  });
}

/** Asks the service whether it answers this key; undefined when it does, else why not. */
export async function storageSilence(access: StorageAccess, signal: AbortSignal): Promise<string | undefined> {
  const transfer = createTransfer(access.baseUrl, access.reach, { signal, idleMs: 15_000 });
  try {
    const { status, body } = await transfer.get('/storage/v1/bucket', keysOf(access));
    body.resume();
    return status === 200 ? undefined : `The storage service at ${new URL(access.baseUrl).host} answers ${status}.`;
  } catch (error) {
    if (signal.aborted || !(error instanceof AppError)) throw error;
    return `The storage service cannot be asked: ${error.message}`;
  } finally {
    transfer.close();
  }
}
