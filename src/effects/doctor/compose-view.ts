/** A compose text as the doctor sees it. Pure; YAML with anchors and merge keys is read as docker compose reads it. */
import { parseDocument } from 'yaml';
import { z } from 'zod';
import type { ComposeFacts, ReferenceFacts, ServiceFacts } from '../../doctor/facts.ts';

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const longPort = z.looseObject({ target: scalar.optional(), published: scalar.optional(), host_ip: z.string().optional() });
const serviceShape = z.looseObject({
  image: z.string().optional().catch(undefined),
  container_name: z.string().optional().catch(undefined),
  ports: z
    .array(z.union([scalar, longPort]))
    .optional()
    .catch(undefined),
  environment: z
    .union([z.record(z.string(), scalar), z.array(z.string())])
    .nullish()
    .catch(undefined),
});
const composeShape = z.looseObject({ services: z.record(z.string(), z.unknown()) });

/** `unreadable` for a text that is no compose file. */
export function readComposeView(text: string): ComposeFacts | 'unreadable' {
  const document = parseDocument(text, { merge: true });
  if (document.errors.length > 0) return 'unreadable';
  const found = composeShape.safeParse(toPlain(document));
  if (!found.success) return 'unreadable';
  const services = Object.entries(found.data.services).map(([name, value]) => readService(name, value));
  return services.length === 0 ? 'unreadable' : { services, references: referencesOf(text) };
}

/** Too many aliases are an attack or a mistake; either way no compose file. */
function toPlain(document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS({ maxAliasCount: 1_000 });
  } catch {
    return undefined;
  }
}

function readService(name: string, value: unknown): ServiceFacts {
  const { image, container_name, ports = [], environment } = serviceShape.catch({}).parse(value);
  return {
    name,
    image: image ?? null,
    containerName: container_name ?? null,
    ports: ports.map(readPort),
    environment: readEnvironment(environment ?? {}),
  };
}

function readPort(port: z.infer<typeof scalar> | z.infer<typeof longPort>): string {
  if (typeof port !== 'object' || port === null) return String(port);
  const { host_ip, published, target } = port;
  return [host_ip, published, target].filter((part) => part !== undefined && part !== null && part !== '').join(':');
}

function readEnvironment(environment: Record<string, z.infer<typeof scalar>> | string[]): Record<string, string> {
  if (!Array.isArray(environment))
    return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, String(value ?? '')]));
  return Object.fromEntries(
    environment.map((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}

/** Every `$NAME` and `${NAME…}` outside comments; `$$` is a dollar sign of the container. */
function referencesOf(text: string): ReferenceFacts[] {
  const found = new Map<string, ReferenceFacts>();
  const code = text.replace(/^\s*#.*$/gm, '').replaceAll('$$', '');
  for (const [, braced, operator, bare] of code.matchAll(/\$(?:\{([A-Za-z_]\w*)(:?[-+?])?|([A-Za-z_]\w*))/g)) {
    const name = braced ?? bare ?? '';
    const optional = operator?.endsWith('-') === true || operator?.endsWith('+') === true;
    found.set(name, { name, optional: optional && (found.get(name)?.optional ?? true) });
  }
  return [...found.values()];
}
