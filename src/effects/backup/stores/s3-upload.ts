/**
 * One object out of a stream of unknown length. Invariants:
 * 1. What is held are three parts: two on their way, one that fills up. Their memory is used again and again.
 * 2. A failing source never ends as a shorter object: the upload is completed only after the source has ended by itself.
 * 3. Each part goes with its SHA-256, and what the store says of part and whole is compared with it.
 */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { CompletedPart, S3Client } from '@aws-sdk/client-s3';

type Sdk = typeof import('@aws-sdk/client-s3');
export type UploadPlace = {
  sdk: Sdk;
  client: S3Client;
  Bucket: string;
  Key: string;
  partSize: number;
  checksums: boolean;
  /** What a failure of the store becomes; those of source and signal stay what they are. */
  told: (error: unknown) => unknown;
};
export type Sent = { bytes: number /** False for one that says nothing of checksums. */; compared: boolean };

/** When a store tells another checksum than that of what was sent. */
export class DamagedThere extends Error {
  override name = 'DamagedThere';
}

const mostFlying = 2;
const bytesOf = (chunk: Buffer | string): Buffer => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
const sumOf = (...pieces: readonly Buffer[]): Buffer => pieces.reduce((hash, piece) => hash.update(piece), createHash('sha256')).digest();

/** Rejects with the first failure of source, store or signal; parts that were sent stay until they are swept. */
export async function uploadStream(place: UploadPlace, body: Readable, signal?: AbortSignal): Promise<Sent> {
  const stop = new AbortController();
  let failure: { error: unknown } | undefined;
  const fails = (error: unknown) => {
    failure ??= { error };
    stop.abort();
    body.destroy();
  };
  const storeFails = (error: unknown) => fails(place.told(error));
  const stopped = () => fails(signal?.reason);
  if (signal?.aborted) stopped();
  signal?.addEventListener('abort', stopped, { once: true });
  const upload = createUpload(place, stop.signal, storeFails);
  try {
    for await (const chunk of body) {
      // A source gives bytes or texts.
      if (!failure) await upload.take(bytesOf(chunk as Buffer | string)).catch(storeFails);
    }
    const sent = failure ? undefined : await upload.end().catch(storeFails);
    if (sent) return sent;
  } catch (error) {
    fails(error);
  } finally {
    signal?.removeEventListener('abort', stopped);
  }
  await upload.settled();
  throw (failure as { error: unknown } | undefined)?.error;
}

function createUpload(
  { sdk, client, Bucket, Key, partSize, checksums }: UploadPlace,
  abortSignal: AbortSignal,
  storeFails: (error: unknown) => void,
) {
  const spare: Buffer[] = [];
  const flying = new Set<Promise<void>>();
  const parts: CompletedPart[] = [];
  const sums: Buffer[] = [];
  let uploadId: Promise<string | undefined> | undefined;
  let part: Buffer = Buffer.allocUnsafe(partSize);
  let filled = 0;
  let bytes = 0;

  const begin = async () => {
    const algorithm = checksums ? { ChecksumAlgorithm: 'SHA256' as const } : {};
    return (await client.send(new sdk.CreateMultipartUploadCommand({ Bucket, Key, ...algorithm }), { abortSignal })).UploadId;
  };
  const compare = (theirs: string | undefined, ours: string): boolean => {
    if (checksums && theirs !== undefined && theirs !== ours) throw new DamagedThere('another checksum came back');
    return checksums && theirs !== undefined;
  };
  const sendPart = async (memory: Buffer, length: number, PartNumber: number) => {
    uploadId ??= begin();
    const Body = memory.subarray(0, length);
    const sum = sumOf(Body);
    sums[PartNumber - 1] = sum;
    const ours = checksums ? { ChecksumSHA256: sum.toString('base64') } : {};
    const command = new sdk.UploadPartCommand({ Bucket, Key, UploadId: await uploadId, PartNumber, Body, ...ours });
    const { ETag, ChecksumSHA256 } = await client.send(command, { abortSignal });
    const known = compare(ChecksumSHA256, sum.toString('base64'));
    parts.push({ PartNumber, ETag, ...(known ? { ChecksumSHA256 } : {}) });
    spare.push(memory);
  };
  const sendFilled = async () => {
    while (flying.size >= mostFlying) await Promise.race(flying);
    abortSignal.throwIfAborted();
    const sent: Promise<void> = sendPart(part, filled, sums.length + 1)
      .catch(storeFails)
      .finally(() => flying.delete(sent));
    flying.add(sent);
    part = spare.pop() ?? Buffer.allocUnsafe(partSize);
    filled = 0;
  };
  return {
    async take(chunk: Buffer): Promise<void> {
      bytes += chunk.length;
      for (let from = 0; from < chunk.length; ) {
        if (filled === partSize) await sendFilled();
        const took = chunk.copy(part, filled, from);
        filled += took;
        from += took;
      }
    },
    async end(): Promise<Sent> {
      if (uploadId === undefined) {
        const Body = part.subarray(0, filled);
        const ours = sumOf(Body).toString('base64');
        const sum = checksums ? { ChecksumSHA256: ours } : {};
        const { ChecksumSHA256 } = await client.send(new sdk.PutObjectCommand({ Bucket, Key, Body, ...sum }), { abortSignal });
        return { bytes, compared: compare(ChecksumSHA256, ours) };
      }
      await sendFilled();
      await Promise.all(flying);
      abortSignal.throwIfAborted();
      const Parts = parts.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0));
      const whole = { Bucket, Key, UploadId: await uploadId, MultipartUpload: { Parts } };
      const { ChecksumSHA256 } = await client.send(new sdk.CompleteMultipartUploadCommand(whole), { abortSignal });
      return { bytes, compared: compare(ChecksumSHA256, `${sumOf(...sums).toString('base64')}-${sums.length}`) };
    },
    settled: () => Promise.allSettled(flying),
  };
}
