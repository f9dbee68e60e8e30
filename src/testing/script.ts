/** What the outside answers on a path, and what must be true at its end; both follow from the path alone. */

import { isMutating } from '../engine/decide.ts';
import { describe } from '../engine/describe.ts';
import type { ContractLike } from '../engine/hands-port.ts';
import type { ErrorRecord } from '../errors.ts';
import { endOf, type Route } from './route.ts';
import { type Happening, type Place, stateOf, toEvent } from './walk.ts';

/** One entering of an invoking state. */
export type Entry = {
  /** `sequence:invoke`, the key without its run (P4). */
  label: string;
  seq: number;
  invokeId: string;
  contract: string;
  /** What the path says it answers; `hangs` when the state is left before an answer. */
  answer: { done: unknown } | { error: ErrorRecord } | 'hangs';
  /** The run's version at which the answer is due: parallel answers come in the path's order. */
  at: number;
  /** Index of the step that is this answer. */
  step: number | undefined;
};

export type Script = { route: Route; entries: Map<string, Entry> };

export type Expected = {
  state: string;
  phase: 'active' | 'done' | 'failed' | 'cancelled';
  context: string;
  events: string[];
  /** Labels of writes that stand outside. */
  standing: string[];
};

export function scriptOf(route: Route): Script {
  const entries = new Map<string, Entry>();
  const open = new Map<string, Entry>();
  const places = [route.start, ...route.steps.map(({ place }) => place)];
  for (const [index, place] of places.entries()) {
    const seq = index + 1;
    const happening = route.steps[index - 1]?.happening;
    if (happening?.kind === 'outcome') answer(open.get(happening.invokeId), happening, index - 1);
    for (const operation of place.step.operations) {
      if (operation.op !== 'start') continue;
      const { invokeId, contract } = operation;
      const entry: Entry = { label: `${seq}:${invokeId}`, seq, invokeId, contract, answer: 'hangs', at: 0, step: undefined };
      entries.set(entry.label, entry);
      open.set(invokeId, entry);
    }
  }
  return { route, entries };
}

function answer(entry: Entry | undefined, happening: Happening & { kind: 'outcome' }, step: number): void {
  if (!entry) throw new TypeError(`${happening.invokeId} answers without being open`);
  entry.answer = happening.result;
  entry.at = step + 1;
  entry.step = step;
}

/** What a run of this path must be at its end, crashed or not. */
export function expectedOf({ route, entries }: Script, contracts: Record<string, ContractLike>): Expected {
  const end = endOf(route);
  return {
    state: stateOf(end),
    phase: phaseOf(end),
    context: plainContext(end.step.snapshot.context),
    events: ['capstan.started', ...route.steps.map(({ happening }) => toEvent(happening).type)],
    standing: [...entries.values()].filter((entry) => writes(contracts, entry) && stood(entry)).map(({ label }) => label),
  };
}

export function writes(contracts: Record<string, ContractLike>, { contract }: Pick<Entry, 'contract'>): boolean {
  const about = contracts[contract];
  return about !== undefined && isMutating(about);
}

function stood({ answer: given }: Entry): boolean {
  return given !== 'hangs' && 'done' in given;
}

function phaseOf(place: Place): Expected['phase'] {
  return place.step.snapshot.status === 'active' ? 'active' : (describe(place.step.snapshot).outcome ?? 'done');
}

/** Context as comparable text: the ids of secrets handed over differ from run to run. */
export function plainContext(context: unknown): string {
  return JSON.stringify(context).replace(/secret:[\w-]+/g, 'secret:*');
}

/** Fields of an event's payload that carry secret references (S2). */
export function secretFields(place: Place, event: string): readonly string[] {
  return describe(place.step.snapshot).events.find((each) => each.type === event)?.secret ?? [];
}

export function placeAt(route: Route, version: number): Place {
  const place = version <= 1 ? route.start : route.steps[version - 2]?.place;
  if (!place) throw new TypeError(`the path has no version ${version}`);
  return place;
}
