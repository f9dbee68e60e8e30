/**
 * Rollback (engine.md B). Invariants:
 * B2 Nothing moves before every refusal was looked for; the list is frozen after the drain; undo goes newest settlement first.
 * B3 While rolling back the same request joins and another is refused.
 * B4 An undo that fails stops with the manual step; the person goes on or abandons.
 */
import { AppError, toRecord } from '../errors.ts';
import type { Catalog } from './catalog.ts';
import { locksOf } from './change.ts';
import { isMutating } from './decide.ts';
import type { CheckpointRow, EffectRow, NewEffect, RunRow } from './ports.ts';
import type { EngineDeps } from './runs.ts';
import { untilCommitted } from './settle.ts';

export type UndoItem = {
  effect: string;
  title: string;
  /** `undo` is taken back; `ifItLands` is open and taken back if it happens; `leaves` stays outside and says so. */
  how: 'undo' | 'ifItLands' | 'leaves';
  leaves?: string;
};

export type RollbackPreview = {
  to: number;
  name: string;
  state: string;
  undo: UndoItem[];
  listHash: string;
  refusals: { code: string; message: string; fix: string }[];
};

/** Effects after a checkpoint that changed, or may have changed, the outside; newest settlement first (B2c). */
export function undoList(effects: readonly EffectRow[], catalog: Catalog, to: number): EffectRow[] {
  return effects
    .filter((row) => row.kind === 'do' && row.entrySeq > to && isOwnWrite(catalog, row))
    .filter((row) => row.outside === 'maybe' || row.outside === 'applied' || row.status === 'running')
    .sort(
      (a, b) =>
        latest(b.settledAt) - latest(a.settledAt) ||
        b.createdAt - a.createdAt ||
        latest(b.settledSeq) - latest(a.settledSeq) ||
        b.entrySeq - a.entrySeq,
    );
}

const latest = (value: number | null): number => value ?? Number.MAX_SAFE_INTEGER;

/** A child run is taken back by its own effects, not as a whole (E12). */
function isOwnWrite(catalog: Catalog, row: EffectRow): boolean {
  const contract = catalog.contract(row.contract);
  return isMutating(contract) && contract.child === undefined;
}

/** The first point of no return after the checkpoint that is open, doubtful or done (B2a0). */
export function pointOfNoReturn(effects: readonly EffectRow[], catalog: Catalog, to: number): EffectRow | undefined {
  return effects.find(
    (row) =>
      row.kind === 'do' &&
      row.entrySeq > to &&
      catalog.contract(row.contract).pointOfNoReturn === true &&
      (row.status === 'done' ||
        row.status === 'intent' ||
        row.status === 'running' ||
        row.status === 'cancelling' ||
        row.outside === 'maybe'),
  );
}

/** The checkpoint meant by a number or a name; the latest of a name wins. Throws CHECKPOINT_UNKNOWN with the known ones. */
export function findCheckpoint(rows: readonly CheckpointRow[], to: number | string): { seq: number; name: string; state: string } {
  const live = rows.filter((row) => !row.voided);
  if (to === 0 || to === '0' || to === 'start') return { seq: 0, name: 'start', state: 'start' };
  const found = live.filter((row) => row.seq === Number(to) || row.name === to).at(-1);
  if (found) return found;
  const known = [{ to: 0, name: 'start' }, ...live.map((row) => ({ to: row.seq, name: row.name }))];
  throw new AppError('CHECKPOINT_UNKNOWN', {
    message: `The run has no checkpoint ${JSON.stringify(String(to).slice(0, 40))}.`,
    fix: `Choose one of: ${known.map((row) => `${row.to} (${row.name})`).join(', ')}.`,
    details: { known },
  });
}

/** What a rollback would do and every reason against it; writes nothing (B2a0). */
export async function previewRollback(deps: EngineDeps, run: RunRow, to: number | string, signal: AbortSignal): Promise<RollbackPreview> {
  const checkpoint = findCheckpoint(await deps.store.checkpoints(run.id), to);
  const effects = await deps.store.effectsOfTree(run.id);
  const list = undoList(effects, deps.catalog, checkpoint.seq);
  const refusals = await refusalsOf(deps, effects, list, checkpoint.seq, signal);
  return {
    to: checkpoint.seq,
    name: checkpoint.name,
    state: checkpoint.state,
    undo: list.map((row) => toItem(deps.catalog, row)),
    listHash: deps.crypto.hash(list.map((row) => row.key).sort()),
    refusals,
  };
}

function toItem(catalog: Catalog, row: EffectRow): UndoItem {
  const contract = catalog.contract(row.contract);
  const open = row.status === 'intent' || row.status === 'running' || row.status === 'cancelling';
  return {
    effect: row.key,
    title: contract.title,
    how: open ? 'ifItLands' : 'undo',
    ...(contract.leaves === undefined ? {} : { leaves: contract.leaves }),
  };
}

async function refusalsOf(deps: EngineDeps, effects: EffectRow[], list: EffectRow[], to: number, signal: AbortSignal) {
  const refusals: { code: string; message: string; fix: string }[] = [];
  const barrier = pointOfNoReturn(effects, deps.catalog, to);
  if (barrier) {
    refusals.push({
      code: 'POINT_OF_NO_RETURN',
      message: `"${deps.catalog.contract(barrier.contract).title}" cannot be undone, so the run cannot go back before it.`,
      fix: 'Nothing was changed. Use a workflow that changes or removes the finished instance.',
    });
    return refusals;
  }
  const later = await laterChange(deps, list);
  if (later) refusals.push(later);
  for (const row of list) {
    if (row.status === 'running' || row.status === 'cancelling') continue; // asked again once it rests (B2c)
    const answer = await mayUndo(deps, row, signal);
    if (!answer.ok) refusals.push({ code: answer.code, message: answer.message, fix: answer.fix });
  }
  return refusals;
}

/** Taking back what a later run has built on would break that run (E10). */
async function laterChange(deps: EngineDeps, list: EffectRow[]) {
  for (const row of list) {
    const locks = locksOf(deps.catalog.contract(row.contract), row.input);
    if (locks.length === 0 || row.settledAt === null) continue;
    const later = await deps.store.laterUnderLocks(row.runId, locks, row.settledAt);
    if (!later) continue;
    return {
      code: 'LATER_RUN',
      message: `The run ${later.name} has changed ${later.lock} since, so this run cannot be taken back before it.`,
      fix: `Roll back ${later.name} (${later.runId}) first.`,
    };
  }
  return undefined;
}

async function mayUndo(deps: EngineDeps, row: EffectRow, signal: AbortSignal) {
  if (!deps.hands.abilities(row.contract).mayUndo) return { ok: true as const };
  const { handler } = deps.hands.bind(row.contract, {
    key: row.key,
    runId: row.runId,
    traceId: row.traceId,
    attempt: 0,
    signal,
    progress: () => undefined,
  });
  const sealed = row.hasBefore ? await deps.store.before(row.key) : undefined;
  const before = sealed ? await deps.vault.unseal(`before:${row.key}`, sealed) : undefined;
  try {
    return (await handler.mayUndo?.(row.input, before, row.output ?? undefined)) ?? { ok: true as const };
  } catch (error) {
    const { code, message, fix } = toRecord(error);
    return {
      ok: false as const,
      code,
      message: `Nobody can tell whether it may be taken back: ${message}`,
      fix: fix ?? 'Try again when the other side answers.',
    };
  }
}

/** The next step of a run that rolls back and has nothing open; any process may take any step (B2c-e). */
export async function stepRollback(deps: EngineDeps, runId: string, signal: AbortSignal): Promise<void> {
  const loaded = await deps.store.load(runId);
  if (loaded?.run.phase !== 'rolling_back' || loaded.open.length > 0 || loaded.run.attention || !loaded.run.rollback) return;
  if (loaded.run.rollback.stage === 'draining') await freeze(deps, loaded.run, signal);
  else if (loaded.run.rollback.stage === 'undoing') await finish(deps, loaded.run);
  deps.wakes.touch(runId);
}

async function freeze(deps: EngineDeps, run: RunRow, signal: AbortSignal): Promise<void> {
  const rollback = run.rollback;
  if (!rollback) return;
  const effects = await deps.store.effectsOfTree(run.id);
  const list = undoList(effects, deps.catalog, rollback.to);
  if (list.some((row) => !deps.hands.has(row.contract))) return; // a process that has the handlers takes this step
  const refusals = await refusalsOf(deps, effects, list, rollback.to, signal);
  const strangers = list.filter((row) => !rollback.approved.includes(row.key));
  const against =
    refusals[0] ??
    (strangers.length === 0
      ? undefined
      : {
          code: 'ROLLBACK_LIST_CHANGED',
          message: `While draining, more took place than was approved: ${strangers.map((row) => deps.catalog.contract(row.contract).title).join(', ')}.`,
          fix: 'Nothing was undone. Ask for the rollback again and look at the longer list.',
        });
  await untilCommitted(deps, async () => {
    const current = await deps.store.load(run.id);
    if (current?.run.phase !== 'rolling_back' || current.run.rollback?.stage !== 'draining' || current.open.length > 0) return undefined;
    const base = { runId: run.id, expect: current.run.version, at: deps.clock.now() };
    if (against) return { ...base, run: { attention: { ...against, retry: 'ask' as const } } };
    const open = list.filter((row) => deps.hands.abilities(row.contract).undo).map((row, index) => toUndo(deps.catalog, row, index));
    return { ...base, run: { rollback: { ...rollback, stage: 'undoing' as const } }, open };
  });
}

function toUndo(catalog: Catalog, row: EffectRow, index: number): NewEffect {
  return {
    locks: locksOf(catalog.contract(row.contract), row.input),
    key: `undo:${row.key}`,
    kind: 'undo',
    undoOf: row.key,
    entrySeq: index + 1,
    invokeId: row.invokeId,
    contract: row.contract,
    input: row.input,
  };
}

async function finish(deps: EngineDeps, run: RunRow): Promise<void> {
  const rollback = run.rollback;
  if (!rollback) return;
  const checkpoint = (await deps.store.checkpoints(run.id)).find((row) => row.seq === rollback.to && !row.voided);
  const effects = await deps.store.effectsOfTree(run.id);
  const outside = standsOutside(effects, deps.catalog, rollback.to);
  await untilCommitted(deps, async () => {
    const current = await deps.store.load(run.id);
    if (current?.run.phase !== 'rolling_back' || current.run.rollback?.stage !== 'undoing' || current.open.length > 0) return undefined;
    const at = deps.clock.now();
    const payload = {
      to: rollback.to,
      undone: effects.filter((row) => row.kind === 'undo' && row.status === 'done').map((row) => row.undoOf),
      outside,
    };
    const event = {
      type: 'capstan.rolled_back',
      payload,
      source: 'engine' as const,
      principal: rollback.principal,
      effectKey: null,
      delivered: true,
    };
    const releases = outside.length === 0 || !checkpoint ? { releases: true as const } : {};
    const base = { runId: run.id, expect: current.run.version, at, event, voidAfter: rollback.to, ...releases };
    if (!checkpoint)
      return { ...base, run: { phase: 'cancelled' as const, rollback: null, state: 'cancelled', output: { rolledBackTo: 0, outside } } };
    return {
      ...base,
      run: { phase: 'active' as const, rollback: null, state: checkpoint.state, snapshot: checkpoint.snapshot, output: null, error: null },
      arm: checkpoint.timers.map((timer) => ({ timerId: timer.timerId, dueAt: at + timer.leftMs, event: timer.event })),
    };
  });
}

/** What is still out there after this sequence, each with the contract's own words (B4, B5). */
export function standsOutside(effects: readonly EffectRow[], catalog: Catalog, to: number): { effect: string; what: string }[] {
  return effects
    .filter((row) => row.kind === 'do' && row.entrySeq > to && isOwnWrite(catalog, row))
    .filter((row) => row.outside === 'applied' || row.outside === 'maybe')
    .map((row) => {
      const contract = catalog.contract(row.contract);
      return { effect: row.key, what: contract.leaves ?? `${contract.title}${row.outside === 'maybe' ? ' (not certain)' : ''}` };
    });
}
