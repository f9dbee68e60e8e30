/** Event logs of real runs, kept per released definition and replayed against the rule book (engine.md V). */
import type { AnyStateMachine } from 'xstate';
import { stateText } from '../../src/engine/describe.ts';
import { begin, plan, type Step } from '../../src/engine/plan.ts';
import type { EventRow } from '../../src/engine/ports.ts';

export type RecordedEvent = Pick<EventRow, 'seq' | 'type' | 'payload' | 'source' | 'state'> & {
  /** Invoke ids with their contracts that this step started, in order of name. */
  starts: string[];
};
export type Recording = { workflow: string; revision: number; hash: string; events: RecordedEvent[] };

/** A run's events with what each one started, read from the keys of its effects (P4). */
export function toRecorded(
  events: readonly EventRow[],
  effects: readonly { effect: string; contract: string; kind: string }[],
): RecordedEvent[] {
  return events.map(({ runId, seq, type, payload, source, state }) => {
    const prefix = `${runId}:${seq}:`;
    const own = effects.filter(({ effect, kind }) => kind === 'do' && effect.startsWith(prefix));
    return {
      seq,
      type,
      payload,
      source,
      state,
      starts: own.map(({ effect, contract }) => `${effect.slice(prefix.length)} ${contract}`).sort(),
    };
  });
}

/** Undefined when every event is taken and leads where it led; else the first one that does not, named. */
export function replay(machine: AnyStateMachine, { events }: Recording): string | undefined {
  let stored: unknown;
  for (const recorded of events) {
    const name = `event ${recorded.seq} (${recorded.type})`;
    let step: Step;
    try {
      step = recorded.seq === 1 ? begin(machine, recorded.payload) : plan(machine, stored, toEvent(recorded));
    } catch (error) {
      return `${name} fails: ${String(error)}`;
    }
    if (!step.accepted) return `${name} is no longer taken in the state ${stateText(step.snapshot.value)}`;
    const state = stateText(step.snapshot.value);
    if (state !== recorded.state) return `${name} leads to ${state}; it led to ${recorded.state}`;
    const starts = step.operations.flatMap((each) => (each.op === 'start' ? [`${each.invokeId} ${each.contract}`] : [])).sort();
    if (JSON.stringify(starts) !== JSON.stringify(recorded.starts))
      return `${name} starts [${starts.join(', ')}]; it started [${recorded.starts.join(', ')}]`;
    stored = step.persisted;
  }
  return undefined;
}

/** As the engine made it from its cause (settle.ts, engine.ts). */
function toEvent({ type, payload, source }: RecordedEvent): { type: string } {
  const actorId = type.replace(/^xstate\.(done|error)\.actor\./, '');
  if (source === 'effect') {
    const outcome = type.startsWith('xstate.done.') ? { output: payload } : { error: payload };
    return Object.assign({ type }, { actorId, ...outcome });
  }
  return { ...(typeof payload === 'object' ? payload : {}), type };
}
