/**
 * The one error of the house. Invariants:
 * 1. `code` says what happened, `retry` what the engine does next (style guide, engine.md E8).
 * 2. `applied` says what is known about the outside: `no` = it surely did not happen, `unknown` = it may have (engine.md E2).
 * 3. `toRecord` is the only form that is stored, sent to a machine or shown at a door.
 */

/** later = the worker backs off unseen by the machine; never = the machine's onError; ask = the run waits for a person. */
export type Retry = 'later' | 'never' | 'ask';

export type ErrorRecord = {
  code: string;
  message: string;
  /** The next step, as a full sentence. */
  fix?: string;
  retry: Retry;
  /** Plain JSON without secrets. */
  details?: Record<string, unknown>;
};

export type AppErrorOptions = {
  /** What failed, on what: one full sentence. */
  message: string;
  /** What to do next: one full sentence. */
  fix?: string;
  /** Default `never`. */
  retry?: Retry;
  /** Default `no`. Say `unknown` when a request may have reached the other side. */
  applied?: 'no' | 'unknown';
  details?: Record<string, unknown>;
  cause?: unknown;
};

/** An expected failure with a code, a sentence and the next step. */
export class AppError extends Error {
  readonly code: string;
  readonly fix: string | undefined;
  readonly retry: Retry;
  readonly applied: 'no' | 'unknown';
  readonly details: Record<string, unknown> | undefined;

  constructor(code: string, options: AppErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.fix = options.fix;
    this.retry = options.retry ?? 'never';
    this.applied = options.applied ?? 'no';
    this.details = options.details;
  }
}

/** Turns anything thrown into the stored form; what is not an AppError becomes INTERNAL and keeps only its message. */
export function toRecord(error: unknown): ErrorRecord {
  if (error instanceof AppError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.fix === undefined ? {} : { fix: error.fix }),
      retry: error.retry,
      ...(error.details === undefined ? {} : { details: error.details }),
    };
  }
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error), retry: 'never' };
}
