/** A way through a workflow with every place on it. */
import type { WorkflowLike } from '../engine/registration.ts';
import { edgesAtStart, edgesTaken } from './edges.ts';
import { goOn, type Happening, type Place, rests, startAt, toEvent } from './walk.ts';

/** A path with its places, as walked. */
export type Route = {
  input: unknown;
  start: Place;
  startEdges: string[];
  steps: { happening: Happening; place: Place; edges: string[] }[];
};

/** Routes happenings from an input; undefined where one is not taken. */
export function routeAlong(machine: WorkflowLike['machine'], input: unknown, happenings: readonly Happening[]): Route | undefined {
  const start = startAt(machine, input);
  const route: Route = { input, start, startEdges: edgesAtStart(machine, input), steps: [] };
  let place = start;
  for (const happening of happenings) {
    const next = goOn(machine, place, happening);
    if (!next) return undefined;
    route.steps.push({ happening, place: next, edges: edgesTaken(machine, place.step.snapshot, toEvent(happening)) });
    place = next;
  }
  return route;
}

export function endOf(route: Route): Place {
  return route.steps.at(-1)?.place ?? route.start;
}

/** Goes on by the plainest outcome of whatever is open, at most to `longest` steps. */
export function toRest(machine: WorkflowLike['machine'], at: (place: Place) => Happening[], route: Route, longest: number): Route {
  const steps = [...route.steps];
  for (let place = endOf(route); !rests(place) && steps.length < longest; ) {
    const here = place;
    const taken = at(here)
      .filter((happening) => happening.kind === 'outcome')
      .map((happening) => ({ happening, next: attempt(() => goOn(machine, here, happening)) }))
      .find(({ next }) => next !== undefined);
    if (!taken?.next) break;
    steps.push({ happening: taken.happening, place: taken.next, edges: edgesTaken(machine, here.step.snapshot, toEvent(taken.happening)) });
    place = taken.next;
  }
  return { ...route, steps };
}

function attempt<T>(body: () => T): T | undefined {
  try {
    return body();
  } catch {
    return undefined; // a made-up outcome that the machine cannot take; the search has told it
  }
}

/** The same beginning is one path: those that another one continues are left to it. */
export function withoutPrefixes(routes: readonly Route[]): Route[] {
  const textOf = (route: Route) =>
    [route.input, ...route.steps.map(({ happening }) => happening)].map((each) => `${JSON.stringify(each)}\n`).join('');
  const texts = routes.map(textOf);
  return routes.filter((_, index) => {
    const text = texts[index] ?? '';
    return !texts.some((other, at) => other.startsWith(text) && (other.length > text.length || at < index));
  });
}

/** One step in a few words: `approve`, `deploy done`, `deploy SAMPLE_REFUSED`, `timer …`. */
export function sayOf(happening: Happening): string {
  switch (happening.kind) {
    case 'send':
      return happening.event;
    case 'outcome':
      return `${happening.invokeId} ${'done' in happening.result ? 'done' : happening.result.error.code}`;
    case 'timer':
      return `timer ${happening.timerId}`;
  }
}
