/**
 * The paths of a workflow (design §10): every reachable state by its shortest way, and one more way per transition that these leave out.
 * Invariants:
 * 1. Steps are the engine's own pure steps; guards see real payloads and outcomes, one per branch.
 * 2. Two places are the same when state, open effects and timers are the same and no future tells them apart: each transition of one
 *    leads where the same transition of the other leads, for ever.
 * 3. Every path goes on by plain outcomes until it rests, so that it can be run, crashed and judged.
 * 4. What was not reached, cut off or could not be made stands in `leftOut`; an empty list is the only full coverage.
 */
import type { ContractLike } from '../engine/hands-port.ts';
import type { WorkflowLike } from '../engine/registration.ts';
import { activeStates, type Edge, edgesOf, statesOf } from './edges.ts';
import { houseHints } from './house-hints.ts';
import { endOf, type Route, routeAlong, sayOf, toRest, withoutPrefixes } from './route.ts';
import { createSearch, type Search } from './search.ts';
import { createPossible, type Happening, type Hints, type Place, stateOf } from './walk.ts';
import { watchGuards } from './watch.ts';

export type PathStep = Happening & {
  /** The state reached by it. */
  state: string;
  edges: string[];
};

export type Path = {
  /** Number and last step, unique within a report. */
  name: string;
  input: unknown;
  steps: PathStep[];
  /** Where it rests. */
  state: string;
  status: 'active' | 'done';
};

export type PathReport = {
  workflow: string;
  paths: Path[];
  states: { all: number; reached: number };
  transitions: { all: number; covered: number };
  /** Variants and places that lead the same way as an earlier one: tried, and not walked again. */
  alike: number;
  /** Everything that no path covers, one sentence each. */
  leftOut: string[];
};

export type PathOptions = {
  workflow: WorkflowLike;
  contracts: Record<string, ContractLike>;
  hints?: Hints;
  /** Bounds; defaults: 2 000 places, 40 variants per schema, 400 paths, 60 steps. */
  limits?: { places?: number; variants?: number; paths?: number; steps?: number };
};

/** The made-up happenings of a place, as the paths were made from them. */
export function plainOutcome({ workflow, contracts, hints = {}, limits = {} }: PathOptions): (place: Place) => Happening[] {
  return createPossible(workflow, contracts, { hints: merged(houseHints, hints), variants: limits.variants ?? 40 }).at;
}

/** All shortest paths of a workflow plus one per transition that they leave out. Runs nothing. */
export function pathsOf({ workflow, contracts, hints = {}, limits = {} }: PathOptions): PathReport {
  const { places = 2_000, variants = 40, paths: most = 400, steps: longest = 60 } = limits;
  const watched = watchGuards(workflow.machine);
  const possible = createPossible(workflow, contracts, { hints: merged(houseHints, hints), variants });
  const search = createSearch(watched, possible, places);
  const routes = [...search.shortest(), ...search.uncovered(edgesOf(watched.machine))];
  const whole = routes.map((route) => toRest(watched.machine, possible.at, route, longest));
  const kept = withoutPrefixes(whole);
  const paths = kept.slice(0, most).map((route, index) => toPath(route, index + 1));
  return toReport(workflow.name, watched.machine, paths, search, [
    ...[...possible.skipped].flatMap(([what, { skipped, refused, values }]) => [
      ...(values.length === 0 ? [`no sample of ${what} could be made`] : []),
      ...(skipped > 0 ? [`${skipped} further samples of ${what} (limit ${variants})`] : []),
      ...refused.map((why) => `a sample of ${what}: ${why}`),
    ]),
    ...(kept.length > most ? [`${kept.length - most} further paths (limit ${most})`] : []),
  ]);
}

function toPath(route: Route, number: number): Path {
  const end = endOf(route);
  const last = route.steps.at(-1)?.happening;
  return {
    name: `${number} ${last ? sayOf(last) : 'start'} -> ${stateOf(end)}`,
    input: route.input,
    steps: route.steps.map(({ happening, place, edges }) => ({ ...happening, state: stateOf(place), edges })),
    state: stateOf(end),
    status: end.step.snapshot.status === 'active' ? 'active' : 'done',
  };
}

function toReport(workflow: string, machine: WorkflowLike['machine'], paths: Path[], search: Search, leftOut: string[]): PathReport {
  const reached = new Set<string>();
  const covered = new Set<string>();
  for (const path of paths) {
    const route = routeAlong(machine, path.input, path.steps);
    if (!route) throw new TypeError(`the path ${path.name} cannot be walked again`);
    for (const edge of [...route.startEdges, ...route.steps.flatMap(({ edges }) => edges)]) covered.add(edge);
    for (const place of [route.start, ...route.steps.map((step) => step.place)])
      for (const state of activeStates(place.step.snapshot)) reached.add(state);
  }
  const passed = edgesOf(machine).filter((edge: Edge) => covered.has(edge.id));
  for (const edge of passed) for (const state of [edge.source, ...edge.targets]) reached.add(state); // also states left at once by `always`
  const states = statesOf(machine);
  const edges = edgesOf(machine);
  return {
    workflow,
    paths,
    states: { all: states.length, reached: states.filter((state) => reached.has(state)).length },
    transitions: { all: edges.length, covered: edges.filter((edge) => covered.has(edge.id)).length },
    alike: search.alike(),
    leftOut: [
      ...leftOut,
      ...states.filter((state) => !reached.has(state)).map((state) => `the state ${state} was not reached`),
      ...edges.filter((edge) => !covered.has(edge.id)).map((edge) => `the transition ${edge.id} was not taken`),
      ...search.troubles(),
    ],
  };
}

function merged(under: Hints, over: Hints): Hints {
  return {
    ...under,
    ...over,
    outputs: { ...under.outputs, ...over.outputs },
    events: { ...under.events, ...over.events },
  };
}
