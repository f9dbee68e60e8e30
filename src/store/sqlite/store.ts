import { and, asc, desc, eq, getTableColumns, gt, inArray, isNotNull, lt, sql } from 'drizzle-orm';
import type { RunRow, Store } from '../../engine/ports.ts';
import type { WaterMark } from '../water-mark.ts';
import { applyChange, toConflict } from './commit.ts';
import type { Connection, Db } from './database.ts';
import { childOf, effectsOfChildren } from './family.ts';
import { blockers, laterUnderLocks, takeLocks } from './locks.ts';
import { prepareQueries } from './queries.ts';
import { openStatuses, toEffect } from './rows.ts';
import { approvals, attempts, audit, definitions, effects, runs } from './schema.ts';

/** The ledger in SQLite (engine.md C, E, T). All writes are short IMMEDIATE transactions. */
export function createStore(connection: Connection, waterMark: WaterMark): Store {
  const { read, write } = connection;
  const q = prepareQueries(connection.sqlite);
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
    findRequest: (principal, key) => read(() => q.request.get({ principal, key })),

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
        const done = q.launch.run({ key, token, now: at, counted: count ? 1 : 0, before: before ? Buffer.from(before) : null });
        return done.changes === 1 ? waterMark.count(db) : undefined;
      });
      if (launched !== undefined) waterMark.raise(launched);
      return launched !== undefined;
    },
    wentBackAt: (runId) =>
      read(() => {
        const at = Number(q.meta.get({ key: 'went_back_at' })?.value ?? Number.NaN);
        const made = q.created.get({ runId })?.at;
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
    effects: (runId) => read(() => q.ofRun.all({ runId }).map(toEffect)),
    effectsOfTree: (runId) => read((db) => [...q.ofRun.all({ runId }).map(toEffect), ...effectsOfChildren(db, runId)]),
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
      await write(() => q.noteAttempt.run({ ...row, now: row.at }));
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

    events: (runId, { after, limit }) => read(() => q.events.all({ runId, after, limit })),
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

    approvals: (runId) => read(() => q.approvals.all({ runId })),
    approval: (id) => read(() => q.approval.get({ id })),
    async saveApproval(row) {
      await write((db) => db.insert(approvals).values(row).onConflictDoUpdate({ target: approvals.id, set: row }).run());
    },
    async audit(row) {
      await write((db) => db.insert(audit).values(row).run());
    },
  };
}
