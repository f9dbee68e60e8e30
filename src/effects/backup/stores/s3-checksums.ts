/** SHA-256 of what goes to an S3-compatible store: as the store itself puts them together, and what becomes of bytes that arrive as others. */
import { createHash } from 'node:crypto';
import { Transform } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { AppError } from '../../../errors.ts';

/** What S3 answers as the checksum of an object: that of its only part, or that of the checksums of all, and their number. */
export function createPartHashes(partSize: number): { stream: Transform; sent(): { bytes: number; sha256: string } } {
  let bytes = 0;
  let left = partSize;
  let part = createHash('sha256');
  const parts: Buffer[] = [];
  const stream = new Transform({
    highWaterMark: 256 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      for (let from = 0; from < chunk.length; ) {
        if (left === 0) {
          parts.push(part.digest());
          part = createHash('sha256');
          left = partSize;
        }
        const piece = chunk.subarray(from, from + left);
        part.update(piece);
        from += piece.length;
        left -= piece.length;
      }
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  return {
    stream,
    sent() {
      const last = part.digest();
      if (parts.length === 0) return { bytes, sha256: last.toString('base64') };
      const all = createHash('sha256').update(Buffer.concat([...parts, last]));
      return { bytes, sha256: `${all.digest('base64')}-${parts.length + 1}` };
    },
  };
}

/** What a store answers to bytes that are not those of the checksum; they were ours, so they are sent again. */
const damagedNames = ['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch'];

export const isDamaged = (error: unknown): error is Error => error instanceof Error && damagedNames.includes(error.name);

/** The SDK asks again after what it knows as passing, and does not know these. */
export function retryDamaged(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      try {
        return await next(args);
      } catch (error) {
        if (isDamaged(error)) Object.assign(error, { $retryable: { throttling: false } });
        throw error;
      }
    },
    { step: 'finalizeRequest', priority: 'low', name: 'capstanRetryDamaged' },
  );
}

export function storeDamages(place: string, cause?: unknown): AppError {
  return new AppError('STORE_DAMAGES', {
    message: `The store ${place} received other bytes than were sent to it, and nothing of them was kept.`,
    fix: 'They are sent again; if it stays so, look at what lies between here and the store, and at its disks.',
    retry: 'later',
    applied: 'unknown',
    ...(cause === undefined ? {} : { cause }),
  });
}
