/** What a deployment of the stored texts would change in the containers that run. Pure; what cannot be told is said. */
import { parseDocument } from 'yaml';
import { envVariables, parseEnv } from '../../env-text.ts';

/** A container as Docker tells of it. */
export type Running = { service: string; image: string; env: readonly string[] };

export type Pending = {
  /** Services whose variables or image differ from what is stored, or that have no container. */
  recreated: string[];
  /** Names of variables by service, never values. */
  why: Record<string, string>;
};

/** Null when the compose text is none, so that nothing can be told. */
export function pendingChanges(compose: string, env: string, running: readonly Running[]): Pending | null {
  const document = parseDocument(compose, { merge: true });
  if (document.errors.length > 0) return null;
  const services: unknown = Reflect.get(Object(document.toJS({ maxAliasCount: 1_000 })), 'services');
  if (typeof services !== 'object' || services === null || Array.isArray(services)) return null;
  const variables = envVariables(parseEnv(env));
  const pending: Pending = { recreated: [], why: {} };
  for (const [service, definition] of Object.entries(services)) {
    const found = running.find((each) => each.service === service);
    const reason = found ? differing(definition, variables, found) : 'has no container';
    if (reason === '') continue;
    pending.recreated.push(service);
    pending.why[service] = reason;
  }
  return pending;
}

function differing(definition: unknown, variables: ReadonlyMap<string, string>, { image, env }: Running): string {
  const has = new Map(env.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
  const wanted = environmentOf(definition, variables);
  const names = [...wanted].filter(([name, value]) => has.get(name) !== value).map(([name]) => name);
  const stored = interpolated(Reflect.get(Object(definition), 'image'), variables);
  return [...(stored !== '' && stored !== image ? ['image'] : []), ...names].join(', ');
}

function environmentOf(definition: unknown, variables: ReadonlyMap<string, string>): Map<string, string> {
  const environment: unknown = Reflect.get(Object(definition), 'environment');
  const entries = Array.isArray(environment)
    ? environment.filter((line) => typeof line === 'string').map((line: string) => splitEntry(line))
    : Object.entries(Object(environment));
  return new Map(
    entries.map(([name, value]) => [
      name,
      value === null || value === undefined ? (variables.get(name) ?? '') : interpolated(value, variables),
    ]),
  );
}

function splitEntry(line: string): [string, string | undefined] {
  const at = line.indexOf('=');
  return at < 0 ? [line, undefined] : [line.slice(0, at), line.slice(at + 1)];
}

/** As docker compose fills in: `$NAME`, `${NAME}`, `${NAME:-other}`, `${NAME-other}`, `${NAME:?…}`; two dollars stand for one. */
export function interpolated(value: unknown, variables: ReadonlyMap<string, string>): string {
  if (typeof value !== 'string') return value === null || value === undefined ? '' : String(value);
  return value.replace(/\$\$|\$\{([A-Za-z_]\w*)(?:(:?[-?+])([^{}]*))?\}|\$([A-Za-z_]\w*)/g, (all, braced, operator, other, bare) => {
    if (all === '$$') return '$';
    const known = variables.get(braced ?? bare);
    const empty = known === undefined || (known === '' && String(operator ?? '').startsWith(':'));
    if (operator?.endsWith('-')) return empty ? String(other ?? '') : known;
    if (operator?.endsWith('+')) return empty ? '' : String(other ?? '');
    return known ?? '';
  });
}
