/** Bytes that arrive at an S3-compatible store as others than were sent: how it says so, and what becomes of them. */
import type { S3Client } from '@aws-sdk/client-s3';
import { AppError } from '../../../errors.ts';
import { DamagedThere } from './s3-upload.ts';

/** What a store answers to bytes that are not those of the checksum; they were ours, so they are sent again. */
const damagedNames = ['BadDigest', 'InvalidDigest', 'XAmzContentSHA256Mismatch', 'XAmzContentChecksumMismatch'];

export const isDamaged = (error: unknown): error is Error =>
  error instanceof DamagedThere || (error instanceof Error && damagedNames.includes(error.name));

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
