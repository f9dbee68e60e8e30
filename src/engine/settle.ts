/** How outcomes and timers reach a run (engine.md C1, C3, C5, E7, T1). */
import { type ErrorRecord, toRecord } from '../errors.ts';
import type { Catalog } from './catalog.ts';
import { changeOf, checkpointFor } from './change.ts';
import { describe } from './describe.ts';
import type { Dispatch } from './dispatch.ts';
import { outcomeChange } from './outcome.ts';
import { plan, restore } from './plan.ts';
import type { Change, Clock, Closing, Committed, EffectRow, LocalWrites, Log, Outside, RunRow, Store, TimerRow, Wakes } from './ports.ts';

export type Settlement = {
  status: 'done' | 'failed' | 'cancelled';
  outside: Outside;
  output?: unknown;
  error?: ErrorRecord;
  writes?: LocalWrites;
};

export type SettleDeps = { store: Store; dispatch: Dispatch; catalog: Catalog; clock: Clock; log: Log; wakes: Wakes };

/** Writes an effect's answer; the machine hears it only while the row is still `running`, that is, its entry is current (E7). */
export async function settleEffect(deps: SettleDeps, row: EffectRow, token: string, settlement: Settlement): Promise<void> {
  const close: Closing = {
    key: row.key,
    token,
    status: settlement.status,
    outside: settlement.outside,
    ...(settlement.output === undefined ? {} : { output: settlement.output }),
    ...(settlement.error === undefined ? {} : { error: settlement.error }),
    ...(settlement.writes === undefined ? {} : { writes: settlement.writes }),
  };
  const committed = await untilCommitted(deps, async () => {
    const loaded = await deps.store.load(row.runId);
    const now = loaded?.open.find((each) => each.key === row.key);
    if (!now || !loaded || now.token !== token) return undefined;
    const { run } = loaded;
    const base: Change = { runId: run.id, expect: run.version, at: deps.clock.now(), close };
    if (row.kind === 'undo') return { ...base, ...(settlement.status === 'done' && row.undoOf ? { undone: [row.undoOf] } : {}) };
    if (now.status !== 'running' || run.phase !== 'active' || settlement.status === 'cancelled') return drained(deps, run, base);
    return outcomeChange(deps, run, row, close, settlement);
  });
  deps.wakes.touch(row.runId, committed?.ok ? committed.audience : 'workers');
}

/** Closing without an event; a resting run may get the checkpoint that waited for this (T2). */
function drained(deps: SettleDeps, run: RunRow, base: Change): Change {
  const definition = deps.catalog.list().find((candidate) => candidate.name === run.workflow && candidate.hash === run.definitionHash);
  if (!definition) return base;
  const shape = describe(restore(definition.machine, run.snapshot));
  const checkpoint = checkpointFor(run, shape);
  const releases = run.phase !== 'active' || shape.releases;
  return {
    ...base,
    ...(checkpoint ? { checkpoint } : {}),
    ...(releases && run.phase !== 'rolling_back' ? { releases: true as const } : {}),
  };
}

/** Fires one due timer; a timer whose row is gone, or whose event is no longer accepted, ends in silence (T1). */
export async function fireTimer(deps: SettleDeps, timer: TimerRow): Promise<void> {
  const committed = await untilCommitted(deps, async () => {
    const loaded = await deps.store.load(timer.runId);
    const still = loaded?.timers.find((row) => row.timerId === timer.timerId && row.armedSeq === timer.armedSeq);
    if (!loaded || !still || loaded.run.phase !== 'active') return undefined;
    const { run } = loaded;
    const at = deps.clock.now();
    const fired = { timerId: timer.timerId, armedSeq: timer.armedSeq };
    const cause = { type: timer.event.type, payload: null, source: 'timer' as const, principal: null, effectKey: null };
    try {
      const definition = deps.catalog.definitionFor({ workflow: run.workflow, definitionHash: run.definitionHash, id: run.id });
      const step = plan(definition.machine, run.snapshot, timer.event);
      if (!step.accepted) return { runId: run.id, expect: run.version, at, fired };
      return { ...changeOf({ runId: run.id, expect: run.version, at, cause, step, definition, contractOf: deps.catalog.contract }), fired };
    } catch (error) {
      return { runId: run.id, expect: run.version, at, fired, event: { ...cause, delivered: false }, run: { attention: toRecord(error) } };
    }
  });
  deps.wakes.touch(timer.runId, committed?.ok ? committed.audience : 'workers');
}

/** Outcomes and timers retry a version conflict without limit, with jitter (C3); any other conflict means it is no longer ours. */
export async function untilCommitted(
  deps: Pick<SettleDeps, 'dispatch' | 'clock'>,
  build: () => Promise<Change | undefined>,
): Promise<Committed | undefined> {
  for (let tries = 0; ; tries++) {
    const change = await build();
    if (!change) return undefined;
    const answer = await deps.dispatch.commit(change);
    if (answer.ok || answer.conflict !== 'version') return answer;
    await deps.clock.wait(1 + deps.clock.random() * Math.min(50, 2 ** tries));
  }
}
