/** What an address is, told from host, port and user alone (facts: Supabase §3). Pure. */
import type { Connection, ConnectionKind, ConnectionMode, ConnectionWarning } from './connection-string.ts';

type Known = { host: string; port: number; user: string; options: Readonly<Record<string, string>> };
export type Judged = Pick<Connection, 'kind' | 'mode' | 'role' | 'tenant'> & { warnings: ConnectionWarning[] };

const transactionPort = 6543;
const loopback = new Set(['localhost', '127.0.0.1', '::1', '0.0.0.0']);
/** Names that mean the pooler inside a stack's network. */
const poolerHosts = new Set(['supavisor', 'supabase-pooler', 'pooler', 'pgbouncer']);

/** Kind, mode, role and tenant, with what they mean in practice. */
export function kindOf({ host, port, user, options }: Known): Judged {
  const name = host.toLowerCase();
  const reference = /(?:^|\s|=)(?:-c\s*)?reference=([\w-]+)/.exec(options['options'] ?? '')?.[1] ?? null;
  const cloud = /^db\.([a-z0-9]+)\.supabase\.(co|com|in|red)$/.exec(name);
  const dotted = splitUser(user);
  const byName = (kind: ConnectionKind, mode: ConnectionMode, rest: Partial<Judged> = {}): Judged => {
    const judged = { kind, mode, role: user, tenant: reference, ...rest };
    return { ...judged, warnings: [...(rest.warnings ?? []), ...modeWarnings(mode)] };
  };

  if (name.startsWith('/')) return byName('unix-socket', 'direct');
  if (name.endsWith('.pooler.supabase.com'))
    return byName('cloud-pooler', port === transactionPort ? 'transaction' : 'session', {
      ...pooled(dotted, user, reference),
      warnings: tenantWarnings(dotted ?? reference),
    });
  if (cloud !== null) {
    const [, ref = '', top] = cloud;
    const warnings =
      top === 'com' ? [{ code: 'CLOUD_HOST_WRONG', say: 'The host of a project ends with .supabase.co, not .supabase.com.' }] : [];
    const ipv6 = {
      code: 'IPV6_ONLY',
      say: 'This host has an IPv6 address only, unless the project bought the IPv4 add-on; else use the session pooler.',
    };
    return port === transactionPort
      ? byName('cloud-dedicated-pooler', 'transaction', { tenant: ref, warnings: [...warnings, ipv6] })
      : byName('cloud-direct', 'direct', { tenant: ref, warnings: [...warnings, ipv6] });
  }
  if (loopback.has(name) && (port === 54_322 || port === 54_320)) return byName('local-stack', 'direct');
  if (loopback.has(name) && port === 54_329) return byName('local-stack', 'transaction', pooled(dotted, user, reference));
  if (poolerHosts.has(name) || port === transactionPort || dotted !== undefined)
    return throughPooler(name, port, user, dotted, reference, byName);
  if (!loopback.has(name) && !name.includes('.') && !name.includes(':'))
    return byName('docker-internal', 'direct', { warnings: [dockerOnly(name)] });
  return byName('direct', 'direct');
}

type ByName = (kind: ConnectionKind, mode: ConnectionMode, rest?: Partial<Judged>) => Judged;

function throughPooler(
  name: string,
  port: number,
  user: string,
  dotted: [string, string] | undefined,
  reference: string | null,
  byName: ByName,
): Judged {
  const inside = poolerHosts.has(name);
  const mode = port === transactionPort ? 'transaction' : 'session';
  const warnings = inside ? [dockerOnly(name)] : [];
  if (name === 'pgbouncer') return byName('pgbouncer', 'transaction', { warnings });
  return byName(inside ? 'docker-internal' : 'supavisor', mode, {
    ...pooled(dotted, user, reference),
    warnings: [...warnings, ...tenantWarnings(dotted ?? reference)],
  });
}

/** `role.tenant`: Supavisor cuts at the last dot. */
function splitUser(user: string): [string, string] | undefined {
  const at = user.lastIndexOf('.');
  return at > 0 && at < user.length - 1 ? [user.slice(0, at), user.slice(at + 1)] : undefined;
}

function pooled(dotted: [string, string] | undefined, user: string, reference: string | null): Pick<Judged, 'role' | 'tenant'> {
  return { role: dotted?.[0] ?? user, tenant: dotted?.[1] ?? reference };
}

function tenantWarnings(found: unknown): ConnectionWarning[] {
  if (found !== null && found !== undefined) return [];
  const say =
    'Through Supavisor the user is role.tenant, such as postgres.your-tenant-id; without it the answer is "Tenant or user not found".';
  return [{ code: 'TENANT_MISSING', say }];
}

function modeWarnings(mode: ConnectionMode): ConnectionWarning[] {
  if (mode !== 'transaction') return [];
  return [
    {
      code: 'TRANSACTION_MODE',
      say: 'Transaction mode keeps nothing of a session: no SET, LISTEN, advisory locks or temporary tables; schema changes and dumps never go this way.',
    },
    {
      code: 'NO_PREPARED_STATEMENTS',
      say: 'Named prepared statements fail here: postgres.js needs prepare: false, Prisma pgbouncer=true.',
    },
  ];
}

function dockerOnly(name: string): ConnectionWarning {
  return {
    code: 'DOCKER_INTERNAL',
    say: `The name ${name.length > 60 ? 'of this host' : name} resolves inside the Docker network of the stack only.`,
  };
}
