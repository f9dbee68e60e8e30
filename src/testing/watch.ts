/**
 * Which parts of the context the guards look at, found by watching them: only those tell two equal states apart.
 * Without this a search would walk every combination of answers that no transition depends on.
 */
import { type AnyStateMachine, createMachine } from 'xstate';

export type Watched = {
  machine: AnyStateMachine;
  /** Dotted context paths that a guard has read so far. */
  paths: Set<string>;
};

type Guard = (args: { context: object; event: unknown }, params: unknown) => boolean;

/** The same machine with guards that note what they read; combinators (`and`, `or`, `not`) are watched through their named parts. */
export function watchGuards(machine: AnyStateMachine): Watched {
  const paths = new Set<string>();
  const watch = (guard: unknown): unknown => {
    if (typeof guard !== 'function' || 'check' in guard) return guard;
    const inner = guard as Guard; // a guard of XState's is called with these two arguments
    const watching: Guard = (args, params) => inner({ ...args, context: spy(args.context, '', paths, 0) }, params);
    return watching;
  };
  const config = mapGuards(machine.config, watch);
  const { guards, ...others } = machine.implementations;
  const watchedGuards = Object.fromEntries(Object.entries(guards).map(([name, guard]) => [name, watch(guard)]));
  // The copy has the config and implementations of a valid machine; XState's types of both are generic over every name in them.
  return { machine: createMachine(config as never, { ...others, guards: watchedGuards } as never), paths };
}

function mapGuards(value: unknown, watch: (guard: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => mapGuards(item, watch));
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === 'guard' ? watch(inner) : key === 'meta' ? inner : mapGuards(inner, watch)]),
  );
}

const depth = 4;

function spy(value: object, at: string, paths: Set<string>, level: number): object {
  return new Proxy(value, {
    get(target, key) {
      const found: unknown = Reflect.get(target, key);
      if (typeof key !== 'string' || typeof found === 'function') return found;
      const path = at === '' ? key : `${at}.${key}`;
      paths.add(path);
      const inside = typeof found === 'object' && found !== null && !Array.isArray(found) && level < depth;
      return inside ? spy(found, path, paths, level + 1) : found;
    },
  });
}

/** What the watched paths hold, as text: small values as they are, objects as present, arrays by content while short. */
export function abstractOf(context: unknown, paths: ReadonlySet<string>): string {
  return [...paths]
    .sort()
    .map((path) => `${path}=${abstract(read(context, path))}`)
    .join(';');
}

function read(context: unknown, path: string): unknown {
  let value = context;
  for (const key of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function abstract(value: unknown): string {
  if (Array.isArray(value)) {
    const text = JSON.stringify(value);
    return text.length <= 64 ? text : `[${Math.min(value.length, 3)}]`;
  }
  if (typeof value === 'object' && value !== null) return '{}';
  return typeof value === 'string' && value.length > 64 ? 'text' : String(JSON.stringify(value));
}
