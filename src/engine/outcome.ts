/** The step that an effect's answer causes (engine.md C5, E7); a machine that cannot take it keeps it undelivered and asks. */
import { AppError, type ErrorRecord, toRecord } from '../errors.ts';
import type { Catalog } from './catalog.ts';
import { changeOf } from './change.ts';
import { placeOf } from './place.ts';
import { plan } from './plan.ts';
import type { Change, Clock, Closing, EffectRow, Log, Outside, RunRow } from './ports.ts';

type Answer = { status: 'done' | 'failed' | 'cancelled'; outside: Outside; output?: unknown; error?: ErrorRecord };

export function outcomeChange(
  deps: { catalog: Catalog; clock: Clock; log: Log },
  run: RunRow,
  row: EffectRow,
  close: Closing,
  settlement: Answer,
): Change {
  const at = deps.clock.now();
  const type = settlement.status === 'done' ? `xstate.done.actor.${row.invokeId}` : `xstate.error.actor.${row.invokeId}`;
  const payload = settlement.status === 'done' ? (settlement.output ?? null) : (settlement.error ?? null);
  const event = {
    type,
    actorId: row.invokeId,
    ...(settlement.status === 'done' ? { output: settlement.output } : { error: settlement.error }),
  };
  const cause = { type, payload, source: 'effect' as const, principal: null, effectKey: row.key };
  try {
    const definition = deps.catalog.definitionFor({ workflow: run.workflow, definitionHash: run.definitionHash, id: run.id });
    const step = plan(definition.machine, run.snapshot, event);
    if (!step.accepted)
      throw new AppError('DEFINITION_BUG', {
        message: `The workflow ${run.workflow} refuses the outcome ${type} in the state ${run.state}.`,
        retry: 'ask',
      });
    return { ...changeOf({ runId: run.id, expect: run.version, at, cause, step, definition, contractOf: deps.catalog.contract }), close };
  } catch (error) {
    const record = toRecord(error);
    deps.log.error({ ...placeOf(row), error: record }, 'an outcome could not be delivered');
    return { runId: run.id, expect: run.version, at, close, event: { ...cause, delivered: false }, run: { attention: record } };
  }
}
