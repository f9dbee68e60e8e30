/** Child runs as the ledger sees them (engine.md E12). */
import { eq, inArray, type SQL, sql } from 'drizzle-orm';
import type { EffectRow } from '../../engine/ports.ts';
import type { Db } from './database.ts';
import { effectColumns, toEffect } from './rows.ts';
import { effects, runs } from './schema.ts';

/** Child runs begun after a sequence, with theirs: id and the sequence of the effect of `runId` that they hang on. */
const tree = (runId: string, after: number): SQL => sql`
  with recursive tree(id, top_seq) as (
    select r.id, e.entry_seq from runs r join effects e on e.key = r.parent_key where r.parent_id = ${runId} and e.entry_seq > ${after}
    union all
    select r.id, t.top_seq from runs r join tree t on r.parent_id = t.id
  )`;

/** The ids alone, for use inside `in (…)`. */
export const treeIds = (runId: string, after: number): SQL => sql`${tree(runId, after)} select id from tree`;

export function effectsOfChildren(db: Db, runId: string): EffectRow[] {
  const rows = db.all<{ id: string; top_seq: number }>(sql`${tree(runId, 0)} select id, top_seq from tree`);
  if (rows.length === 0) return [];
  const topSeq = new Map(rows.map((row) => [row.id, row.top_seq]));
  return db
    .select(effectColumns)
    .from(effects)
    .where(inArray(effects.runId, [...topSeq.keys()]))
    .all()
    .map((row) => ({ ...toEffect(row), entrySeq: topSeq.get(row.runId) ?? row.entrySeq }));
}

export function childOf(db: Db, effectKey: string): string | undefined {
  return db.select({ id: runs.id }).from(runs).where(eq(runs.parentKey, effectKey)).get()?.id;
}
