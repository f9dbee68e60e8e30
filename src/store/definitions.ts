import { and, asc, eq, inArray, notInArray, sql } from 'drizzle-orm';
import type { RunPhase } from '../engine/ports.ts';
import type { Connection } from './sqlite/database.ts';
import { openStatuses } from './sqlite/rows.ts';
import { audit, checkpoints, effects, events, runs, timers } from './sqlite/schema.ts';

const unfinished: RunPhase[] = ['active', 'rolling_back'];

/** Unfinished runs of other definitions, and carrying one over in one commit (engine.md V3); fits the port of engine/upgrade.ts. */
export function createDefinitionRows({ read, write }: Connection) {
  return {
    foreign: (known: string[]) =>
      read((db) =>
        db
          .select()
          .from(runs)
          .where(and(inArray(runs.phase, unfinished), notInArray(runs.definitionHash, known)))
          .orderBy(asc(runs.id))
          .all()
          .map(({ id, traceId, name, workflow, definitionHash, phase, state, version, snapshot }) => ({
            ...{ id, traceId, name, workflow, definitionHash, phase, state, version, snapshot },
            open: db
              .select({ key: effects.key })
              .from(effects)
              .where(and(eq(effects.runId, id), inArray(effects.status, openStatuses)))
              .all().length,
            timers: db
              .select({ event: timers.event })
              .from(timers)
              .where(eq(timers.runId, id))
              .all()
              .map((row) => row.event.type),
            checkpoints: db
              .select({ seq: checkpoints.seq, snapshot: checkpoints.snapshot })
              .from(checkpoints)
              .where(and(eq(checkpoints.runId, id), eq(checkpoints.voided, false)))
              .all(),
          })),
      ),
    carry: (row: {
      runId: string;
      expect: number;
      at: number;
      from: string;
      to: string;
      state: string;
      snapshot: unknown;
      checkpoints: { seq: number; state: string; snapshot: unknown }[];
    }): Promise<boolean> =>
      write((db) => {
        const { runId, at, from, to, state } = row;
        const seq = row.expect + 1;
        const done = db
          .update(runs)
          .set({ definitionHash: to, snapshot: row.snapshot, state, version: seq, updatedAt: at })
          .where(
            and(
              eq(runs.id, runId),
              eq(runs.version, row.expect),
              eq(runs.definitionHash, from),
              eq(runs.phase, 'active'),
              sql`not exists (select 1 from effects e where e.run_id = ${runId} and e.status in ('intent', 'running', 'cancelling'))`,
            ),
          )
          .run();
        if (done.changes === 0) return false;
        for (const { seq: of, state: reached, snapshot } of row.checkpoints)
          db.update(checkpoints)
            .set({ definitionHash: to, state: reached, snapshot })
            .where(and(eq(checkpoints.runId, runId), eq(checkpoints.seq, of)))
            .run();
        const nobody = { principal: null, effectKey: null };
        db.insert(events)
          .values({ ...nobody, runId, seq, type: 'capstan.migrated', payload: { from, to }, source: 'engine', delivered: true, state, at })
          .run();
        db.insert(audit)
          .values({ at, principal: 'capstan', door: 'engine', action: `migrate to ${to.slice(0, 12)}`, runId, outcome: 'accepted' })
          .run();
        return true;
      }),
  };
}
