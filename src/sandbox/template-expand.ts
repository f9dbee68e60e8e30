/**
 * The helpers of a Dokploy template.toml: `${domain}`, `${password:n}`, `${jwt:…}` and their kin.
 * 1. A jwt payload that is no valid JSON is dropped silently; the token then has iss "dokploy" and no role. That is the real server's
 *    behaviour (it made the identical keys of 2025), kept here on purpose.
 */
import { createHmac, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { parse } from 'smol-toml';
import { z } from 'zod';
import { randomLetters } from './ids.ts';

const scalar = z.union([z.string(), z.number(), z.boolean()]);
const templateSchema = z.object({
  variables: z.record(z.string(), z.unknown()).default({}),
  config: z
    .object({
      domains: z
        .array(z.object({ serviceName: z.string(), port: z.number(), host: z.string().optional(), path: z.string().optional() }))
        .default([]),
      env: z.union([z.array(z.union([scalar, z.record(z.string(), scalar)])), z.record(z.string(), scalar)]).default([]),
      mounts: z.array(z.object({ filePath: z.string(), content: z.string() })).default([]),
    })
    .default({ domains: [], env: [], mounts: [] }),
});

export type ExpandedTemplate = {
  domains: { serviceName: string; port: number; host: string; path?: string | undefined }[];
  envs: string[];
  mounts: { filePath: string; content: string }[];
};

/** A host name that resolves to the machine: `<name>-<hex>-<ip>.sslip.io`. */
export function generateHost(name: string, ip: string): string {
  const part = name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return `${part}-${randomBytes(3).toString('hex')}-${ip.replaceAll('.', '-')}.sslip.io`;
}

const base64url = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function makeJwt(secret: string, payload: Record<string, unknown>): string {
  const claims = { iat: Math.floor(Date.now() / 1000), exp: Date.UTC(2030, 0, 1) / 1000, ...payload };
  const withIssuer = 'iss' in claims ? claims : { ...claims, iss: 'dokploy' };
  const text = `${base64url({ alg: 'HS256', typ: 'JWT' })}.${base64url(withIssuer)}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

/** Invariant 1. */
function parsePayload(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    // An object from JSON has string keys.
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function jwt(parameters: string[], variables: Record<string, string>): string {
  const [first, payload] = parameters;
  if (first === undefined) return randomBytes(256).toString('hex');
  if (parameters.length === 1 && /^\d{1,3}$/.test(first)) return randomBytes(Number(first)).toString('hex');
  const text = payload === undefined ? '' : (variables[payload] ?? payload);
  return makeJwt(variables[first] || first, parsePayload(text));
}

type Scope = { name: string; ip: string; variables: Record<string, string> };

/** The value of one helper, or undefined if it is none. */
function helper(expression: string, scope: Scope): string | undefined {
  const [kind = '', ...parameters] = expression.split(':');
  const count = (fallback: number): number => Number.parseInt(parameters[0] ?? '', 10) || fallback;
  const at = (): number => new Date(parameters.join(':')).getTime();
  switch (kind) {
    case 'domain':
      return generateHost(scope.name, scope.ip);
    case 'password':
      return randomLetters(count(16));
    case 'base64':
      return randomBytes(count(32)).toString('base64');
    case 'hash':
      return randomBytes(count(8)).toString('hex').slice(0, count(8));
    case 'uuid':
      return randomUUID();
    case 'timestamp':
      return String(Date.now());
    case 'timestampms':
      return String(parameters.length === 0 ? Date.now() : at());
    case 'timestamps':
      return String(Math.round((parameters.length === 0 ? Date.now() : at()) / 1000));
    case 'randomPort':
      return String(randomInt(65_535));
    case 'jwt':
      return jwt(parameters, scope.variables);
    case 'username':
      return `user${randomLetters(6)}`;
    case 'email':
      return `${randomLetters(8)}@example.com`;
    default:
      return undefined;
  }
}

function expand(text: string, scope: Scope): string {
  const variable = (match: string, name: string) => scope.variables[name] ?? match;
  return text
    .replace(/\$\{([^}]+)\}/g, (match, name: string) => helper(name, scope) ?? variable(match, name))
    .replace(/\$\{([^}]+)\}/g, variable);
}

function expandVariables(raw: Record<string, unknown>, scope: Scope): void {
  const texts = Object.entries(raw).filter((pair): pair is [string, string] => typeof pair[1] === 'string');
  // Helpers that need no other variable first, so that a jwt finds its secret wherever it stands.
  const simple = /^\$\{(domain|password|base64|hash)(:\d+)?\}$/;
  for (const [key, text] of texts) scope.variables[key] = simple.test(text) ? expand(text, scope) : text;
  for (const [key, text] of Object.entries(scope.variables)) scope.variables[key] = expand(text, scope);
}

/** Expands a template.toml; `name` and `ip` go into generated hosts. Throws on text that is no template. */
export function expandTemplate(toml: string, name: string, ip: string): ExpandedTemplate {
  const { variables, config } = templateSchema.parse(parse(toml));
  const scope: Scope = { name, ip, variables: {} };
  expandVariables(variables, scope);
  const line = (entry: z.infer<typeof scalar> | Record<string, z.infer<typeof scalar>>): string => {
    if (typeof entry !== 'object') return expand(String(entry), scope);
    const [key = '', value = ''] = Object.entries(entry)[0] ?? [];
    return `${key}=${value}`;
  };
  const pairs = Array.isArray(config.env) ? config.env : Object.entries(config.env).map(([key, value]) => `${key}=${value}`);
  return {
    domains: config.domains.map((domain) => ({ ...domain, host: domain.host ? expand(domain.host, scope) : generateHost(name, ip) })),
    envs: pairs.map(line),
    mounts: config.mounts.map((mount) => ({ filePath: expand(mount.filePath, scope), content: expand(mount.content, scope) })),
  };
}
