/**
 * An S3-compatible store. Invariants:
 * 1. An object appears only when its last part is in and the upload is completed; an interrupted upload leaves parts that nobody sees,
 *    and `sweep` aborts them. It is not resumed: pg_dump never writes the same bytes twice, so the part of the backup begins anew.
 * 2. Every part goes with its SHA-256, which the store compares; what it answers for the whole is compared with ours. A store that says
 *    nothing of it must at least hold as many bytes as were sent. The manifest's hash, read back by `verify`, stays the last judge.
 * 3. Of an upload three parts of 5 MiB are held: a part may have to be sent again, a stream cannot be read again, and S3 takes none that is
 *    smaller. Larger ones come only with what would need more than 10,000 of them, from 32 GiB on.
 */

import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { AppError } from '../../../errors.ts';
import { isDamaged, retryDamaged, storeDamages } from './s3-damage.ts';
import { uploadStream } from './s3-upload.ts';
import { type BackupStore, checkedPath, missingFile, type Stored } from './store.ts';

export type S3Place = {
  endpoint?: string;
  region: string;
  bucket: string;
  /** Without slashes at its ends; empty for none. */
  prefix: string;
  /** Path style is what most stores other than Amazon's want. */
  pathStyle: boolean;
  accessKeyId: string;
  secretAccessKey: string;
  /** How long one request may be silent; default 60 s. */
  timeoutMs?: number;
  /** False for a store that refuses the checksums of parts; default true. */
  checksums?: boolean;
};

const mib = 1024 * 1024;
const mostParts = 10_000;
/** How long a store may take to show that it is there. */
const reachMs = 15_000;

/** Parts of 5 MiB, the least that S3 takes, larger only where the expected size would need more than the 10,000 that S3 allows. Pure. */
export function partSizeFor(expect: number | undefined): number {
  const needed = Math.ceil(((expect ?? 0) * 1.5) / mostParts);
  return Math.max(5 * mib, Math.ceil(needed / mib) * mib);
}

export async function createS3Store(s3: S3Place): Promise<BackupStore> {
  const sdk = await import('@aws-sdk/client-s3');
  const client: S3Client = new sdk.S3Client({
    region: s3.region,
    ...(s3.endpoint === undefined ? {} : { endpoint: s3.endpoint }),
    forcePathStyle: s3.pathStyle,
    credentials: { accessKeyId: s3.accessKeyId, secretAccessKey: s3.secretAccessKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 4,
    requestHandler: { connectionTimeout: 10_000, requestTimeout: s3.timeoutMs ?? 60_000, throwOnRequestTimeout: true },
  });
  retryDamaged(client);
  const Bucket = s3.bucket;
  const keyOf = (path: string) => (s3.prefix === '' ? checkedPath(path) : `${s3.prefix}/${checkedPath(path)}`);
  const pathOf = (key: string) => (s3.prefix === '' ? key : key.slice(s3.prefix.length + 1));
  const place = `s3://${s3.bucket}${s3.prefix === '' ? '' : `/${s3.prefix}`}`;
  const said = async <T>(call: Promise<T>): Promise<T> => {
    try {
      return await call;
    } catch (error) {
      throw toAppError(error, place);
    }
  };
  const stat = async (path: string): Promise<Stored | undefined> => {
    try {
      const head = await client.send(new sdk.HeadObjectCommand({ Bucket, Key: keyOf(path) }));
      return { path, bytes: head.ContentLength ?? 0 };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw toAppError(error, place);
    }
  };
  const remove = async (path: string): Promise<void> => {
    await said(client.send(new sdk.DeleteObjectCommand({ Bucket, Key: keyOf(path) })));
  };
  const abortUploads = async (prefix: string): Promise<number> => {
    let aborted = 0;
    let marker: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
    for (;;) {
      const page = await said(client.send(new sdk.ListMultipartUploadsCommand({ Bucket, Prefix: prefix, ...marker })));
      for (const { Key, UploadId } of page.Uploads ?? []) {
        if (Key === undefined || UploadId === undefined) continue;
        await said(client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId })));
        aborted += 1;
      }
      if (!page.IsTruncated) return aborted;
      marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
    }
  };
  return {
    place,
    async reach(signal) {
      const patience = AbortSignal.any([signal, AbortSignal.timeout(reachMs)]);
      await said(client.send(new sdk.ListObjectsV2Command({ Bucket, Prefix: s3.prefix, MaxKeys: 1 }), { abortSignal: patience }));
    },
    async put(path, body, { signal, expect }) {
      const told = (error: unknown) => toAppError(error, place);
      const upload = { sdk, client, Bucket, Key: keyOf(path), partSize: partSizeFor(expect), checksums: s3.checksums !== false, told };
      try {
        const { bytes, compared } = await uploadStream(upload, body, signal);
        if (!compared && (await stat(path))?.bytes !== bytes) throw storeDamages(place);
      } catch (error) {
        // What is left in spite of that, the next attempt sweeps and writes over.
        await abortUploads(keyOf(path)).catch(() => undefined);
        if (error instanceof AppError && error.code === 'STORE_DAMAGES') await remove(path).catch(() => undefined);
        throw error;
      }
    },
    async open(path, signal) {
      try {
        const { Body } = await client.send(new sdk.GetObjectCommand({ Bucket, Key: keyOf(path) }), {
          ...(signal ? { abortSignal: signal } : {}),
        });
        if (Body instanceof Readable) return Body;
        throw new TypeError('the object came without a stream');
      } catch (error) {
        if (statusOf(error) === 404) throw missingFile(place, path, error);
        throw toAppError(error, place);
      }
    },
    stat,
    async list(folder) {
      const found: Stored[] = [];
      for (let token: string | undefined; ; ) {
        const page = await said(
          client.send(
            new sdk.ListObjectsV2Command({
              Bucket,
              Prefix: `${keyOf(folder)}/`,
              ...(token === undefined ? {} : { ContinuationToken: token }),
            }),
          ),
        );
        for (const { Key, Size } of page.Contents ?? []) if (Key !== undefined) found.push({ path: pathOf(Key), bytes: Size ?? 0 });
        if (!page.IsTruncated) return found;
        token = page.NextContinuationToken;
      }
    },
    remove,
    sweep: (folder) => abortUploads(`${keyOf(folder)}/`),
    removeFolder: async () => undefined,
    free: async () => undefined,
  };
}

function statusOf(error: unknown): number | undefined {
  const meta = typeof error === 'object' && error !== null && '$metadata' in error ? error.$metadata : undefined;
  const status = typeof meta === 'object' && meta !== null && 'httpStatusCode' in meta ? meta.httpStatusCode : undefined;
  return typeof status === 'number' ? status : undefined;
}

function toAppError(error: unknown, place: string): unknown {
  if (error instanceof AppError) return error;
  const name = error instanceof Error ? error.name : 'Error';
  const status = statusOf(error);
  const details = { name, ...(status === undefined ? {} : { status }) };
  if (status === 403 || status === 401)
    return new AppError('STORE_REFUSED', {
      message: `The store ${place} refuses the access key (${name}).`,
      fix: 'Give the store the right access key and secret: capstan backups stores add.',
      details,
      cause: error,
    });
  if (name === 'NoSuchBucket')
    return new AppError('STORE_MISSING', {
      message: `The bucket of ${place} does not exist.`,
      fix: 'Create the bucket, or correct its name.',
      details,
      cause: error,
    });
  if (isDamaged(error)) return storeDamages(place, error);
  if (status === 501)
    return new AppError('STORE_LACKS', {
      message: `The store ${place} does not know what it was asked for (${name}).`,
      fix: 'If it knows no checksums of parts, register it again with --without-checksums: capstan backups store-add.',
      details,
      cause: error,
    });
  return new AppError('STORE_UNREACHABLE', {
    message: `The store ${place} did not do what was asked (${name}${status === undefined ? '' : `, ${status}`}).`,
    fix: 'It is tried again; if it stays so, look at the store.',
    retry: 'later',
    applied: 'unknown',
    details,
    cause: error,
  });
}
