import { and, desc, eq, lt, sql } from 'drizzle-orm';
import type { Connection } from './sqlite/database.ts';
import { audit, runs } from './sqlite/schema.ts';

/** Who did what through which door (design §5); `target` is what the run holds outside, where its effects name it (E10). */
export type AuditRow = {
  id: number;
  at: number;
  principal: string;
  door: string;
  /** How a person's yes was proven (A2); null for what needs none. */
  level: string | null;
  action: string;
  runId: string | null;
  run: string | null;
  workflow: string | null;
  target: string[];
  outcome: string;
};

export type AuditFilter = { runId?: string | undefined; before?: number | undefined; limit: number };

/** Newest first; `before` is an id to page on. A run that was pruned leaves its rows without a name. */
export function readAudit({ read }: Connection, { runId, before, limit }: AuditFilter): Promise<AuditRow[]> {
  // The locks of a run's effects name what it works on; they are the only place where every workflow says so.
  const target = sql<
    string | null
  >`(select json_group_array(distinct j.value) from effects e, json_each(e.locks) j where e.run_id = ${audit.runId} and j.value is not null)`;
  return read(
    (db) =>
      db
        .select({
          id: audit.id,
          at: audit.at,
          principal: audit.principal,
          door: audit.door,
          level: audit.level,
          action: audit.action,
          runId: audit.runId,
          outcome: audit.outcome,
          run: runs.name,
          workflow: runs.workflow,
          target,
        })
        .from(audit)
        .leftJoin(runs, eq(runs.id, audit.runId))
        .where(and(runId === undefined ? undefined : eq(audit.runId, runId), before === undefined ? undefined : lt(audit.id, before)))
        .orderBy(desc(audit.id))
        .limit(limit)
        .all()
        .map((row) => ({ ...row, target: row.target === null ? [] : (JSON.parse(row.target) as string[]) })), // made by json_group_array of texts
  );
}
