import { eq } from 'drizzle-orm';
import { type Bucket, leaseTokens, type Rate, takeToken } from '../token-bucket.ts';
import type { Connection, Db } from './sqlite/database.ts';
import { rates } from './sqlite/schema.ts';

/** Turns that all processes of one home share (engine.md E11); fits the turnstile of effects/dokploy/rate-limit.ts. */
export type Rates = ReturnType<typeof createRates>;

export function createRates({ write }: Connection, now: () => number) {
  const read = (db: Db, name: string, rate: Rate): Bucket =>
    db.select().from(rates).where(eq(rates.name, name)).get() ?? { tokens: rate.burst, at: now() };
  const keep = (db: Db, name: string, bucket: Bucket) => {
    const row = { name, tokens: bucket.tokens, at: bucket.at };
    db.insert(rates).values(row).onConflictDoUpdate({ target: rates.name, set: row }).run();
  };
  return {
    /** Milliseconds until the turn that was taken; 0 is now. */
    take: (name: string, rate: Rate): Promise<number> =>
      write((db) => {
        const turn = takeToken(read(db, name, rate), rate, now());
        keep(db, name, turn.bucket);
        return turn.waitMs;
      }),
    /** Up to so many tokens that this process may spend; none, and the time until there is one, when the others have them. */
    lease: (name: string, rate: Rate, wanted: number): Promise<{ granted: number; waitMs: number }> =>
      write((db) => {
        const { bucket, granted, waitMs } = leaseTokens(read(db, name, rate), rate, now(), wanted);
        if (granted > 0) keep(db, name, bucket);
        return { granted, waitMs };
      }),
    giveBack: (name: string, rate: Rate): Promise<void> =>
      write((db) => {
        const bucket = read(db, name, rate);
        keep(db, name, { ...bucket, tokens: Math.min(rate.burst, bucket.tokens + 1) });
      }),
  };
}
