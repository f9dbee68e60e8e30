/** Walking a workflow by the engine's own pure step, with made-up events: no store, no effect, no clock. */
import type { AnyStateMachine } from 'xstate';
import { describe, stateText } from '../engine/describe.ts';
import type { ContractLike } from '../engine/hands-port.ts';
import { begin, type Operation, plan, type Step } from '../engine/plan.ts';
import type { WorkflowLike } from '../engine/registration.ts';
import type { ErrorRecord } from '../errors.ts';
import { type Samples, samplesOf } from './sample.ts';

/** What happens in one step of a path. */
export type Happening =
  | { kind: 'send'; event: string; payload: Record<string, unknown> }
  | { kind: 'outcome'; invokeId: string; contract: string; result: { done: unknown } | { error: ErrorRecord } }
  | { kind: 'timer'; timerId: string; event: { type: string } };

/** Where a run is: the planned step, what is open and what is armed. */
export type Place = {
  step: Step;
  open: ReadonlyMap<string, string>;
  timers: ReadonlyMap<string, { type: string }>;
};

/** What a schema cannot say: fields of inputs, payloads by event, outputs by contract. They replace the made-up ones. */
export type Hints = {
  input?: Record<string, unknown>;
  events?: Record<string, Record<string, unknown>>;
  outputs?: Record<string, unknown>;
};

export const refusedRecord: ErrorRecord = {
  code: 'SAMPLE_REFUSED',
  message: 'The other side refused this made-up request.',
  fix: 'Nothing; this is a test.',
  retry: 'never',
};
export const exhaustedRecord: ErrorRecord = {
  code: 'SAMPLE_EXHAUSTED',
  message: 'The other side never answered this made-up request.',
  fix: 'Nothing; this is a test.',
  retry: 'later',
};

export function startAt(machine: AnyStateMachine, input: unknown): Place {
  return settle({ open: new Map(), timers: new Map() }, begin(machine, input), undefined);
}

/** One step on. Throws DEFINITION_BUG as the engine would; undefined when the event is not taken. */
export function goOn(machine: AnyStateMachine, place: Place, happening: Happening): Place | undefined {
  const step = plan(machine, place.step.persisted, toEvent(happening));
  return step.accepted ? settle(place, step, happening) : undefined;
}

export function toEvent(happening: Happening): { type: string; [key: string]: unknown } {
  switch (happening.kind) {
    case 'send':
      return { ...happening.payload, type: happening.event };
    case 'outcome': {
      const { invokeId: actorId, result } = happening;
      return 'done' in result
        ? { type: `xstate.done.actor.${actorId}`, actorId, output: result.done }
        : { type: `xstate.error.actor.${actorId}`, actorId, error: result.error };
    }
    case 'timer':
      return happening.event;
  }
}

/** True when nothing is under way: a person, an agent or a timer is next, or the run has ended. */
export function rests(place: Place): boolean {
  return place.open.size === 0 || place.step.snapshot.status !== 'active';
}

export function stateOf(place: Place): string {
  return stateText(place.step.snapshot.value);
}

function settle(before: Pick<Place, 'open' | 'timers'>, step: Step, happening: Happening | undefined): Place {
  const open = new Map(before.open);
  const timers = new Map(before.timers);
  if (happening?.kind === 'outcome') open.delete(happening.invokeId);
  if (happening?.kind === 'timer') timers.delete(happening.timerId);
  for (const operation of step.operations) apply(operation, open, timers);
  if (step.snapshot.status !== 'active') {
    open.clear();
    timers.clear();
  }
  return { step, open, timers };
}

function apply(operation: Operation, open: Map<string, string>, timers: Map<string, { type: string }>): void {
  switch (operation.op) {
    case 'start':
      open.set(operation.invokeId, operation.contract);
      return;
    case 'stop':
      open.delete(operation.invokeId);
      return;
    case 'arm':
      timers.set(operation.timerId, operation.event);
      return;
    case 'disarm':
      timers.delete(operation.timerId);
      return;
    default:
      operation satisfies never;
  }
}

export type Possible = {
  /** Everything that can happen in a place, plainest first. */
  at(place: Place): Happening[];
  inputs: unknown[];
  /** Variants cut off by the limit, and why others could not be made. */
  skipped: Map<string, Samples>;
};

/** Made-up happenings of a workflow, from its schemas and hints; every schema is sampled once. */
export function createPossible(
  workflow: WorkflowLike,
  contracts: Record<string, ContractLike>,
  { hints, variants: limit }: { hints: Hints; variants: number },
): Possible {
  const skipped = new Map<string, Samples>();
  const cache = new Map<string, unknown[]>();
  const sampled = (what: string, schema: Parameters<typeof samplesOf>[0], hint: unknown): unknown[] => {
    const known = cache.get(what);
    if (known) return known;
    const made = samplesOf(schema, { limit, ...(hint === undefined ? {} : { hint }) });
    if (made.skipped > 0 || made.refused.length > 0 || made.values.length === 0) skipped.set(what, made);
    cache.set(what, made.values);
    return made.values;
  };
  return {
    skipped,
    inputs: sampled('the input', workflow.input, hints.input),
    at(place) {
      const state = stateOf(place);
      const outcomes = [...place.open].flatMap(([invokeId, contract]) => {
        const about = contracts[contract];
        const done = about ? sampled(`the output of ${contract}`, about.output, hints.outputs?.[contract]) : [];
        const results = [...done.map((value) => ({ done: value })), { error: refusedRecord }, { error: exhaustedRecord }];
        return results.map((result): Happening => ({ kind: 'outcome', invokeId, contract, result }));
      });
      const sent = describe(place.step.snapshot).events.flatMap(({ type, payload }) =>
        sampled(`the payload of ${type} in ${state}`, payload, hints.events?.[type]).map(
          (value): Happening => ({ kind: 'send', event: type, payload: value as Record<string, unknown> }), // payloads are objects (the engine spreads them)
        ),
      );
      const fired = [...place.timers].map(([timerId, event]): Happening => ({ kind: 'timer', timerId, event }));
      return [...outcomes, ...sent, ...fired];
    },
  };
}
