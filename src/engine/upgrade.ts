/**
 * Runs of other definitions (engine.md V2, V3). Invariants:
 * 1. A run is carried over only at rest: active, nothing open, in the new machine no invoke either.
 * 2. Snapshot, checkpoints and definition change together in one commit, or nothing does.
 * 3. What came out was restored by the new machine before it is written; an armed timer must still be taken there.
 */
import type { AnyMachineSnapshot } from 'xstate';
import { AppError, toRecord } from '../errors.ts';
import type { Catalog, Definition, DefinitionMigration } from './catalog.ts';
import { describe } from './describe.ts';
import { plan, restore } from './plan.ts';
import type { Clock, Log, RunPhase } from './ports.ts';

/** An unfinished run whose definition is none of those that are known here. */
export type ForeignRun = {
  id: string;
  traceId: string;
  name: string;
  workflow: string;
  definitionHash: string;
  phase: RunPhase;
  state: string;
  version: number;
  snapshot: unknown;
  /** Effects that do not rest. */
  open: number;
  /** Types of the events of its armed timers. */
  timers: string[];
  /** Checkpoints that a rollback could still go to. */
  checkpoints: { seq: number; snapshot: unknown }[];
};

export type Carried = {
  runId: string;
  expect: number;
  at: number;
  from: string;
  to: string;
  state: string;
  snapshot: unknown;
  checkpoints: { seq: number; state: string; snapshot: unknown }[];
};

/** What the store does for it; in one transaction each. */
export type DefinitionRows = {
  foreign(knownHashes: string[]): Promise<ForeignRun[]>;
  /** False when the run moved, or is no longer at rest under `from`. */
  carry(row: Carried): Promise<boolean>;
};

export type Stranded = {
  runId: string;
  name: string;
  workflow: string;
  state: string;
  definitionHash: string;
  reason: 'WORKFLOW_UNKNOWN' | 'DEFINITION_UNKNOWN' | 'NOT_AT_REST' | 'MIGRATION_REFUSED';
  say: string;
  /** What a person can do about it. */
  can: string;
};

export type UpgradeReport = {
  /** Runs at rest that a registered migration takes along. */
  carries: { runId: string; name: string; workflow: string; from: string; to: string }[];
  stranded: Stranded[];
};

export type Upgrade = {
  /** Looks only. */
  check(): Promise<UpgradeReport>;
  /** Carries over what can be, and says what could not. */
  carry(): Promise<UpgradeReport>;
};

type Deps = { rows: DefinitionRows; catalog: Catalog; clock: Pick<Clock, 'now'>; log: Pick<Log, 'info'> };

export function createUpgrade({ rows, catalog, clock, log }: Deps): Upgrade {
  const foreign = () => rows.foreign(catalog.list().map((definition) => definition.hash));
  const look = async (carryOver: boolean): Promise<UpgradeReport> => {
    const report: UpgradeReport = { carries: [], stranded: [] };
    for (const run of await foreign()) {
      const verdict = judge(catalog, run, clock.now());
      if ('reason' in verdict) report.stranded.push(verdict);
      else if (!carryOver || (await rows.carry(verdict))) {
        report.carries.push({ runId: run.id, name: run.name, workflow: run.workflow, from: verdict.from, to: verdict.to });
        if (carryOver)
          log.info({ trace: run.traceId, run: run.id, from: verdict.from, to: verdict.to }, 'carried a run over to the current definition');
      } else report.stranded.push(strandedBecause(run, 'NOT_AT_REST', 'It moved while it was looked at.', 'Ask again.'));
    }
    return report;
  };
  return { check: () => look(false), carry: () => look(true) };
}

function judge(catalog: Catalog, run: ForeignRun, at: number): Carried | Stranded {
  const found = catalog.migrationFor(run);
  if (!found) return unknownHere(catalog, run);
  if (run.phase !== 'active' || run.open > 0) {
    const what = run.phase === 'active' ? `${run.open} of its effects are open` : 'it is rolling back';
    return strandedBecause(
      run,
      'NOT_AT_REST',
      `A migration is there, but ${what}, and only a run at rest is carried over.`,
      'Let it come to rest under the version that started it, or cancel it here.',
    );
  }
  try {
    return carriedBy(found, run, at);
  } catch (error) {
    return strandedBecause(
      run,
      'MIGRATION_REFUSED',
      `The migration does not fit this run: ${toRecord(error).message}`,
      'Finish it with the version that started it, or cancel it or roll it back here.',
    );
  }
}

function carriedBy({ migration, to }: { migration: DefinitionMigration; to: Definition }, run: ForeignRun, at: number): Carried {
  const now = carrySnapshot(migration, to, run.snapshot);
  for (const timer of run.timers) {
    if (!plan(to.machine, now.persisted, { type: timer }).accepted) throw refused(`the armed timer ${timer} is not taken there`);
  }
  const checkpoints = run.checkpoints.map(({ seq, snapshot }) => {
    const { state, persisted } = carrySnapshot(migration, to, snapshot);
    return { seq, state, snapshot: persisted };
  });
  const { id: runId, version: expect, definitionHash: from } = run;
  return { runId, expect, at, from, to: to.hash, state: now.state, snapshot: now.persisted, checkpoints };
}

function carrySnapshot(migration: DefinitionMigration, to: Definition, stored: unknown): { state: string; persisted: unknown } {
  const old = asRecord(structuredClone(stored)); // the migration may change what it is given
  const made: unknown = JSON.parse(JSON.stringify(migration.migrate(old, asRecord(old['context'])) ?? null));
  const snapshot = restoreOrRefuse(to, made);
  // XState lists the active state nodes here; only their invokes are looked at.
  const nodes = (snapshot as unknown as { _nodes: { key: string; invoke: unknown[] }[] })._nodes;
  const invoking = nodes.find((node) => node.invoke.length > 0);
  if (invoking) throw refused(`the state ${invoking.key} has an effect, which nobody would start`);
  if (snapshot.status !== 'active') throw refused(`the run would have the status ${snapshot.status}`);
  return { state: describe(snapshot).state, persisted: JSON.parse(JSON.stringify(to.machine.getPersistedSnapshot(snapshot))) };
}

function restoreOrRefuse(to: Definition, made: unknown): AnyMachineSnapshot {
  try {
    const snapshot = restore(to.machine, made);
    if (snapshot.status === 'error') throw snapshot.error;
    return snapshot;
  } catch (cause) {
    throw refused(`the new machine cannot be restored from it (${toRecord(cause).message})`);
  }
}

function refused(why: string): AppError {
  return new AppError('MIGRATION_REFUSED', { message: `${why}.`, fix: 'Mend the migration, or finish the run with the earlier version.' });
}

function unknownHere(catalog: Catalog, run: ForeignRun): Stranded {
  const known = catalog.current().some((definition) => definition.name === run.workflow);
  const finish = 'or cancel it or roll it back here.';
  return known
    ? strandedBecause(
        run,
        'DEFINITION_UNKNOWN',
        `It was started under ${run.definitionHash.slice(0, 12)}, which this version neither bundles nor migrates.`,
        `Finish it with the version that started it, ${finish}`,
      )
    : strandedBecause(
        run,
        'WORKFLOW_UNKNOWN',
        `The workflow ${run.workflow} is not loaded here.`,
        'Give its folder with --workflows, or cancel the run here.',
      );
}

function strandedBecause(run: ForeignRun, reason: Stranded['reason'], say: string, can: string): Stranded {
  const { id: runId, name, workflow, state, definitionHash } = run;
  return { runId, name, workflow, state, definitionHash, reason, say, can };
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}; // JSON objects have text keys
}
