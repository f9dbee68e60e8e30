/** A storage part read back, object by object: to verify it, and to put it into a storage service. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../errors.ts';
import { createTransfer, type Transfer } from '../http/transfer.ts';
import type { ManifestFile } from './manifest.ts';
import { readDocument } from './pipeline.ts';
import {
  hashing,
  keysOf,
  objectPath,
  refusal,
  type StorageAccess,
  type StorageContents,
  type StoredObject,
  storageContents,
} from './storage-objects.ts';
import { readNoted } from './tar-entries.ts';
import type { OpenedBackup, ReadingContext } from './verify.ts';

/** What was noted of the objects beside their bytes. Throws BACKUP_DAMAGED. */
export async function storageContentsOf({ manifest, read }: OpenedBackup, file: ManifestFile): Promise<StorageContents> {
  const beside = manifest.files.find((each) => each.part === file.part && each.role === 'contents');
  if (!beside) throw differs('nothing is noted of its objects');
  return storageContents.parse(await readDocument(read(beside)));
}

/** Each object against its size and hash, none missing, none more. Throws BACKUP_DAMAGED. */
export async function verifyObjects(opened: OpenedBackup, file: ManifestFile, onBytes: (bytes: number) => void): Promise<number> {
  return eachObject(opened, file, onBytes, async (_object, body) => {
    body.resume();
  });
}

/**
 * Puts every object of a backup that the storage service of a target does not give as it was into it, and reads each back. The buckets and rows must be there: they
 * come with the database. Content type and cache time are set again; owner and creation time stay those of the rows.
 * Throws STORAGE_REFUSED, STORAGE_UNREACHABLE, BACKUP_DAMAGED, RESTORE_DIFFERS. Doing it twice does no harm.
 */
export async function restoreObjects(
  ctx: Pick<ReadingContext, 'signal'>,
  opened: OpenedBackup,
  file: ManifestFile,
  access: StorageAccess,
  onBytes: (bytes: number) => void = () => undefined,
): Promise<{ objects: number; written: number; lost: number }> {
  const { lost } = await storageContentsOf(opened, file);
  const transfer = createTransfer(access.baseUrl, access.reach, { signal: ctx.signal });
  let written = 0;
  try {
    const objects = await eachObject(opened, file, onBytes, async (object, body) => {
      if ((await hashNow(ctx, transfer, access, object)) === object.sha256) return void body.resume();
      written += 1;
      const headers = {
        ...keysOf(access),
        'content-length': String(object.bytes),
        'content-type': object.contentType ?? 'application/octet-stream',
        ...(object.cacheControl === null ? {} : { 'cache-control': object.cacheControl }),
        'x-upsert': 'true',
      };
      const path = objectPath(object.bucket, object.name).replace('/authenticated/', '/');
      const answer = await transfer.send('POST', path, headers, body);
      if (answer.status !== 200) throw unwritten(object, await refusal(answer));
      answer.body.resume();
      const now = await hashNow(ctx, transfer, access, object);
      if (now !== object.sha256) throw unwritten(object, now === undefined ? 'it is not there afterwards' : 'it reads back as other bytes');
    });
    return { objects, written, lost: lost.length };
  } finally {
    transfer.close();
  }
}

/** What the service gives of an object now; undefined when it has none. */
async function hashNow(
  ctx: Pick<ReadingContext, 'signal'>,
  transfer: Transfer,
  access: StorageAccess,
  { bucket, name }: StoredObject,
): Promise<string | undefined> {
  const answer = await transfer.get(objectPath(bucket, name), keysOf(access));
  if (answer.status !== 200) {
    await refusal(answer); // throws where the fault is not the object's
    return undefined;
  }
  const hash = createHash('sha256');
  await pipeline(answer.body, hashing(hash).resume(), { signal: ctx.signal });
  return hash.digest('hex');
}

/** Calls `take` with each object as it comes; its bytes are judged as they go by, the whole file at its end. */
async function eachObject(
  opened: OpenedBackup,
  file: ManifestFile,
  onBytes: (bytes: number) => void,
  take: (object: StoredObject, body: Readable) => Promise<void>,
): Promise<number> {
  const contents = await storageContentsOf(opened, file);
  const noted = new Map(contents.objects.map((object) => [`${object.bucket}/${object.name}`, object]));
  await readNoted(opened.read(file, onBytes), noted, differs, take);
  return contents.objects.length;
}

function differs(what: string): AppError {
  return new AppError('BACKUP_DAMAGED', {
    message: `The part with the storage objects does not hold what was noted of it: ${what}.`,
    fix: 'Use another backup; nothing was applied.',
  });
}

function unwritten({ bucket, name }: StoredObject, why: string): AppError {
  return new AppError('RESTORE_DIFFERS', {
    message: `A storage object could not be brought back: ${why}.`,
    fix: 'Look at the storage service and its limits, then retry; what is there already is written again.',
    details: { bucket, object: name },
  });
}
