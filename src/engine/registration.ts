/**
 * What registration refuses (engine.md R1-R6) and the definition's hash (V1).
 * Everything is read from `machine.config`, so a fault shows before a run can hit it.
 */
import type { AnyStateMachine } from 'xstate';
import { horizonMs, settleOf } from './decide.ts';
import type { ContractLike, Hands, SchemaLike } from './hands-port.ts';

export type WorkflowLike = {
  name: string;
  title: string;
  description: string;
  aliases: readonly string[];
  revision: number;
  machine: AnyStateMachine;
  input: SchemaLike;
  steps: readonly string[];
  show: readonly string[];
  cancel?: 'leave' | 'takeBack' | undefined;
};

/** A machine's config as far as the rules look at it; XState's own type is generic over every name in it. */
type Invoke = { id?: string; src?: unknown; input?: unknown; onDone?: unknown; onError?: unknown };
type StateConfig = {
  id?: string;
  type?: string;
  initial?: unknown;
  states?: Record<string, StateConfig>;
  invoke?: Invoke | Invoke[];
  on?: Record<string, unknown>;
  after?: Record<string, unknown>;
  always?: unknown;
  entry?: unknown;
  exit?: unknown;
  onDone?: unknown;
  tags?: string | string[];
  meta?: {
    title?: string;
    outcome?: string;
    events?: Record<string, { title?: string; payload?: SchemaLike; confirm?: string; secret?: readonly string[] }>;
  };
};

const listOf = (value: unknown): unknown[] => (value === undefined ? [] : Array.isArray(value) ? value : [value]);
const branches = (value: unknown): Record<string, unknown>[] =>
  listOf(value).map((branch) => (typeof branch === 'object' && branch !== null ? (branch as Record<string, unknown>) : { target: branch }));

/** All faults of a workflow, each as a sentence with its rule; an empty list means it may be registered. */
export function faultsOf(
  workflow: WorkflowLike,
  contracts: Record<string, ContractLike>,
  hands: Hands,
  toJsonSchema: (schema: SchemaLike) => unknown,
): string[] {
  const faults: string[] = [];
  const seen = new Set<string>();
  const used = new Set<string>();
  const root = workflow.machine.config as unknown as StateConfig; // see StateConfig
  const visit = (path: string, state: StateConfig, depth: number): void => {
    const say = (rule: string, what: string) => faults.push(`${rule} ${workflow.name}.${path}: ${what}`);
    const invokes = listOf(state.invoke) as Invoke[];
    for (const invoke of invokes) checkInvoke(invoke, seen, used, contracts, workflow.machine.implementations.actors, say);
    if (invokes.length > 0 && state.after) say('R1', '`after` on a state that invokes; give the contract a deadline instead');
    checkActions(state, say);
    checkEvents(state, toJsonSchema, say);
    checkParallel(state, say);
    if (depth === 1 && state.type === 'final' && state.meta?.outcome !== 'done' && state.meta?.outcome !== 'failed') {
      say('R6', 'a root final state needs meta.outcome done or failed');
    }
    for (const [name, inner] of Object.entries(state.states ?? {})) visit(path === '' ? name : `${path}.${name}`, inner, depth + 1);
  };
  visit('', root, 0);
  for (const name of used) {
    const contract = contracts[name];
    if (contract && contract.child === undefined) faults.push(...contractFaults(contract, hands));
  }
  return faults;
}

function checkInvoke(
  invoke: Invoke,
  seen: Set<string>,
  used: Set<string>,
  contracts: Record<string, ContractLike>,
  actors: object,
  say: (rule: string, what: string) => void,
): void {
  const { id, src } = invoke;
  if (typeof id !== 'string' || id === '') say('R1', 'an invoke without id');
  else if (seen.has(id)) say('R1', `the invoke id ${id} twice`);
  else seen.add(id);
  if (typeof src !== 'string' || !(src in contracts)) say('R1', `an invoke whose source ${String(src)} has no contract`);
  else if (!(src in actors)) say('R1', `an invoke whose source ${src} is missing from the machine's actors; use actorOf(contract)`);
  else used.add(src);
  for (const [name, handler] of [
    ['onDone', invoke.onDone],
    ['onError', invoke.onError],
  ] as const) {
    const list = branches(handler);
    if (list.length === 0) say('R1', `the invoke ${id} without ${name}`);
    if (list.at(-1)?.['guard'] !== undefined) say('R1', `the last ${name} branch of ${id} has a guard; an outcome could be lost`);
    if (name === 'onDone' && list.some((branch) => branch['target'] === undefined)) say('R1', `a targetless onDone of ${id}`);
  }
}

const allowedActions = new Set(['xstate.assign', 'xstate.raise', 'xstate.cancel']);

function checkActions(state: StateConfig, say: (rule: string, what: string) => void): void {
  const transitions = [
    ...Object.values(state.on ?? {}),
    ...Object.values(state.after ?? {}),
    state.always,
    state.onDone,
    ...(listOf(state.invoke) as Invoke[]).flatMap((invoke) => [invoke.onDone, invoke.onError]),
  ].flatMap(branches);
  for (const action of [...listOf(state.entry), ...listOf(state.exit), ...transitions.flatMap((branch) => listOf(branch['actions']))]) {
    const type = typeof action === 'function' ? (action as { type?: string }).type : (action as { type?: string }).type;
    if (type === undefined || !allowedActions.has(type))
      say('R2', `an action other than assign, raise or cancel (${type ?? typeof action})`);
    const { delay, id } = action as { delay?: unknown; id?: unknown };
    if (type === 'xstate.raise' && delay !== undefined && id === undefined) say('R2', 'a delayed raise without id');
  }
  for (const event of Object.keys(state.on ?? {})) {
    if (event.includes('*')) say('R2', `the wildcard event ${event}`);
    if (event.startsWith('xstate.') || event === 'cancel' || event === 'rollback') say('R2', `the reserved event name ${event}`);
  }
  for (const delay of Object.keys(state.after ?? {}))
    if (!/^\d+$/.test(delay)) say('R2', `the unnamed delay ${delay}; write it in milliseconds`);
}

function checkEvents(state: StateConfig, toJsonSchema: (schema: SchemaLike) => unknown, say: (rule: string, what: string) => void): void {
  const outside = Object.keys(state.on ?? {});
  if (outside.length === 0) return;
  if (!state.meta?.title) say('R5', 'a waiting state without meta.title');
  for (const event of outside) {
    const meta = state.meta?.events?.[event];
    if (!meta?.title || !meta.payload) {
      say('R5', `the event ${event} without title or payload schema`);
      continue;
    }
    if (meta.confirm !== undefined && meta.secret?.length) say('R5', `the event ${event} asks for approval and carries a secret; split it`);
    try {
      toJsonSchema(meta.payload);
    } catch {
      say('R5', `the payload of ${event} does not convert to JSON Schema`);
    }
  }
}

function checkParallel(state: StateConfig, say: (rule: string, what: string) => void): void {
  if (state.type !== 'parallel') return;
  const failing = Object.values(state.states ?? {}).some((region) =>
    Object.values(region.states ?? {}).some((inner) => inner.type === 'final' && listOf(inner.tags).includes('failed')),
  );
  const unguarded = branches(state.onDone).some((branch) => branch['guard'] === undefined);
  if (failing && unguarded) say('R3', 'a region can end as failed but onDone has no guard');
}

function contractFaults(contract: ContractLike, hands: Hands): string[] {
  if (!hands.has(contract.name)) return [`R4 ${contract.name}: no handler`];
  if (contract.readOnly || contract.local) return [];
  const { probe, undo } = hands.abilities(contract.name);
  const out: string[] = [];
  const longest = Math.max(settleOf(contract), contract.retry?.maxMs ?? 0);
  if (longest >= horizonMs)
    out.push(`E8 ${contract.name}: waits ${longest} ms; from ${horizonMs} ms on a wait is taken for a clock that moved`);
  if (!undo && !contract.pointOfNoReturn && contract.leaves === undefined)
    out.push(`R4 ${contract.name}: mutating without undo, pointOfNoReturn or leaves`);
  if (!probe && !contract.dedupes) out.push(`R4 ${contract.name}: mutating without probe and not declared dedupes`);
  return out;
}

/** What is hashed (V1): the config without titles, the schemas of events and contracts, and the hand-held revision. */
export function definitionOf(
  workflow: WorkflowLike,
  contracts: Record<string, ContractLike>,
  toJsonSchema: (schema: SchemaLike) => unknown,
): unknown {
  const used = new Set<string>();
  const canonical = (value: unknown, key = ''): unknown => {
    if (typeof value === 'function') return 'fn';
    if (Array.isArray(value)) return value.map((item) => canonical(item));
    if (typeof value !== 'object' || value === null) {
      if (key === 'src' && typeof value === 'string') used.add(value);
      return value;
    }
    if ('safeParse' in value) return toJsonSchema(value as SchemaLike); // only zod schemas carry safeParse in a config
    return Object.fromEntries(
      Object.entries(value)
        .filter(([name]) => !(name === 'title' || name === 'description'))
        .map(([name, inner]) => [name, canonical(inner, name)]),
    );
  };
  const config = canonical(workflow.machine.config);
  const schemas = [...used].sort().map((name) => {
    const contract = contracts[name];
    return { name, input: contract && toJsonSchema(contract.input), output: contract && toJsonSchema(contract.output) };
  });
  return { name: workflow.name, revision: workflow.revision, config, contracts: schemas };
}
