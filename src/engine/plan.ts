/**
 * The pure step (engine.md P). Invariants:
 * P1 Only `initialTransition`, `transition`, `getPersistedSnapshot` and a never started actor.
 * P2 One ordered list of operations, reduced per id to its net result; stops come before starts of the same id.
 * P3 A raise without delay has been processed already; accepted means `snapshot.can(event)`.
 * P5 Snapshots are plain JSON of at most 256 KB.
 */
import { type AnyMachineSnapshot, type AnyStateMachine, createActor, initialTransition, transition } from 'xstate';
import { AppError } from '../errors.ts';

/** What a step asks the ledger to do, in order. */
export type Operation =
  | { op: 'start'; invokeId: string; contract: string; input: unknown }
  | { op: 'stop'; invokeId: string }
  | { op: 'arm'; timerId: string; delayMs: number; event: { type: string } }
  | { op: 'disarm'; timerId: string };

export type Step = { accepted: boolean; snapshot: AnyMachineSnapshot; persisted: unknown; operations: Operation[] };

/** The run's first step. Throws DEFINITION_BUG when the machine cannot start. */
export function begin(machine: AnyStateMachine, input: unknown): Step {
  const [snapshot, actions] = initialTransition(machine, input);
  return settle(machine, snapshot, actions);
}

/** Restores without starting: nothing runs, history and children are kept (P1). */
export function restore(machine: AnyStateMachine, persisted: unknown): AnyMachineSnapshot {
  // The stored text is a persisted snapshot of this very machine; XState types it as its own opaque form.
  return createActor(machine, { snapshot: persisted as never }).getSnapshot();
}

/** One event; `accepted: false` leaves everything as it was. Throws DEFINITION_BUG when guard, assign or state fails (C5). */
export function plan(machine: AnyStateMachine, persisted: unknown, event: { type: string }): Step {
  const restored = restore(machine, persisted);
  if (restored.status === 'error') throw definitionBug(machine, `its stored state does not exist in this definition`, restored.error);
  if (!can(machine, restored, event)) return { accepted: false, snapshot: restored, persisted, operations: [] };
  let step: ReturnType<typeof transition>;
  try {
    step = transition(machine, restored, event);
  } catch (cause) {
    throw definitionBug(machine, `a guard or assign threw on ${event.type}`, cause);
  }
  return settle(machine, step[0], step[1]);
}

function can(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: { type: string }): boolean {
  try {
    return snapshot.can(event);
  } catch (cause) {
    throw definitionBug(machine, `a guard threw on ${event.type}`, cause);
  }
}

function settle(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, actions: readonly unknown[]): Step {
  if (snapshot.status === 'error') throw definitionBug(machine, 'the step ended in an error', snapshot.error);
  const text = JSON.stringify(machine.getPersistedSnapshot(snapshot));
  if (text.length > 256 * 1024) throw definitionBug(machine, `its snapshot has ${text.length} bytes; the limit is 262144 (P5)`);
  const persisted: unknown = JSON.parse(text);
  const operations = reduce(actions);
  for (const operation of operations) {
    if (operation.op === 'start' && !(operation.invokeId in snapshot.children))
      throw definitionBug(machine, `${operation.invokeId} was started but is no child`);
  }
  return { accepted: true, snapshot, persisted, operations };
}

function definitionBug(machine: AnyStateMachine, what: string, cause?: unknown): AppError {
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new AppError('DEFINITION_BUG', {
    message: `The workflow ${machine.id} has a fault in its definition: ${what}${reason}.`,
    fix: 'Nothing was changed; report this fault, or cancel or roll back the run.',
    retry: 'ask',
    cause,
  });
}

type RawAction = {
  type: string;
  params?: { id?: string; src?: unknown; input?: unknown; delay?: number; event?: { type: string }; sendId?: string };
};

/** Net result per id (P2): a start stopped later in the same step never becomes an intent; a stop of an older entry stays. */
export function reduce(actions: readonly unknown[]): Operation[] {
  const out: Operation[] = [];
  const drop = (same: (operation: Operation) => boolean) => {
    for (let i = out.length - 1; i >= 0; i--) if (same(out[i] as Operation)) out.splice(i, 1);
  };
  // XState's executable actions are a wide union; only these fields are read and each is checked where used.
  for (const { type, params = {} } of actions as readonly RawAction[]) {
    const id = params.id ?? '';
    switch (type) {
      case 'xstate.spawnChild':
        if (typeof params.src !== 'string') throw new TypeError(`The invoke ${id} has no named source (R1).`);
        out.push({ op: 'start', invokeId: id, contract: params.src, input: params.input ?? {} });
        break;
      case 'xstate.stopChild':
        drop((o) => (o.op === 'start' || o.op === 'stop') && o.invokeId === id);
        out.push({ op: 'stop', invokeId: id });
        break;
      case 'xstate.raise':
        if (params.delay !== undefined && params.event) {
          drop((o) => o.op === 'arm' && o.timerId === id);
          out.push({ op: 'arm', timerId: id, delayMs: params.delay, event: params.event });
        }
        break;
      case 'xstate.cancel':
        drop((o) => (o.op === 'arm' || o.op === 'disarm') && o.timerId === params.sendId);
        out.push({ op: 'disarm', timerId: params.sendId ?? '' });
        break;
      default:
        throw new TypeError(`A machine used the action ${type}; registration should have refused it (R2).`);
    }
  }
  return out;
}
