/** The statements of the hot path, built once a process and compiled once a connection: building them anew costs more than running them. */
import { and, asc, eq, getTableColumns, gt, inArray, isNull, lte, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import type { Db, Sqlite } from './database.ts';
import { effectStatements } from './effect-queries.ts';
import { openStatuses } from './rows.ts';
import * as schema from './schema.ts';
import { approvals, checkpoints, effects, events, locks, meta, requests, runs, timers } from './schema.ts';
import { onFirstUse, raw, reading, writing } from './statement.ts';

const at = sql.placeholder('now');
const runId = sql.placeholder('runId');

/** This process has the run's exact definition (V2); `hashes` is a JSON list, or null for any. */
const known = sql`(${sql.placeholder('hashes')} is null or ${runs.definitionHash} in (select value from json_each(${sql.placeholder('hashes')})))`;
const runColumns = getTableColumns(runs);
const timerColumns = getTableColumns(timers);
const versionColumns = { version: runs.version, held: runs.held, phase: runs.phase };
const glanceColumns = {
  ...versionColumns,
  attention: runs.attention,
  open: sql<number>`count(${effects.key})`,
  draining: sql<number>`count(case ${effects.status} when 'cancelling' then 1 end)`,
  attentionCount: sql<number>`count(${effects.attention})`,
  progressAt: sql<number | null>`max(json_extract(${effects.progress}, '$.at'))`,
};
const nextTimerColumns = { at: sql<number | null>`min(${timers.dueAt})` };
const settledColumns = { settled: runs.settledCount };
const stateColumns = { state: runs.state };
const createdColumns = { at: runs.createdAt };
const idColumns = { id: runs.id };
const metaColumns = getTableColumns(meta);
const requestColumns = getTableColumns(requests);
const checkpointColumns = getTableColumns(checkpoints);
const { consumedSeq: _, ...approvalColumns } = getTableColumns(approvals);
const eventColumns = getTableColumns(events);

type Statements = ReturnType<typeof statementsFor>;
export type Queries = { [Name in keyof Statements]: ReturnType<Statements[Name]> };

/** No connection is needed for building a query's text. */
const statements = onFirstUse(() => statementsFor(drizzle.mock({ schema })));

export function prepareQueries(sqlite: Sqlite): Queries {
  const bound = Object.entries(statements()).map(([name, bind]) => [name, bind(sqlite)]);
  return Object.fromEntries(bound) as Queries; // the same names, each bound to this connection
}

function statementsFor(db: Db) {
  const isOpen = inArray(effects.status, openStatuses);
  return {
    ...effectStatements(db),
    run: reading(db.select().from(runs).where(eq(runs.id, runId)), runColumns),
    version: reading(db.select(versionColumns).from(runs).where(eq(runs.id, runId)), versionColumns),
    glance: reading(
      db
        .select(glanceColumns)
        .from(runs)
        .leftJoin(effects, and(eq(effects.runId, runs.id), isOpen))
        .where(eq(runs.id, runId))
        .groupBy(runs.id),
      glanceColumns,
    ),
    timers: reading(db.select().from(timers).where(eq(timers.runId, runId)), timerColumns),
    state: reading(db.select(stateColumns).from(runs).where(eq(runs.id, runId)), stateColumns),
    created: reading(db.select(createdColumns).from(runs).where(eq(runs.id, runId)), createdColumns),
    meta: reading(
      db
        .select()
        .from(meta)
        .where(eq(meta.key, sql.placeholder('key'))),
      metaColumns,
    ),
    request: reading(
      db
        .select()
        .from(requests)
        .where(and(eq(requests.principal, sql.placeholder('principal')), eq(requests.key, sql.placeholder('key')))),
      requestColumns,
    ),
    events: reading(
      db
        .select()
        .from(events)
        .where(and(eq(events.runId, runId), gt(events.seq, sql.placeholder('after'))))
        .orderBy(asc(events.seq))
        .limit(sql.placeholder('limit')),
      eventColumns,
    ),
    checkpoints: reading(
      db.select().from(checkpoints).where(eq(checkpoints.runId, runId)).orderBy(asc(checkpoints.seq)),
      checkpointColumns,
    ),
    approvals: reading(
      db.select(approvalColumns).from(approvals).where(eq(approvals.runId, runId)).orderBy(asc(approvals.createdAt)),
      approvalColumns,
    ),
    approval: reading(
      db
        .select(approvalColumns)
        .from(approvals)
        .where(eq(approvals.id, sql.placeholder('id'))),
      approvalColumns,
    ),
    dueTimers: reading(
      db
        .select(timerColumns)
        .from(timers)
        .innerJoin(runs, eq(runs.id, timers.runId))
        .where(and(lte(timers.dueAt, at), known))
        .orderBy(asc(timers.dueAt))
        .limit(sql.placeholder('limit')),
      timerColumns,
    ),
    rollbacksDue: reading(
      db
        .select(idColumns)
        .from(runs)
        .where(
          and(
            eq(runs.phase, 'rolling_back'),
            isNull(runs.attention),
            sql`not exists (select 1 from effects e where e.run_id = ${runs.id} and e.status in ('intent', 'running', 'cancelling'))`,
          ),
        ),
      idColumns,
    ),
    nextTimer: reading(db.select(nextTimerColumns).from(timers).innerJoin(runs, eq(runs.id, timers.runId)).where(known), nextTimerColumns),
    disarmAll: writing(db.delete(timers).where(eq(timers.runId, runId))),
    freeLocks: writing(db.delete(locks).where(eq(locks.runId, runId))),
    nextSettled: reading(
      db.update(runs).set({ settledCount: sql`settled_count + 1` }).where(eq(runs.id, runId)).returning(settledColumns),
      settledColumns,
    ),
    addEvent: writing(
      db.insert(events).values({
        runId: raw('runId'),
        seq: raw('seq'),
        type: raw('type'),
        payload: raw('payload'),
        source: raw('source'),
        principal: raw('principal'),
        effectKey: raw('effectKey'),
        delivered: raw('delivered'),
        state: raw('state'),
        at: raw('now'),
      }),
    ),
    step: writing(
      db
        .update(runs)
        .set({
          phase: raw('phase'),
          state: raw('state'),
          snapshot: raw('snapshot'),
          attention: null,
          version: raw('seq'),
          updatedAt: raw('now'),
        })
        .where(eq(runs.id, runId)),
    ),
  };
}
