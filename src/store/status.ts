import { statSync } from 'node:fs';
import { and, count, eq, gt, inArray, isNull, max, min, sql } from 'drizzle-orm';
import type { RunPhase } from '../engine/ports.ts';
import type { Connection } from './sqlite/database.ts';
import { openStatuses } from './sqlite/rows.ts';
import { approvals, effects, locks, runs, timers } from './sqlite/schema.ts';

/** Runs that have everything in common that a status is derived from (B6). */
export type RunGroup = {
  phase: RunPhase;
  held: boolean;
  attention: boolean;
  open: number;
  draining: number;
  attentionCount: number;
  /** Another run holds a lock that its open effects name (E10). */
  blocked: boolean;
  runs: number;
};

/** What the ledger says about itself (engine.md L3). Times in ms. */
export type LedgerFigures = {
  groups: RunGroup[];
  /** Open effects by status, and how many of them are in doubt (E2). */
  effects: { intent: number; running: number; cancelling: number; doubtful: number };
  /** Attempts of open effects: all together, and of the one that tried most. */
  attempts: { open: number; most: number };
  /** The earliest instant of a claimable effect or timer that has passed already. */
  oldestDueAt: number | null;
  openApprovals: number;
  locksHeld: number;
  /** Runs that wait for a lock of another run. */
  lockWaits: number;
  databaseBytes: number;
  walBytes: number;
};

export function readFigures({ read }: Connection, databaseFile: string, now: number): Promise<LedgerFigures> {
  return read((db) => {
    const isOpen = inArray(effects.status, openStatuses);
    const byStatus = db.select({ status: effects.status, n: count() }).from(effects).where(isOpen).groupBy(effects.status).all();
    const statusCount = (status: string) => byStatus.find((row) => row.status === status)?.n ?? 0;
    const tried = db
      .select({ all: sql<number | null>`sum(${effects.attempt})`, most: max(effects.attempt) })
      .from(effects)
      .where(isOpen)
      .get();
    const doubtful = db
      .select({ n: count() })
      .from(effects)
      .where(and(isOpen, eq(effects.outside, 'maybe')))
      .get();
    const claimable = and(
      inArray(effects.status, ['intent', 'cancelling']),
      isNull(effects.worker),
      isNull(effects.attention),
      eq(runs.held, false),
      sql`not ${isBlocked}`,
    );
    const effectDue = db
      .select({ at: sql<number | null>`min(max(${effects.notBefore}, ${effects.createdAt}))` })
      .from(effects)
      .innerJoin(runs, eq(runs.id, effects.runId))
      .where(claimable)
      .get();
    const timerDue = db
      .select({ at: min(timers.dueAt) })
      .from(timers)
      .get();
    const due = [effectDue?.at, timerDue?.at].filter((at) => at !== null && at !== undefined && at <= now) as number[]; // null is filtered out
    const asked = db
      .select({ n: count() })
      .from(approvals)
      .innerJoin(runs, and(eq(runs.id, approvals.runId), eq(runs.version, approvals.version)))
      .where(and(eq(approvals.status, 'requested'), gt(approvals.expiresAt, now)))
      .get();
    const groups = groupsOf(db);
    return {
      groups,
      lockWaits: groups.filter((group) => group.blocked).reduce((sum, group) => sum + group.runs, 0),
      effects: {
        intent: statusCount('intent'),
        running: statusCount('running'),
        cancelling: statusCount('cancelling'),
        doubtful: doubtful?.n ?? 0,
      },
      attempts: { open: tried?.all ?? 0, most: tried?.most ?? 0 },
      oldestDueAt: due.length === 0 ? null : Math.min(...due),
      openApprovals: asked?.n ?? 0,
      locksHeld: db.select({ n: count() }).from(locks).get()?.n ?? 0,
      databaseBytes: sizeOf(databaseFile),
      walBytes: sizeOf(`${databaseFile}-wal`),
    };
  });
}

/** True for an effect that names a lock of another run. */
const isBlocked = sql`exists (select 1 from json_each(effects.locks) l join locks k on k.name = l.value where k.run_id <> effects.run_id)`;

/** Ended runs with nothing open are counted by phase alone; the others are few (at most 1,000 open runs, E11). */
function groupsOf(db: Parameters<Parameters<Connection['read']>[0]>[0]): RunGroup[] {
  const counts = sql`(select run_id, count(*) as open, sum(status = 'cancelling') as draining, sum(attention is not null) as asks,
    max(${isBlocked}) as blocked
    from effects where status in ('intent', 'running', 'cancelling') group by run_id)`;
  return db
    .all<{ phase: RunPhase; held: number; attention: number; open: number; draining: number; asks: number; blocked: number; n: number }>(
      sql`select r.phase, r.held, r.attention is not null as attention, coalesce(c.open, 0) as open, coalesce(c.draining, 0) as draining,
        coalesce(c.asks, 0) as asks, coalesce(c.blocked, 0) as blocked, count(*) as n
        from runs r left join ${counts} c on c.run_id = r.id group by 1, 2, 3, 4, 5, 6, 7`,
    )
    .map((row) => ({
      phase: row.phase,
      held: row.held === 1,
      attention: row.attention === 1,
      open: row.open,
      draining: row.draining,
      attentionCount: row.asks,
      blocked: row.blocked === 1,
      runs: row.n,
    }));
}

/** By name only: opening a database file here would drop its locks (engine.md S6). */
function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
