/**
 * What is thrown away, and when (engine.md L4, S3, S5). Invariants:
 * 1. A run goes only when it ended, settled, asks for nobody, is no child or parent of one that stays, and no target names it.
 * 2. A secret goes only when it is retired and nothing that stays refers to it; one that lost its run is retired first.
 * 3. Rows go before files: what a crash leaves behind is a file without a row, which the next pruning takes.
 */
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as pause } from 'node:timers/promises';
import { and, count, eq, inArray, isNotNull, isNull, lt, ne, or, sql } from 'drizzle-orm';
import type { RunPhase } from '../engine/ports.ts';
import type { Home } from './home.ts';
import { namedByRuns, namedByTargets, namedInside, type ReferenceDeps } from './references.ts';
import { snapshotRole } from './registry.ts';
import type { Connection, Db } from './sqlite/database.ts';
import { artifacts, audit, meta, rates, runs, secrets, targets } from './sqlite/schema.ts';

export const defaultDays = 90;
const dayMs = 24 * 60 * 60_000;
const runsAtOnce = 50;

export type PruneDeps = ReferenceDeps & { home: Home; now: () => number };
export type PruneOptions = { days?: number; dryRun?: boolean };

export type PruneReport = {
  dryRun: boolean;
  days: number;
  runs: { runId: string; name: string; workflow: string; endedAt: string }[];
  auditRows: number;
  artifacts: number;
  secretsRetired: number;
  secrets: number;
  files: string[];
};

/** Looks, or throws away. `days` (default 90) is the age of ended runs and audit rows; files go after 24 h whatever it says. */
export async function prune(deps: PruneDeps, { days = defaultDays, dryRun = false }: PruneOptions = {}): Promise<PruneReport> {
  const { connection, now } = deps;
  const before = now() - days * dayMs;
  const pruned = await pruneRuns(connection, before, dryRun);
  const auditRows = await pruneAudit(connection, before, dryRun);
  const gone = new Set(pruned.map((run) => run.id));
  const artifactIds = await pruneArtifacts(deps, gone, dryRun);
  const secretsGone = await pruneSecrets(deps, { runs: gone, artifacts: new Set(artifactIds) }, dryRun);
  const secretsRetired = await retireOrphans(deps, gone, dryRun);
  const files = pruneFiles(deps, await artifactRows(connection), new Set(artifactIds), dryRun);
  return {
    dryRun,
    days,
    runs: pruned.map(({ id, name, workflow, updatedAt }) => ({ runId: id, name, workflow, endedAt: new Date(updatedAt).toISOString() })),
    auditRows,
    artifacts: artifactIds.length,
    secretsRetired,
    secrets: secretsGone,
    files,
  };
}

/** Prunes if nobody did since a day; of several processes one does. Undefined when it was not the time. */
export async function pruneDaily(deps: PruneDeps): Promise<PruneReport | undefined> {
  const at = deps.now();
  const ours = await deps.connection.write((db) => {
    const last = Number(db.select().from(meta).where(eq(meta.key, 'pruned_at')).get()?.value ?? 0);
    // A mark from the future was written under another clock and does not hold anybody up.
    if (last <= at && at - last < dayMs) return false;
    db.delete(rates)
      .where(lt(rates.at, at - dayMs)) // full again long since
      .run();
    db.insert(meta)
      .values({ key: 'pruned_at', value: String(at) })
      .onConflictDoUpdate({ target: meta.key, set: { value: String(at) } })
      .run();
    return true;
  });
  return ours ? prune(deps) : undefined;
}

type EndedRun = { id: string; name: string; workflow: string; updatedAt: number; parentId: string | null };
const endedPhases: RunPhase[] = ['done', 'failed', 'cancelled'];

async function pruneRuns(connection: Connection, before: number, dryRun: boolean): Promise<EndedRun[]> {
  const named = await namedByTargets(connection);
  const found = await connection.read((db) => prunable(db, before, named));
  if (dryRun) return found;
  const gone: EndedRun[] = [];
  for (let at = 0; at < found.length; at += runsAtOnce) {
    const wanted = new Set(found.slice(at, at + runsAtOnce).map((run) => run.id));
    gone.push(
      ...(await connection.write((db) => {
        // Looked at again under the write lock: what moved meanwhile stays. A family goes with its last member.
        const still = prunable(db, before, named).filter((run) => wanted.has(run.id));
        if (still.length > 0)
          db.delete(runs)
            .where(
              inArray(
                runs.id,
                still.map((run) => run.id),
              ),
            )
            .run();
        return still;
      })),
    );
    await pause();
  }
  return gone;
}

/** Old, ended, at rest, named by no target, and the whole family with it (invariant 1). */
function prunable(db: Db, before: number, named: ReadonlySet<string>): EndedRun[] {
  const candidates = db
    .select({ id: runs.id, name: runs.name, workflow: runs.workflow, updatedAt: runs.updatedAt, parentId: runs.parentId })
    .from(runs)
    .where(
      and(
        inArray(runs.phase, endedPhases),
        lt(runs.updatedAt, before),
        isNull(runs.attention),
        sql`not exists (select 1 from effects e where e.run_id = ${runs.id} and (e.status in ('intent', 'running', 'cancelling') or e.attention is not null))`,
        sql`not exists (select 1 from locks l where l.run_id = ${runs.id})`,
      ),
    )
    .all();
  const made = db
    .select({ id: secrets.id, runId: secrets.runId })
    .from(secrets)
    .where(isNotNull(secrets.runId))
    .all()
    .concat(db.select({ id: artifacts.id, runId: artifacts.runId }).from(artifacts).where(isNotNull(artifacts.runId)).all());
  const owners = new Set(made.filter((row) => named.has(row.id)).map((row) => row.runId));
  const going = new Map(candidates.filter((run) => !named.has(run.id) && !owners.has(run.id)).map((run) => [run.id, run]));
  const families = db.select({ id: runs.id, parentId: runs.parentId }).from(runs).where(isNotNull(runs.parentId)).all();
  const existing = new Set(
    families.length === 0
      ? []
      : db
          .select({ id: runs.id })
          .from(runs)
          .all()
          .map((run) => run.id),
  );
  for (let changed = true; changed; ) {
    changed = false;
    for (const { id, parentId } of families) {
      if (parentId === null || !existing.has(parentId) || going.has(id) === going.has(parentId)) continue;
      going.delete(id);
      going.delete(parentId);
      changed = true;
    }
  }
  return [...going.values()];
}

async function pruneAudit({ read, write }: Connection, before: number, dryRun: boolean): Promise<number> {
  if (dryRun) return read((db) => db.select({ n: count() }).from(audit).where(lt(audit.at, before)).get()?.n ?? 0);
  return write((db) => db.delete(audit).where(lt(audit.at, before)).run().changes);
}

/** Secrets of runs that are gone lose their last owner: from now on they are retired, and go with the next pruning (S5). */
async function retireOrphans({ connection, now }: PruneDeps, gone: ReadonlySet<string>, dryRun: boolean): Promise<number> {
  if (gone.size === 0) return 0;
  const named = await namedByTargets(connection);
  const orphans = (
    await connection.read((db) =>
      db.select({ id: secrets.id, runId: secrets.runId, scope: secrets.scope }).from(secrets).where(isNull(secrets.retiredAt)).all(),
    )
  )
    .filter((row) => gone.has(row.runId ?? row.scope.replace(/^run:/, '')) && !named.has(row.id))
    .map((row) => row.id);
  if (!dryRun && orphans.length > 0)
    await connection.write((db) => db.update(secrets).set({ retiredAt: now() }).where(inArray(secrets.id, orphans)).run());
  return orphans.length;
}

type Going = { runs: ReadonlySet<string>; artifacts: ReadonlySet<string> };

/** Retired, its run gone, and named by nothing that stays. What a dry run finds going is taken as gone. */
async function pruneSecrets(deps: PruneDeps, going: Going, dryRun: boolean): Promise<number> {
  const { connection } = deps;
  const { retired, existing } = await connection.read((db) => ({
    retired: db
      .select({ id: secrets.id, runId: secrets.runId, scope: secrets.scope })
      .from(secrets)
      .where(isNotNull(secrets.retiredAt))
      .all(),
    existing: new Set(
      db
        .select({ id: runs.id })
        .from(runs)
        .where(
          sql`exists (select 1 from secrets s where s.retired_at is not null and (s.run_id = ${runs.id} or s.scope = 'run:' || ${runs.id}))`,
        )
        .all()
        .map((row) => row.id),
    ),
  }));
  const stays = (runId: string | null) => runId !== null && existing.has(runId) && !going.runs.has(runId);
  const orphans = retired.filter(({ runId, scope }) => !stays(runId) && !stays(scope.replace(/^run:/, '')));
  const candidates = new Set(orphans.map((row) => row.id));
  for (const id of await namedByTargets(connection)) candidates.delete(id);
  for (const id of await namedByRuns(connection, candidates, going.runs)) candidates.delete(id);
  for (const id of await namedInside(deps, candidates, going.artifacts)) candidates.delete(id);
  if (dryRun || candidates.size === 0) return candidates.size;
  const chosen = and(inArray(secrets.id, [...candidates]), isNotNull(secrets.retiredAt));
  return connection.write((db) => db.delete(secrets).where(chosen).run().changes);
}

/** Pending for a day: its outcome was never committed. Stored, but its run is gone and nobody names it; snapshots go with their target only. Returns the ids. */
async function pruneArtifacts({ connection, now }: PruneDeps, gone: ReadonlySet<string>, dryRun: boolean): Promise<string[]> {
  const dayAgo = now() - dayMs;
  const pending = and(eq(artifacts.status, 'pending'), lt(artifacts.createdAt, dayAgo));
  const noRun = and(ne(artifacts.status, 'pending'), sql`not exists (select 1 from runs r where r.id = ${artifacts.runId})`);
  const inGone = gone.size === 0 ? undefined : inArray(artifacts.runId, [...gone]); // of a dry run they still exist
  const found = await connection.read((db) =>
    db
      .select({ id: artifacts.id, status: artifacts.status, role: artifacts.role })
      .from(artifacts)
      .where(or(pending, noRun, inGone))
      .all(),
  );
  const kept = new Set(
    (await connection.read((db) => db.select({ name: targets.name }).from(targets).all())).map(({ name }) => snapshotRole(name)),
  );
  const rows = found.filter(({ status, role }) => status === 'pending' || !kept.has(role));
  const stored = new Set(rows.filter((row) => row.status === 'stored').map((row) => row.id));
  const keep = await namedByTargets(connection);
  for (const id of await namedByRuns(connection, stored, gone)) keep.add(id);
  const ids = rows.map((row) => row.id).filter((id) => !keep.has(id));
  if (!dryRun && ids.length > 0) await connection.write((db) => db.delete(artifacts).where(inArray(artifacts.id, ids)).run());
  return ids;
}

async function artifactRows({ read }: Connection): Promise<Set<string>> {
  return new Set((await read((db) => db.select({ id: artifacts.id }).from(artifacts).all())).map((row) => row.id));
}

/** Files without a row, and temporary files, a day after they were last written. Returns their names. */
function pruneFiles({ home, now }: PruneDeps, rows: ReadonlySet<string>, dropped: ReadonlySet<string>, dryRun: boolean): string[] {
  const old = (path: string) => now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now()) > dayMs;
  const going: string[] = [];
  for (const name of readdirSync(home.artifacts)) {
    const path = join(home.artifacts, name);
    if (dropped.has(name) || (!rows.has(name) && old(path))) going.push(path);
  }
  for (const name of existsSync(home.exports) ? readdirSync(home.exports) : []) {
    const path = join(home.exports, name);
    if (old(path)) going.push(path);
  }
  for (const name of readdirSync(home.folder)) {
    const path = join(home.folder, name);
    if (name.startsWith('key.json.') && old(path)) going.push(path); // a first start that was killed before it linked its key
  }
  if (!dryRun) for (const path of going) rmSync(path, { force: true });
  return going;
}
