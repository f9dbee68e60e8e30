/** The statements of the hot path that are about effects (see queries.ts). */
import { and, asc, eq, gt, inArray, isNotNull, isNull, lte, or, sql } from 'drizzle-orm';
import type { Db } from './database.ts';
import { effectColumns, openStatuses } from './rows.ts';
import { attempts, effects, runs } from './schema.ts';
import { raw, reading, writing } from './statement.ts';

const at = sql.placeholder('now');
const runId = sql.placeholder('runId');

/** Nobody else holds what the run's open effects name (E10); at most four effects at a time speak to one Dokploy (E11). */
const isFree = sql`not exists (select 1 from effects o, json_each(o.locks) l join locks k on k.name = l.value where o.run_id = ${effects.runId} and o.status in ('intent', 'running', 'cancelling') and k.run_id <> o.run_id)`;
const hasRoom = sql`(json_extract(${effects.input}, '$.dokploy') is null or (select count(*) from effects r where r.worker is not null and json_extract(r.input, '$.dokploy') = json_extract(${effects.input}, '$.dokploy')) < 4)`;

const countColumns = { n: sql<number>`count(*)` };
const lockColumns = { locks: effects.locks };
const dueColumns = { key: effects.key, runId: effects.runId };
const ownerColumns = { worker: effects.worker };
const nextEffectColumns = { at: sql<number | null>`min(${effects.notBefore})` };
const isOpen = inArray(effects.status, openStatuses);

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

export function effectStatements(db: Db) {
  return {
    open: reading(
      db
        .select(effectColumns)
        .from(effects)
        .where(and(eq(effects.runId, runId), isOpen))
        .orderBy(asc(effects.entrySeq)),
      effectColumns,
    ),
    openCount: reading(
      db
        .select(countColumns)
        .from(effects)
        .where(and(eq(effects.runId, runId), isOpen)),
      countColumns,
    ),
    openLocks: reading(
      db
        .select(lockColumns)
        .from(effects)
        .where(and(eq(effects.runId, runId), isOpen)),
      lockColumns,
    ),
    effect: reading(
      db
        .select(effectColumns)
        .from(effects)
        .where(eq(effects.key, sql.placeholder('key'))),
      effectColumns,
    ),
    due: reading(
      db
        .select(dueColumns)
        .from(effects)
        .innerJoin(runs, eq(runs.id, effects.runId))
        .where(isDue)
        .orderBy(asc(effects.notBefore))
        .limit(sql.placeholder('limit')),
      dueColumns,
    ),
    owners: reading(db.selectDistinct(ownerColumns).from(effects).where(isNotNull(effects.worker)), ownerColumns),
    nextEffect: reading(
      db
        .select(nextEffectColumns)
        .from(effects)
        .innerJoin(runs, eq(runs.id, effects.runId))
        .where(
          and(inArray(effects.status, ['intent', 'cancelling']), isNull(effects.worker), isNull(effects.attention), eq(runs.held, false)),
        ),
      nextEffectColumns,
    ),
    close: writing(
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
    addEffect: writing(
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
    ofRun: reading(
      db.select(effectColumns).from(effects).where(eq(effects.runId, runId)).orderBy(asc(effects.createdAt), asc(effects.entrySeq)),
      effectColumns,
    ),
    launch: writing(
      db
        .update(effects)
        .set({
          outside: 'maybe',
          lastSignAt: raw('now'),
          attempt: sql`attempt + ${raw('counted')}`,
          before: sql`coalesce(${raw('before')}, before)`,
        })
        .where(and(eq(effects.key, sql.placeholder('key')), eq(effects.token, sql.placeholder('token')))),
    ),
    noteAttempt: writing(
      db.insert(attempts).values({ key: raw('key'), n: raw('n'), step: raw('step'), result: raw('result'), at: raw('now') }),
    ),
  };
}
