/**
 * At most 10 requests a second to one Dokploy, 20 at once, from this process (issue: 10 requests/s, burst 20).
 * The arithmetic is pure; a caller takes its turn in order, since a turn is reserved before it waits for it.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';

export type Bucket = { tokens: number; at: number };
export type Rate = { perSecond: number; burst: number };

export type Limiter = {
  /** Resolves when the next request may go out; rejects with the signal's reason, giving the turn back. */
  take(signal?: AbortSignal): Promise<void>;
};

export type LimiterOptions = Partial<Rate> & {
  /** Milliseconds; a clock that jumps back refills nothing. */
  now?: () => number;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
};

/** Takes one token at a time; a negative balance is a reserved turn, and `waitMs` says when it comes. */
export function takeToken(bucket: Bucket, rate: Rate, now: number): { bucket: Bucket; waitMs: number } {
  const elapsedMs = Math.max(0, now - bucket.at);
  const tokens = Math.min(rate.burst, bucket.tokens + (elapsedMs * rate.perSecond) / 1000) - 1;
  const waitMs = tokens >= 0 ? 0 : Math.ceil((-tokens * 1000) / rate.perSecond);
  return { bucket: { tokens, at: Math.max(bucket.at, now) }, waitMs };
}

/** A token bucket, full at the start. Defaults: 10 per second, burst 20, the process clock, abortable timers. */
export function createLimiter(options: LimiterOptions = {}): Limiter {
  const rate = { perSecond: options.perSecond ?? 10, burst: options.burst ?? 20 };
  const now = options.now ?? (() => performance.now());
  const sleep = options.sleep ?? ((ms: number, signal?: AbortSignal) => sleepFor(ms, undefined, signal ? { signal } : {}));
  let bucket: Bucket = { tokens: rate.burst, at: now() };
  return {
    async take(signal) {
      signal?.throwIfAborted();
      const turn = takeToken(bucket, rate, now());
      bucket = turn.bucket;
      if (turn.waitMs === 0) return;
      try {
        await sleep(turn.waitMs, signal);
      } catch (error) {
        bucket = { ...bucket, tokens: Math.min(rate.burst, bucket.tokens + 1) };
        throw signal?.aborted ? signal.reason : error;
      }
    },
  };
}

/** One limiter per Dokploy name, shared by everything in this process that speaks to it. */
export function createLimiters(options: LimiterOptions = {}): (name: string) => Limiter {
  const limiters = new Map<string, Limiter>();
  return (name) => {
    const limiter = limiters.get(name) ?? createLimiter(options);
    limiters.set(name, limiter);
    return limiter;
  };
}
