/**
 * At most 10 requests a second to one Dokploy, 20 at once (issue: 10 requests/s, burst 20). Where a shared turnstile is given, all
 * processes of one home keep to it together (engine.md E11); else this process alone.
 */
import { setTimeout as sleepFor } from 'node:timers/promises';
import { type Bucket, type Rate, takeToken } from '../../token-bucket.ts';

export { takeToken };

export type Limiter = {
  /** Resolves when the next request may go out; rejects with the signal's reason, giving the turn back. */
  take(signal?: AbortSignal): Promise<void>;
};

/** Takes a turn of a named limit and says how long to wait for it; a turn that was not used goes back. */
export type Turnstile = {
  take(name: string, rate: Rate): Promise<number>;
  giveBack(name: string, rate: Rate): Promise<void>;
};

export type LimiterOptions = Partial<Rate> & {
  /** Milliseconds; a clock that jumps back refills nothing. */
  now?: () => number;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
  turnstile?: Turnstile;
};

/** Turns of this process alone, full at the start. */
export function createTurnstile(now: () => number = () => performance.now()): Turnstile {
  const buckets = new Map<string, Bucket>();
  return {
    async take(name, rate) {
      const turn = takeToken(buckets.get(name) ?? { tokens: rate.burst, at: now() }, rate, now());
      buckets.set(name, turn.bucket);
      return turn.waitMs;
    },
    async giveBack(name, rate) {
      const bucket = buckets.get(name);
      if (bucket) buckets.set(name, { ...bucket, tokens: Math.min(rate.burst, bucket.tokens + 1) });
    },
  };
}

/** A token bucket by name. Defaults: 10 per second, burst 20, this process, abortable timers. */
export function createLimiter(options: LimiterOptions = {}, name = ''): Limiter {
  const rate = { perSecond: options.perSecond ?? 10, burst: options.burst ?? 20 };
  const turnstile = options.turnstile ?? createTurnstile(options.now);
  const sleep = options.sleep ?? ((ms: number, signal?: AbortSignal) => sleepFor(ms, undefined, signal ? { signal } : {}));
  return {
    async take(signal) {
      signal?.throwIfAborted();
      const waitMs = await turnstile.take(name, rate);
      if (waitMs === 0) return;
      try {
        await sleep(waitMs, signal);
      } catch (error) {
        await turnstile.giveBack(name, rate);
        throw signal?.aborted ? signal.reason : error;
      }
    },
  };
}

/** One limiter per Dokploy name, shared by everything in this process that speaks to it. */
export function createLimiters(options: LimiterOptions = {}): (name: string) => Limiter {
  const limiters = new Map<string, Limiter>();
  return (name) => {
    const limiter = limiters.get(name) ?? createLimiter(options, name);
    limiters.set(name, limiter);
    return limiter;
  };
}
