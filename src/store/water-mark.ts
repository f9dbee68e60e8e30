/**
 * Tells a ledger that went back in time (an older copy put back, the end of a WAL lost) while the world went on. Invariants:
 * 1. Each launch of a mutating effect is counted in its own commit; the count goes into a file beside the ledger after that
 *    commit and before the effect runs. So the file is never ahead of its own ledger, and never behind what has run.
 * 2. A count has one of eight places in the file, the greatest is the mark: processes that write at once do not hide each other.
 * 3. A ledger behind the mark is remembered as such, and its runs' next effects are probed before they run (E2).
 */
import { constants, openSync, readSync, writeSync } from 'node:fs';
import { eq } from 'drizzle-orm';
import type { Db } from './sqlite/database.ts';
import { meta } from './sqlite/schema.ts';

export type WaterMark = {
  /** In the transaction of a launch; returns the new count. */
  count(db: Db): number;
  /** After that commit, before the effect runs. */
  raise(count: number): void;
  /** In a write transaction at opening: true when the ledger is found to be behind. */
  check(db: Db, now: number): boolean;
};

const digits = 16;
const places = 8;

export function openWaterMark(path: string): WaterMark {
  const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  const marked = (): number => {
    const bytes = Buffer.alloc(digits * places);
    readSync(file, bytes, 0, bytes.length, 0);
    const counts = Array.from({ length: places }, (_, place) =>
      Number.parseInt(bytes.toString('latin1', place * digits, (place + 1) * digits), 10),
    );
    return Math.max(0, ...counts.filter((count) => Number.isSafeInteger(count)));
  };
  const kept = (db: Db, key: string): number => Number(db.select().from(meta).where(eq(meta.key, key)).get()?.value ?? 0);
  const keep = (db: Db, key: string, value: number): void => {
    const row = { key, value: String(value) };
    db.insert(meta).values(row).onConflictDoUpdate({ target: meta.key, set: row }).run();
  };
  return {
    count(db) {
      const next = kept(db, 'launches') + 1;
      keep(db, 'launches', next);
      return next;
    },
    raise: (count) => void writeSync(file, String(count).padStart(digits, '0'), (count % places) * digits),
    check(db, now) {
      const mark = marked();
      if (mark <= kept(db, 'launches')) return false;
      keep(db, 'launches', mark);
      keep(db, 'went_back_at', now);
      return true;
    },
  };
}
