/** A person's word on what Capstan cannot know (engine.md B4, B6). */
import { AppError } from '../errors.ts';
import type { Catalog } from './catalog.ts';
import { changeOf } from './change.ts';
import type { Dispatch } from './dispatch.ts';
import { parse, quoted } from './payload.ts';
import { plan } from './plan.ts';
import type { Clock, EffectRow, RunRow, Store } from './ports.ts';
import { standsOutside } from './rollback.ts';

export type ResolveRequest = {
  run: string;
  effect?: string | undefined;
  as: 'applied' | 'absent' | 'undone' | 'retry' | 'give_up' | 'retry_rollback' | 'abandon_rollback';
  output?: unknown;
  note?: string | undefined;
};

type Deps = { store: Store; dispatch: Dispatch; catalog: Catalog; clock: Clock };

export async function resolveRun(deps: Deps, run: RunRow, open: EffectRow[], request: ResolveRequest): Promise<void> {
  const { store, clock } = deps;
  const rollback = run.rollback;
  if (request.as === 'retry_rollback' || request.as === 'abandon_rollback') {
    if (run.phase !== 'rolling_back' || !rollback)
      throw new AppError('RESOLVE_REFUSED', {
        message: `The run ${run.name} is not rolling back.`,
        fix: 'Look at the run; its error says what can be resolved.',
      });
    if (request.as === 'retry_rollback') {
      for (const row of open) if (row.attention) await store.resolveEffect(row.key, {});
      await store.commit({ runId: run.id, expect: run.version, at: clock.now(), run: { attention: null } });
      return;
    }
    const outside = standsOutside(await store.effectsOfTree(run.id), deps.catalog, rollback.to);
    await store.commit({
      runId: run.id,
      expect: run.version,
      at: clock.now(),
      event: {
        type: 'capstan.rollback_abandoned',
        payload: { outside },
        source: 'principal',
        principal: null,
        effectKey: null,
        delivered: true,
      },
      run: { phase: 'cancelled', rollback: null, attention: null, output: { outside } },
      releases: true,
      dropUndo: true,
    });
    return;
  }
  const row = open.find((candidate) => candidate.attention && (request.effect === undefined || candidate.key === request.effect));
  if (!row)
    throw new AppError('RESOLVE_REFUSED', {
      message: `No effect of ${run.name} needs attention${request.effect ? ` under the key ${quoted(request.effect)}` : ''}.`,
      fix: 'Look at the run; its error names the effect.',
    });
  switch (request.as) {
    case 'retry':
      await store.resolveEffect(row.key, {});
      return;
    case 'absent':
      await store.resolveEffect(row.key, { outside: 'absent' });
      return;
    case 'give_up':
      if (row.kind === 'undo')
        throw new AppError('RESOLVE_REFUSED', {
          message: 'An undo is not given up one by one.',
          fix: 'Use abandon_rollback for the run, or undone for this effect.',
        });
      await store.resolveEffect(row.key, { outside: 'absent', failing: row.attention });
      return;
    case 'undone':
      if (row.kind !== 'undo' || !row.undoOf)
        throw new AppError('RESOLVE_REFUSED', {
          message: 'Only an undo can be resolved as undone.',
          fix: 'Say applied, absent, retry or give_up.',
        });
      await store.commit({
        runId: run.id,
        expect: run.version,
        at: clock.now(),
        close: { key: row.key, token: '', status: 'done', outside: 'undone' },
        undone: [row.undoOf],
      });
      return;
    case 'applied':
      await resolveApplied(deps, run, row, request);
      return;
    default:
      request.as satisfies never;
  }
}

async function resolveApplied(deps: Deps, run: RunRow, row: EffectRow, request: ResolveRequest): Promise<void> {
  const contract = deps.catalog.contract(row.contract);
  const output = parse(contract.output, request.output ?? {}, `the output of ${contract.name}`, 'OUTPUT_INVALID', deps.catalog);
  const definition = deps.catalog.definitionFor(run);
  const event = { type: `xstate.done.actor.${row.invokeId}`, actorId: row.invokeId, output };
  const step = plan(definition.machine, run.snapshot, event);
  if (!step.accepted)
    throw new AppError('RESOLVE_REFUSED', {
      message: `The run ${run.name} no longer waits for this effect.`,
      fix: 'Look at the run again.',
    });
  const cause = { type: event.type, payload: output, source: 'principal' as const, principal: null, effectKey: row.key };
  const change = changeOf({
    runId: run.id,
    expect: run.version,
    at: deps.clock.now(),
    cause,
    step,
    definition,
    contractOf: deps.catalog.contract,
  });
  await deps.dispatch.commit({ ...change, close: { key: row.key, token: '', status: 'done', outside: 'applied', output } });
}
