/** The statements of the hot path, built and compiled once per connection: building them anew costs more than running them. */
import { and, asc, eq, getTableColumns, gt, inArray, isNotNull, isNull, lte, or, sql } from 'drizzle-orm';
import type { Connection } from './database.ts';
import { effectColumns, openStatuses } from './rows.ts';
import { approvals, checkpoints, effects, events, locks, runs, timers } from './schema.ts';
import { reading, writing } from './statement.ts';

/** A value as it is; JSON columns get their text from `jsonText`, so that nothing is NULL and not the word null. */
const raw = (name: string) => sql`${sql.placeholder(name)}`;

export const jsonText = (value: unknown): string | null => (value === undefined || value === null ? null : JSON.stringify(value));

const at = sql.placeholder('now');
const runId = sql.placeholder('runId');

/** Nobody else holds what the run's open effects name (E10); at most four effects at a time speak to one Dokploy (E11). */
const isFree = sql`not exists (select 1 from effects o, json_each(o.locks) l join locks k on k.name = l.value where o.run_id = ${effects.runId} and o.status in ('intent', 'running', 'cancelling') and k.run_id <> o.run_id)`;
const hasRoom = sql`(json_extract(${effects.input}, '$.dokploy') is null or (select count(*) from effects r where r.worker is not null and json_extract(r.input, '$.dokploy') = json_extract(${effects.input}, '$.dokploy')) < 4)`;

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
const countColumns = { n: sql<number>`count(*)` };
const lockColumns = { locks: effects.locks };
const dueColumns = { key: effects.key, runId: effects.runId };
const ownerColumns = { worker: effects.worker };
const nextEffectColumns = { at: sql<number | null>`min(${effects.notBefore})` };
const nextTimerColumns = { at: sql<number | null>`min(${timers.dueAt})` };
const settledColumns = { settled: runs.settledCount };

/** Due, free and allowed here; undo rows one at a time in their order (engine.md B2d, B5, E8, V2). */
const isDue = and(
  inArray(effects.status, ['intent', 'cancelling']),
  isNull(effects.worker),
  isNull(effects.attention),
  or(lte(effects.notBefore, at), gt(effects.notBefore, sql.placeholder('horizon'))),
  eq(runs.held, false),
  isFree,
  hasRoom,
  or(
    eq(effects.kind, 'undo'),
    eq(effects.status, 'cancelling'),
    sql`${runs.definitionHash} in (select value from json_each(${sql.placeholder('hashes')}))`,
  ),
  sql`(${effects.kind} = 'do' or not exists (select 1 from effects e where e.run_id = ${effects.runId} and e.kind = 'undo' and e.entry_seq < ${effects.entrySeq} and e.status in ('intent', 'running', 'cancelling')))`,
);

export type Queries = ReturnType<typeof prepareQueries>;

export function prepareQueries({ db, sqlite }: Pick<Connection, 'db' | 'sqlite'>) {
  const isOpen = inArray(effects.status, openStatuses);
  return {
    run: reading(sqlite, db.select().from(runs).where(eq(runs.id, runId)), runColumns),
    version: reading(sqlite, db.select(versionColumns).from(runs).where(eq(runs.id, runId)), versionColumns),
    glance: reading(
      sqlite,
      db
        .select(glanceColumns)
        .from(runs)
        .leftJoin(effects, and(eq(effects.runId, runs.id), isOpen))
        .where(eq(runs.id, runId))
        .groupBy(runs.id),
      glanceColumns,
    ),
    open: reading(
      sqlite,
      db
        .select(effectColumns)
        .from(effects)
        .where(and(eq(effects.runId, runId), isOpen))
        .orderBy(asc(effects.entrySeq)),
      effectColumns,
    ),
    openCount: reading(
      sqlite,
      db
        .select(countColumns)
        .from(effects)
        .where(and(eq(effects.runId, runId), isOpen)),
      countColumns,
    ),
    openLocks: reading(
      sqlite,
      db
        .select(lockColumns)
        .from(effects)
        .where(and(eq(effects.runId, runId), isOpen)),
      lockColumns,
    ),
    timers: reading(sqlite, db.select().from(timers).where(eq(timers.runId, runId)), timerColumns),
    effect: reading(
      sqlite,
      db
        .select(effectColumns)
        .from(effects)
        .where(eq(effects.key, sql.placeholder('key'))),
      effectColumns,
    ),
    checkpoints: db.select().from(checkpoints).where(eq(checkpoints.runId, runId)).orderBy(asc(checkpoints.seq)).prepare(),
    approvals: db.select().from(approvals).where(eq(approvals.runId, runId)).orderBy(asc(approvals.createdAt)).prepare(),
    due: reading(
      sqlite,
      db
        .select(dueColumns)
        .from(effects)
        .innerJoin(runs, eq(runs.id, effects.runId))
        .where(isDue)
        .orderBy(asc(effects.notBefore))
        .limit(sql.placeholder('limit')),
      dueColumns,
    ),
    owners: reading(sqlite, db.selectDistinct(ownerColumns).from(effects).where(isNotNull(effects.worker)), ownerColumns),
    dueTimers: reading(
      sqlite,
      db
        .select(timerColumns)
        .from(timers)
        .innerJoin(runs, eq(runs.id, timers.runId))
        .where(and(lte(timers.dueAt, at), known))
        .orderBy(asc(timers.dueAt))
        .limit(sql.placeholder('limit')),
      timerColumns,
    ),
    rollbacksDue: db
      .select({ id: runs.id })
      .from(runs)
      .where(
        and(
          eq(runs.phase, 'rolling_back'),
          isNull(runs.attention),
          sql`not exists (select 1 from effects e where e.run_id = ${runs.id} and e.status in ('intent', 'running', 'cancelling'))`,
        ),
      )
      .prepare(),
    nextEffect: reading(
      sqlite,
      db
        .select(nextEffectColumns)
        .from(effects)
        .innerJoin(runs, eq(runs.id, effects.runId))
        .where(
          and(inArray(effects.status, ['intent', 'cancelling']), isNull(effects.worker), isNull(effects.attention), eq(runs.held, false)),
        ),
      nextEffectColumns,
    ),
    nextTimer: reading(
      sqlite,
      db.select(nextTimerColumns).from(timers).innerJoin(runs, eq(runs.id, timers.runId)).where(known),
      nextTimerColumns,
    ),
    disarmAll: writing(sqlite, db.delete(timers).where(eq(timers.runId, runId))),
    freeLocks: writing(sqlite, db.delete(locks).where(eq(locks.runId, runId))),
    nextSettled: reading(
      sqlite,
      db.update(runs).set({ settledCount: sql`settled_count + 1` }).where(eq(runs.id, runId)).returning(settledColumns),
      settledColumns,
    ),
    close: writing(
      sqlite,
      db
        .update(effects)
        .set({
          status: raw('status'),
          outside: raw('outside'),
          output: raw('output'),
          error: raw('error'),
          failing: null,
          attention: null,
          progress: null,
          worker: null,
          token: null,
          settledAt: raw('now'),
          settledSeq: raw('settled'),
        })
        .where(and(eq(effects.key, sql.placeholder('key')), sql`${effects.token} is ${sql.placeholder('token')}`, isOpen)),
    ),
    addEvent: writing(
      sqlite,
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
      sqlite,
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
    addEffect: writing(
      sqlite,
      db
        .insert(effects)
        .values({
          key: raw('key'),
          runId: raw('runId'),
          kind: raw('kind'),
          undoOf: raw('undoOf'),
          entrySeq: raw('entrySeq'),
          invokeId: raw('invokeId'),
          contract: raw('contract'),
          input: raw('input'),
          locks: raw('locks'),
          status: raw('status'),
          startedAt: raw('startedAt'),
          outside: 'untouched',
          createdAt: raw('now'),
        })
        // Only an undo can come again: a rollback that was abandoned and asked for anew.
        .onConflictDoUpdate({
          target: effects.key,
          set: {
            status: 'intent',
            entrySeq: raw('entrySeq'),
            attempt: 0,
            probes: 0,
            notBefore: 0,
            startedAt: null,
            attention: null,
            failing: null,
            error: null,
          },
          setWhere: eq(effects.kind, 'undo'),
        }),
    ),
    claim: reading(
      sqlite,
      db
        .update(effects)
        .set({
          status: sql`case status when 'intent' then 'running' else status end`,
          worker: sql`${sql.placeholder('worker')}`,
          token: sql`${sql.placeholder('token')}`,
          startedAt: sql`coalesce(started_at, ${at})`,
          attempt: sql`attempt + case outside when 'maybe' then 0 else 1 end`,
        })
        .where(eq(effects.key, sql.placeholder('key')))
        .returning(effectColumns),
      effectColumns,
    ),
  };
}
