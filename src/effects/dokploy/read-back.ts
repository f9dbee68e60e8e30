/** Write, then read back: Dokploy drops unknown fields with a 200, so only what is read again counts (facts: unknown fields). */
import { AppError } from '../../errors.ts';

/** Runs what follows a write that already happened: whatever fails in it, the write may stand. */
export async function afterWrite<T>(follow: () => Promise<T>): Promise<T> {
  try {
    return await follow();
  } catch (error) {
    if (!(error instanceof AppError) || error.applied === 'unknown') throw error;
    throw new AppError(error.code, {
      message: error.message,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
      retry: error.retry,
      applied: 'unknown',
      ...(error.details === undefined ? {} : { details: error.details }),
    });
  }
}

/** Throws DOKPLOY_WRITE_NOT_KEPT naming the first field of `written` that `kept` does not hold; values are never named. */
export function requireKept(procedure: string, written: Record<string, unknown>, kept: Record<string, unknown>): void {
  for (const [field, value] of Object.entries(written)) {
    if (value === undefined || kept[field] === value) continue;
    throw new AppError('DOKPLOY_WRITE_NOT_KEPT', {
      message: `Dokploy accepted ${procedure}, but "${field}" reads back differently.`,
      fix: 'Somebody may have edited it at the same moment, or this Dokploy does not know the field; compare in Dokploy and try again.',
      retry: 'ask',
      applied: 'unknown',
      details: { procedure, field },
    });
  }
}
