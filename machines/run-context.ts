/** What the contexts of all workflows have in common. Pure. */

/** The stored form of an error (src/errors.ts toRecord), as an outcome event carries it. */
export type RunError = {
  code: string;
  message: string;
  fix?: string;
  retry: 'later' | 'never' | 'ask';
  details?: Record<string, unknown>;
};

/** A value that the order of states guarantees; its absence is a fault of the machine (C5). */
export function need<T>(value: T | null, what: string): T {
  if (value === null) throw new TypeError(`The run has no ${what} in this state.`);
  return value;
}

/** An outcome's error as it is kept; anything that is no ErrorRecord keeps only its text. */
export function toRunError(error: unknown): RunError {
  if (typeof error === 'object' && error !== null && 'code' in error && 'message' in error) {
    const record: { code: unknown; message: unknown; fix?: unknown; retry?: unknown; details?: unknown } = error;
    return {
      code: String(record.code),
      message: String(record.message),
      ...(typeof record.fix === 'string' ? { fix: record.fix } : {}),
      retry: record.retry === 'later' || record.retry === 'ask' ? record.retry : 'never',
      ...(isRecord(record.details) ? { details: record.details } : {}),
    };
  }
  return { code: 'INTERNAL', message: typeof error === 'string' ? error : 'The effect failed without an error record.', retry: 'never' };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
