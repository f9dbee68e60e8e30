import { and, asc, desc, eq, getTableColumns, gt, inArray, isNotNull, lt, sql } from 'drizzle-orm';
import type { EffectRow, RunRow, Store } from '../../engine/ports.ts';
import type { WaterMark } from '../water-mark.ts';
import { applyChange, toConflict } from './commit.ts';
import type { Connection, Db } from './database.ts';
import { childOf, effectsOfChildren } from './family.ts';
import { blockers, laterUnderLocks, takeLocks } from './locks.ts';
import { prepareQueries } from './queries.ts';
import { effectColumns, openStatuses, toEffect } from './rows.ts';
import { approvals, attempts, audit, definitions, effects, events, meta, requests, runs } from './schema.ts';

/** The ledger in SQLite (engine.md C, E, T). All writes are short IMMEDIATE transactions. */
export function createStore(connection: Connection, waterMark: WaterMark): Store {
  const { read, write } = connection;
  const q = prepareQueries(connection);
  return {
    async registerDefinition(row) {
      await write((db) =>
        db
          .insert(definitions)
          .values({ ...row, registeredAt: Date.now() })
          .onConflictDoNothing()
          .run(),
      );
    },
    load: (runId) =>
      read(() => {
        const run = q.run.get({ runId });
        return run && { run: run satisfies RunRow, open: q.open.all({ runId }).map(toEffect), timers: q.timers.all({ runId }) };
      }),
    glance: (runId) => read(() => q.glance.get({ runId })),
    findRun: (reference) =>
      read((db) => {
        const exact = db.select({ id: runs.id }).from(runs).where(eq(runs.id, reference)).all();
        if (exact.length > 0) return exact.map((row) => row.id);
        const named = db.select({ id: runs.id }).from(runs).where(eq(runs.name, reference)).limit(6).all();
        if (named.length > 0 || reference.length < 6) return named.map((row) => row.id);
        return db
          .select({ id: runs.id })
          .from(runs)
          .where(and(gt(runs.id, reference), lt(runs.id, `${reference}\uffff`)))
          .limit(6)
          .all()
          .map((row) => row.id);
      }),
    commit: (change) => write((db) => applyChange(db, q, change)).catch(toConflict),
    findRequest: (principal, key) =>
      read((db) =>
        db
          .select()
          .from(requests)
          .where(and(eq(requests.principal, principal), eq(requests.key, key)))
          .get(),
      ),

    async claimDue({ worker, now, horizonMs, limit, definitions: hashes, token }) {
      const due = () => q.due.all({ now, horizon: now + horizonMs, hashes: JSON.stringify(hashes), limit });
      if ((await read(due)).length === 0) return []; // C2: a claim transaction only when something is due
      // Locks are looked at again row by row: an earlier row of this very claim may have taken them.
      const claim = (db: Db) =>
        due()
          .filter(({ runId }) => takeLocks(db, q, runId, now))
          .map(({ key }) => toEffect(q.claim.one({ key, worker, now, token: token() })));
      return write(claim);
    },
    async launch(key, token, at, { count, before }) {
      const launched = await write((db) => {
        const done = db
          .update(effects)
          .set({
            outside: 'maybe',
            lastSignAt: at,
            ...(count ? { attempt: sql`attempt + 1` } : {}),
            ...(before ? { before: Buffer.from(before) } : {}),
          })
          .where(and(eq(effects.key, key), eq(effects.token, token)))
          .run();
        return done.changes === 1 ? waterMark.count(db) : undefined;
      });
      if (launched !== undefined) waterMark.raise(launched);
      return launched !== undefined;
    },
    wentBackAt: (runId) =>
      read((db) => {
        const at = Number(db.select().from(meta).where(eq(meta.key, 'went_back_at')).get()?.value ?? Number.NaN);
        const made = db.select({ at: runs.createdAt }).from(runs).where(eq(runs.id, runId)).get()?.at;
        return made !== undefined && made <= at ? at : undefined;
      }),
    before: (key) =>
      read((db) => db.select({ before: effects.before }).from(effects).where(eq(effects.key, key)).get()?.before ?? undefined),
    beat: (key, token, at, progress) =>
      write((db) => {
        const row = db
          .update(effects)
          .set({ lastSignAt: at, ...(progress ? { progress: { ...progress, at } } : {}) })
          .where(and(eq(effects.key, key), eq(effects.token, token)))
          .returning({ status: effects.status })
          .get();
        if (!row) return 'lost';
        return row.status === 'cancelling' ? 'stop' : 'go';
      }),
    release: (key, token, { probed, ...row }) =>
      write(
        (db) =>
          db
            .update(effects)
            .set({
              ...row,
              status: sql`case status when 'running' then 'intent' else status end`,
              worker: null,
              token: null,
              ...(probed ? { probes: sql`probes + 1` } : {}),
            })
            .where(and(eq(effects.key, key), eq(effects.token, token)))
            .run().changes === 1,
      ),
    takeOver: (dead) =>
      write(
        (db) =>
          db
            .update(effects)
            .set({ status: sql`case status when 'running' then 'intent' else status end`, worker: null, token: null, notBefore: 0 })
            .where(and(inArray(effects.worker, dead), inArray(effects.status, openStatuses)))
            .run().changes,
      ),
    owners: () => read(() => q.owners.all().flatMap((row) => row.worker ?? [])),
    effect: (key) =>
      read(() => {
        const row = q.effect.get({ key });
        return row && toEffect(row);
      }),
    effects: (runId) => read((db) => effectsOf(db, runId)),
    effectsOfTree: (runId) => read((db) => [...effectsOf(db, runId), ...effectsOfChildren(db, runId)]),
    childOf: (key) => read((db) => childOf(db, key)),
    attempts: (runId) =>
      read((db) =>
        db
          .select({ key: attempts.key, n: attempts.n, step: attempts.step, result: attempts.result, at: attempts.at })
          .from(attempts)
          .innerJoin(effects, eq(effects.key, attempts.key))
          .where(eq(effects.runId, runId))
          .orderBy(asc(attempts.id))
          .all(),
      ),
    async noteAttempt(row) {
      await write((db) => db.insert(attempts).values(row).run());
    },
    resolveEffect: (key, row) =>
      write(
        (db) =>
          db
            .update(effects)
            .set({ ...row, attention: null, notBefore: 0, attempt: 0, probes: 0, startedAt: null })
            .where(and(eq(effects.key, key), isNotNull(effects.attention)))
            .run().changes === 1,
      ),

    events: (runId, { after, limit }) =>
      read((db) =>
        db
          .select()
          .from(events)
          .where(and(eq(events.runId, runId), gt(events.seq, after)))
          .orderBy(asc(events.seq))
          .limit(limit)
          .all(),
      ),
    checkpoints: (runId) => read(() => q.checkpoints.all({ runId })),
    dueTimers: (now, limit, definitions) => read(() => q.dueTimers.all({ now, limit, hashes: JSON.stringify(definitions) })),
    rollbacksDue: () => read(() => q.rollbacksDue.all().map((row) => row.id)),
    nextDue: (definitions, options) =>
      read(() => {
        const hashes = definitions === undefined ? null : JSON.stringify(definitions);
        const effect = options?.timersOnly ? undefined : q.nextEffect.get()?.at;
        const both = [effect, q.nextTimer.get({ hashes })?.at].filter((at) => at !== null && at !== undefined);
        return both.length === 0 ? undefined : Math.min(...both);
      }),
    runs: ({ workflow, limit, before }) =>
      read((db) => {
        const { snapshot: _, settledCount: __, ...columns } = getTableColumns(runs);
        const count = (where: string) => sql<number>`(select count(*) from effects e where e.run_id = ${runs.id} and ${sql.raw(where)})`;
        return db
          .select({
            ...columns,
            open: count("e.status in ('intent', 'running', 'cancelling')"),
            draining: count("e.status = 'cancelling'"),
            attention_: count("e.attention is not null and e.status in ('intent', 'running', 'cancelling')"),
          })
          .from(runs)
          .where(
            and(workflow === undefined ? undefined : eq(runs.workflow, workflow), before === undefined ? undefined : lt(runs.id, before)),
          )
          .orderBy(desc(runs.id))
          .limit(limit)
          .all()
          .map(({ attention_, ...row }) => ({ ...row, attentionCount: attention_ }));
      }),
    openCount: () =>
      read(
        (db) =>
          db
            .select({ n: sql<number>`count(*)` })
            .from(runs)
            .where(inArray(runs.phase, ['active', 'rolling_back']))
            .get()?.n ?? 0,
      ),

    blockers: (runId) => read((db) => blockers(db, q, runId)),
    laterUnderLocks: (runId, names, after) => read((db) => laterUnderLocks(db, runId, names, after)),

    approvals: (runId) => read(() => q.approvals.all({ runId }).map(({ consumedSeq: _, ...row }) => row)),
    approval: (id) => read((db) => db.select(approvalColumns).from(approvals).where(eq(approvals.id, id)).get()),
    async saveApproval(row) {
      await write((db) => db.insert(approvals).values(row).onConflictDoUpdate({ target: approvals.id, set: row }).run());
    },
    async audit(row) {
      await write((db) => db.insert(audit).values(row).run());
    },
  };
}

function effectsOf(db: Db, runId: string): EffectRow[] {
  return db
    .select(effectColumns)
    .from(effects)
    .where(eq(effects.runId, runId))
    .orderBy(asc(effects.createdAt), asc(effects.entrySeq))
    .all()
    .map(toEffect);
}

const { consumedSeq: _consumed, ...approvalColumns } = getTableColumns(approvals);
