/** Exclusion between runs (engine.md E10). All locks that a run's open effects name are taken together or not at all. */
import { and, eq, gt, inArray, ne, sql } from 'drizzle-orm';
import type { Db } from './database.ts';
import type { Queries } from './queries.ts';
import { effects, locks, runs } from './schema.ts';

/** True when the run holds every lock that its open effects name; inside the caller's transaction. */
export function takeLocks(db: Db, q: Queries, runId: string, at: number): boolean {
  const names = [...new Set(q.openLocks.all({ runId }).flatMap((row) => row.locks ?? []))].sort();
  if (names.length === 0) return true;
  const taken = db.select().from(locks).where(inArray(locks.name, names)).all();
  if (taken.some((row) => row.runId !== runId)) return false;
  for (const name of names) db.insert(locks).values({ name, runId, takenAt: at }).onConflictDoNothing().run();
  return true;
}

export function blockers(db: Db, q: Queries, runId: string): { lock: string; runId: string; name: string }[] {
  const names = q.openLocks.all({ runId }).flatMap((row) => row.locks ?? []);
  if (names.length === 0) return [];
  return db
    .select({ lock: locks.name, runId: locks.runId, name: runs.name })
    .from(locks)
    .innerJoin(runs, eq(runs.id, locks.runId))
    .where(and(inArray(locks.name, names), ne(locks.runId, runId)))
    .all();
}

export function laterUnderLocks(
  db: Db,
  runId: string,
  names: string[],
  after: number,
): { runId: string; name: string; lock: string } | undefined {
  return db
    .select({
      runId: runs.id,
      name: runs.name,
      lock: sql<string>`(select value from json_each(${effects.locks}) where value in ${names} limit 1)`,
    })
    .from(effects)
    .innerJoin(runs, eq(runs.id, effects.runId))
    .where(
      and(
        ne(effects.runId, runId),
        eq(effects.kind, 'do'),
        inArray(effects.outside, ['maybe', 'applied']),
        gt(sql`coalesce(${effects.settledAt}, ${effects.startedAt}, 0)`, after),
        sql`exists (select 1 from json_each(${effects.locks}) where value in ${names})`,
      ),
    )
    .limit(1)
    .get();
}
