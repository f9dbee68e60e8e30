/**
 * How often one principal may call one tool (design §5). Invariants:
 * 1. All processes of one home keep to a limit together (engine.md E11): tokens lie in the store, and a process spends what it leased there.
 * 2. A lease is a small part of the burst and lasts a second, so that most calls write nothing and nobody hoards.
 * 3. A store that cannot be written limits each process by itself: what is wrong with it is told by the call.
 */
import { AppError } from '../errors.ts';
import { type Bucket, leaseTokens, type Rate } from '../token-bucket.ts';
import type { ToolDefinition } from './tool.ts';

export type RateGuard = { take(principal: string, tool: Pick<ToolDefinition, 'name' | 'annotations' | 'looksUnless'>): Promise<void> };

/** Tokens that several processes share. */
export type SharedRates = { lease(name: string, rate: Rate, wanted: number): Promise<{ granted: number; waitMs: number }> };

/** What an agent in a hurry needs and a loop that went wild does not get. */
export const defaultRates = { look: { perSecond: 50, burst: 500 }, change: { perSecond: 5, burst: 100 } } satisfies Record<string, Rate>;

/** Far more than there are principals and tools; the oldest makes room. */
const maxBuckets = 10_000;
const leaseMs = 1_000;
const partOfBurst = 20;

type Lease = { left: number; until: number; waitMs: number };
type Options = { perMinute?: number; now?: () => number; shared?: () => Promise<SharedRates> };

/** `perMinute` takes the place of both defaults. `take` throws RATE_LIMITED. */
export function createRateGuard({ perMinute, now = Date.now, shared }: Options = {}): RateGuard {
  const own = createOwnRates(now);
  const leases = new Map<string, Lease>();
  const renewals = new Map<string, Promise<void>>();
  const renew = async (key: string, rate: Rate): Promise<void> => {
    const wanted = Math.max(1, Math.floor(rate.burst / partOfBurst));
    const rates = (await shared?.().catch(() => undefined)) ?? own; // a home that does not open is told by the call itself
    const { granted, waitMs } = await rates.lease(key, rate, wanted).catch(() => own.lease(key, rate, wanted));
    leases.delete(key);
    leases.set(key, { left: granted, until: now() + (granted > 0 ? leaseMs : waitMs), waitMs });
    dropOldest(leases);
  };
  return {
    async take(principal, { name, annotations, looksUnless }) {
      const usual = annotations.readOnlyHint || looksUnless !== undefined ? defaultRates.look : defaultRates.change;
      const rate = perMinute === undefined ? usual : { perSecond: perMinute / 60, burst: perMinute };
      const key = `mcp ${principal} ${name}`;
      for (;;) {
        const lease = leases.get(key);
        if (lease && lease.until > now()) {
          if (lease.left === 0 && lease.waitMs > 0) throw limited(name, rate, lease.until - now());
          if (lease.left > 0) {
            lease.left -= 1;
            return;
          }
        }
        const renewal = renewals.get(key) ?? renew(key, rate).finally(() => renewals.delete(key));
        renewals.set(key, renewal);
        await renewal;
      }
    },
  };
}

/** Tokens of this process alone. */
function createOwnRates(now: () => number): SharedRates {
  const buckets = new Map<string, Bucket>();
  return {
    async lease(name, rate, wanted) {
      const { bucket, ...lease } = leaseTokens(buckets.get(name) ?? { tokens: rate.burst, at: now() }, rate, now(), wanted);
      buckets.delete(name);
      buckets.set(name, bucket);
      dropOldest(buckets);
      return lease;
    },
  };
}

function dropOldest(map: Map<string, unknown>): void {
  for (const oldest of map.keys()) {
    if (map.size <= maxBuckets) return;
    map.delete(oldest);
  }
}

function limited(tool: string, rate: Rate, waitMs: number): AppError {
  return new AppError('RATE_LIMITED', {
    message: `${tool} is called more often than ${Math.round(rate.perSecond * 60)} times a minute.`,
    fix: `Wait ${Math.ceil(waitMs / 1000)} s; use waitMs to wait for a run instead of asking again and again.`,
    details: { waitMs },
  });
}
