/** Which containers a deployment makes anew: those whose service, variables or labels change. Pure, as docker compose decides. */
import { parseDocument } from 'yaml';
import { envVariables, parseEnv } from '../../env-text.ts';
import type { PlannedRoute } from './document.ts';

export type Configuration = { env: string; compose: string; routes: readonly PlannedRoute[] };

/** Names of services, in the order of the new text; null when a text is no compose file, so that nobody can tell. */
export function recreatedServices(before: Configuration, after: Configuration): string[] | null {
  const [was, is] = [servicesOf(before.compose), servicesOf(after.compose)];
  if (!was || !is) return null;
  const variables = changedVariables(before.env, after.env);
  return Object.entries(is).flatMap(([name, service]) => {
    const text = JSON.stringify(service);
    const changed =
      JSON.stringify(was[name]) !== text ||
      labelsOf(before, name) !== labelsOf(after, name) ||
      (variables.size > 0 && (readsWholeFile(service) || referencesOf(text).some((variable) => variables.has(variable))));
    return changed ? [name] : [];
  });
}

/** Variables whose value differs, also those that come or go. */
export function changedVariables(before: string, after: string): Set<string> {
  const [was, is] = [envVariables(parseEnv(before)), envVariables(parseEnv(after))];
  return new Set([...was.keys(), ...is.keys()].filter((name) => was.get(name) !== is.get(name)));
}

function servicesOf(compose: string): Record<string, unknown> | null {
  const document = parseDocument(compose, { merge: true });
  if (document.errors.length > 0) return null;
  try {
    const services: unknown = Reflect.get(Object(document.toJS({ maxAliasCount: 1_000 })), 'services');
    return typeof services === 'object' && services !== null && !Array.isArray(services) ? { ...services } : null;
  } catch {
    return null; // too many aliases
  }
}

/** Routes become labels of their service's container. */
function labelsOf({ routes }: Configuration, service: string): string {
  return JSON.stringify(
    routes
      .filter(({ serviceName }) => serviceName === service)
      .map(({ host, https, certificateType, port, path }) => [host, https, certificateType, port, path].join(' '))
      .sort(),
  );
}

/** `env_file` puts every variable into the container. */
function readsWholeFile(service: unknown): boolean {
  return typeof service === 'object' && service !== null && 'env_file' in service;
}

/** `$NAME` and `${NAME…}`; two dollar signs stand for one. */
function referencesOf(text: string): string[] {
  return [...text.replaceAll('$$', '').matchAll(/\$\{?([A-Za-z_]\w*)/g)].map(([, name = '']) => name);
}
