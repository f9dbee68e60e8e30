/** The search for paths, on `xstate/graph` over the engine's own steps (createTestModel refuses machines that invoke). */
import type { ActorLogic, Snapshot } from 'xstate';
import { getShortestPaths } from 'xstate/graph';
import { toRecord } from '../errors.ts';
import { type Edge, edgesTaken } from './edges.ts';
import { endOf, type Route, routeAlong, sayOf } from './route.ts';
import { goOn, type Happening, type Place, type Possible, startAt, stateOf, toEvent } from './walk.ts';
import { abstractOf, type Watched } from './watch.ts';

export type Search = {
  /** The shortest way to every place, nearest first. */
  shortest(): Route[];
  /** One way for each of these transitions that no shortest way takes. */
  uncovered(edges: readonly Edge[]): Route[];
  alike(): number;
  troubles(): string[];
};

/** A place as the graph search holds it. */
type Node = Snapshot<unknown> & { place: Place };
type Move = { type: string; happening: Happening };
type Found = { fromKey: string; toKey: string; happening: Happening; edges: string[] };

/** Searches all inputs until no guard looks at anything new; stops widening at `limit` places and says so. */
export function createSearch(watched: Watched, possible: Possible, limit: number): Search {
  let round = searchOnce(watched, possible, limit);
  for (let known = -1; known < watched.paths.size; round = searchOnce(watched, possible, limit)) known = watched.paths.size;
  const { found, alike, troubles } = round;
  const routes = distinctOf(round);
  const taken = new Set(routes.flatMap((route) => [...route.startEdges, ...route.steps.flatMap(({ edges }) => edges)]));
  return {
    shortest: () => routes,
    uncovered: (edges) =>
      edges.flatMap(({ id }) => {
        if (taken.has(id)) return [];
        const start = round.starts.find((route) => route.startEdges.includes(id));
        if (start) {
          for (const edge of start.startEdges) taken.add(edge);
          return [start];
        }
        const ways = found
          .filter((each) => each.edges.includes(id))
          .map((each) => ({ ...each, from: round.byKey.get(each.fromKey) }))
          .sort((a, b) => (a.from?.steps.length ?? 0) - (b.from?.steps.length ?? 0));
        for (const { from, happening } of ways) {
          const route = from && routeAlong(watched.machine, from.input, [...from.steps.map((step) => step.happening), happening]);
          if (!route?.steps.at(-1)?.edges.includes(id)) continue;
          for (const edge of route.steps.flatMap((step) => step.edges)) taken.add(edge);
          return [route];
        }
        return [];
      }),
    alike: () => alike + round.byKey.size - routes.length,
    troubles: () => [...troubles],
  };
}

type Round = { starts: Route[]; routes: Route[]; byKey: Map<string, Route>; found: Found[]; alike: number; troubles: Set<string> };

function searchOnce(watched: Watched, possible: Possible, limit: number): Round {
  const round: Round = { starts: [], routes: [], byKey: new Map(), found: [], alike: 0, troubles: new Set() };
  const paths = new Set(watched.paths); // one meaning of "same place" for the whole round
  const keyOf = (place: Place) => keyOfPlace(place, paths);
  const widened = new Set<string>();
  const moves = (node: Node): Move[] => {
    const key = keyOf(node.place);
    if (widened.size >= limit) round.troubles.add(`places after the first ${limit} were not looked at (limit)`);
    if (widened.size >= limit || node.place.step.snapshot.status !== 'active') return [];
    widened.add(key);
    return movesFrom(watched, possible, node.place, keyOf, round).map((happening) => ({ type: sayOf(happening), happening }));
  };
  const logic: ActorLogic<Node, Move, unknown> = {
    transition: (node, { happening }) => toNode(goOn(watched.machine, node.place, happening) ?? node.place),
    getInitialSnapshot: (_, input) => toNode(startAt(watched.machine, input)),
    getPersistedSnapshot: (node) => node,
  };
  for (const input of possible.inputs) {
    const initial = attempt(() => startAt(watched.machine, input), round, `the input ${JSON.stringify(input)}`);
    const start = initial && routeAlong(watched.machine, input, []);
    if (start) round.starts.push(start);
    if (!initial || round.byKey.has(keyOf(initial))) continue;
    const ways = getShortestPaths(logic, {
      fromState: toNode(initial),
      events: moves,
      serializeState: (node) => keyOf(node.place),
      serializeEvent: ({ happening }) => JSON.stringify(happening),
    });
    for (const way of ways) {
      const happenings = way.steps.flatMap(({ event }) => ('happening' in event ? [event.happening] : [])); // the first step is XState's own init
      const route = routeAlong(watched.machine, input, happenings);
      const key = keyOf(way.state.place);
      if (!route) round.troubles.add(`the way to ${stateOf(way.state.place)} could not be walked again`);
      else if (!round.byKey.has(key) && keyOf(endOf(route)) === key) {
        round.byKey.set(key, route);
        round.routes.push(route);
      }
    }
  }
  return round;
}

/** What may happen here and leads somewhere of its own: of several that take the same transition to the same place, the plainest. */
function movesFrom(watched: Watched, possible: Possible, place: Place, keyOf: (place: Place) => string, round: Round): Happening[] {
  const ways = new Map<string, Happening>();
  const fromKey = keyOf(place);
  for (const happening of possible.at(place)) {
    const next = attempt(() => goOn(watched.machine, place, happening), round, `${sayOf(happening)} in ${stateOf(place)}`);
    if (!next) continue;
    const edges = edgesTaken(watched.machine, place.step.snapshot, toEvent(happening));
    const toKey = keyOf(next);
    const way = `${edges.join()} -> ${toKey}`;
    if (ways.has(way)) {
      round.alike++;
      continue;
    }
    ways.set(way, happening);
    round.found.push({ fromKey, toKey, happening, edges });
  }
  return [...ways.values()];
}

function attempt<T>(body: () => T, round: Round, what: string): T | undefined {
  try {
    return body();
  } catch (error) {
    round.troubles.add(`${what} does not work: ${toRecord(error).message}`);
    return undefined;
  }
}

function toNode(place: Place): Node {
  return { status: 'active', output: undefined, error: undefined, place };
}

function keyOfPlace(place: Place, paths: ReadonlySet<string>): string {
  return `${visible(place)}|${abstractOf(place.step.snapshot.context, paths)}`;
}

/** What is seen of a place without its context. */
function visible({ step, open, timers }: Place): string {
  const { value, status } = step.snapshot;
  return [JSON.stringify(value), status, [...open.keys()].sort(), [...timers.keys()].sort()].join('|');
}

/**
 * The shortest way to each place that some future tells from the others: places of one state, with the same open effects and timers, whose
 * transitions lead on alike for ever, are one. Found by splitting: first by what can be seen, then by where each transition leads.
 */
function distinctOf({ byKey, found }: Round): Route[] {
  const ways = new Map<string, Found[]>();
  for (const way of found) ways.set(way.fromKey, [...(ways.get(way.fromKey) ?? []), way]);
  let classes = new Map([...byKey].map(([key, route]) => [key, visible(endOf(route))]));
  for (let count = 0; count < new Set(classes.values()).size; ) {
    count = new Set(classes.values()).size;
    const numbers = new Map([...new Set(classes.values())].map((name, index) => [name, index]));
    const numberOf = (key: string) => numbers.get(classes.get(key) ?? '') ?? -1;
    classes = new Map(
      [...classes.keys()].map((key) => {
        const onward = new Set((ways.get(key) ?? []).map(({ edges, toKey }) => `${edges.join()} -> ${numberOf(toKey)}`));
        return [key, `${numberOf(key)} ${[...onward].sort().join('; ')}`];
      }),
    );
  }
  const shortest = new Map<string, Route>();
  for (const [key, route] of byKey) {
    const name = classes.get(key) ?? '';
    const known = shortest.get(name);
    if (!known || route.steps.length < known.steps.length) shortest.set(name, route);
  }
  return [...shortest.values()];
}
