/** How often one principal may call one tool (design §5); in memory, since a limit protects this process. */
import { AppError } from '../errors.ts';
import { type Bucket, type Rate, takeToken } from '../token-bucket.ts';
import type { ToolDefinition } from './tool.ts';

export type RateGuard = { take(principal: string, tool: Pick<ToolDefinition, 'name' | 'annotations' | 'looksUnless'>): void };

/** What an agent in a hurry needs and a loop that went wild does not get. */
export const defaultRates = { look: { perSecond: 50, burst: 500 }, change: { perSecond: 5, burst: 100 } } satisfies Record<string, Rate>;

/** Far more than there are principals and tools; the oldest makes room. */
const maxBuckets = 10_000;

/** `perMinute` takes the place of both defaults. `take` throws RATE_LIMITED. */
export function createRateGuard({ perMinute, now = Date.now }: { perMinute?: number; now?: () => number } = {}): RateGuard {
  const buckets = new Map<string, Bucket>();
  return {
    take(principal, { name, annotations, looksUnless }) {
      const usual = annotations.readOnlyHint || looksUnless !== undefined ? defaultRates.look : defaultRates.change;
      const rate = perMinute === undefined ? usual : { perSecond: perMinute / 60, burst: perMinute };
      const key = `${principal} ${name}`;
      const { bucket, waitMs } = takeToken(buckets.get(key) ?? { tokens: rate.burst, at: now() }, rate, now());
      if (waitMs > 0)
        throw new AppError('RATE_LIMITED', {
          message: `${name} is called more often than ${rate.perSecond * 60} times a minute.`,
          fix: `Wait ${Math.ceil(waitMs / 1000)} s; use waitMs to wait for a run instead of asking again and again.`,
          details: { waitMs },
        });
      buckets.delete(key);
      buckets.set(key, bucket);
      for (const oldest of buckets.keys()) {
        if (buckets.size <= maxBuckets) break;
        buckets.delete(oldest);
      }
    },
  };
}
