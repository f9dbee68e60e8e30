/**
 * Which way SQL goes, decided without trying (design §6). Pure. Invariants:
 * 1. Order: direct, pooler in session mode, /pg/query, the bridge, container exec, the Management API of the cloud. A pooler in transaction mode is never a way: settings of a session would not last.
 *    Design §6 names the bridge last, since it has to be deployed first; one that stands keeps a session and costs Dokploy nothing, while exec is a
 *    program, a schedule and a log per statement.
 * 2. Roles follow the purpose. Somebody else's SQL never gets a superuser, unless the owner of the target said `sql: superuser`.
 * 3. Each way that is left out leaves a sentence.
 */
import type { SqlAddress, SqlLogin } from './address.ts';
import type { Purpose, Rung } from './session.ts';

/** What there is to choose from; secrets stay outside. */
export type Ways = {
  addresses: readonly Pick<SqlAddress, 'host' | 'user' | 'mode' | 'role'>[];
  /** /pg/query: which logins can be sent along (needs PG_META_CRYPTO_KEY), and whether the service key is there. */
  meta?: { logins: readonly Pick<SqlLogin, 'role'>[] };
  exec?: true;
  /** A relay beside the target, and whose logins are known. */
  bridge?: { logins: readonly Pick<SqlLogin, 'role'>[] };
  /** A project of the cloud, and whether an access token for its Management API is there. */
  management?: 'ready' | 'no token';
  superuserSql?: boolean;
};

export type Way =
  | { rung: 'direct' | 'session-pooler'; index: number; role: string; why: string }
  /** `role: null` means the session that meta opens by itself, which may be a superuser's. */
  | { rung: 'meta'; role: string | null; why: string }
  | { rung: 'exec' | 'bridge' | 'management'; role: string; why: string };

export const readOnlyRole = 'supabase_read_only_user';
export const superuserRole = 'supabase_admin';

const order: Record<Purpose, readonly string[]> = {
  read: [readOnlyRole, 'postgres'],
  // The reading role may not see the activity of others (pg_monitor).
  watch: ['postgres', readOnlyRole],
  'model-read': [readOnlyRole, 'postgres'],
  'model-write': ['postgres'],
  ddl: ['postgres'],
  admin: [superuserRole, 'postgres'],
  dump: ['postgres', superuserRole],
};

export const readOnlyPurposes: ReadonlySet<Purpose> = new Set(['read', 'watch', 'model-read', 'dump']);
const modelPurposes: ReadonlySet<Purpose> = new Set(['model-read', 'model-write']);

/** Every way that the purpose allows, best first, and why the others were left out. */
export function waysFor(purpose: Purpose, ways: Ways): { ways: Way[]; leftOut: string[] } {
  const leftOut: string[] = [];
  const direct = overWire('direct', purpose, ways, leftOut);
  const pooled = overWire('session-pooler', purpose, ways, leftOut);
  return {
    ways: [
      ...direct,
      ...pooled,
      ...overMeta(purpose, ways, leftOut),
      ...overBridge(purpose, ways, leftOut),
      ...overExec(purpose, ways, leftOut),
      ...overManagement(purpose, ways, leftOut),
    ],
    leftOut,
  };
}

function overWire(rung: 'direct' | 'session-pooler', purpose: Purpose, ways: Ways, leftOut: string[]): Way[] {
  const wanted = rung === 'direct' ? 'direct' : 'session';
  const all = ways.addresses.map((address, index) => ({
    index,
    host: address.host,
    mode: address.mode ?? 'direct',
    role: address.role ?? address.user,
  }));
  if (rung === 'session-pooler' && all.some(({ mode }) => mode === 'transaction'))
    leftOut.push('The pooler in transaction mode was left out, since settings of a session do not last there.');
  const here = all.filter(({ mode }) => mode === wanted);
  if (here.length === 0) {
    leftOut.push(rung === 'direct' ? 'There is no address of the database itself.' : 'There is no pooler in session mode.');
    return [];
  }
  const allowed = here.filter(({ role }) => mayBe(role, purpose, ways));
  if (allowed.length === 0) leftOut.push(`${words[rung]} was left out, since its only login is a superuser's.`);
  return byRole(allowed, purpose).map(({ index, host, role }) => ({ rung, index, role, why: `${words[rung]} at ${host} as ${role}` }));
}

const words: Record<Rung, string> = {
  direct: 'The database itself',
  'session-pooler': 'The pooler in session mode',
  meta: '/pg/query with the service key',
  exec: 'psql inside the database container, by a disabled Dokploy schedule',
  bridge: 'The bridge beside the target',
  management: 'The Management API of the cloud',
};

function overMeta(purpose: Purpose, ways: Ways, leftOut: string[]): Way[] {
  if (purpose === 'dump') return [];
  if (ways.meta === undefined) {
    leftOut.push('/pg/query needs the address of the API and the service role key.');
    return [];
  }
  const logins = ways.meta.logins.filter(({ role }) => mayBe(role, purpose, ways));
  const named = byRole(logins, purpose).map(({ role }): Way => ({ rung: 'meta', role, why: `${words.meta} as ${role}` }));
  // Our own constant SQL may use the session that meta opens by itself; a change of the schema would then belong to the wrong owner.
  const own: Way = { rung: 'meta', role: null, why: `${words.meta}, in the session that meta opens by itself` };
  if (purpose === 'read' || purpose === 'watch' || purpose === 'admin' || ways.superuserSql === true)
    return purpose === 'admin' ? [own, ...named] : [...named, own];
  if (named.length === 0)
    leftOut.push('/pg/query was left out: its own session may be a superuser’s, and another role needs PG_META_CRYPTO_KEY and a password.');
  return named;
}

function overExec(purpose: Purpose, ways: Ways, leftOut: string[]): Way[] {
  if (purpose === 'dump') return [];
  if (ways.exec === undefined) {
    leftOut.push('Container exec needs a service on a Dokploy.');
    return [];
  }
  return order[purpose].map((role) => ({ rung: 'exec', role, why: `${words.exec}, as ${role}` }));
}

function overBridge(purpose: Purpose, ways: Ways, leftOut: string[]): Way[] {
  if (ways.bridge === undefined) {
    leftOut.push('There is no bridge; install-bridge deploys one.');
    return [];
  }
  const logins = ways.bridge.logins.filter(({ role }) => mayBe(role, purpose, ways));
  return byRole(logins, purpose).map(({ role }) => ({ rung: 'bridge', role, why: `${words.bridge}, as ${role}` }));
}

function overManagement(purpose: Purpose, { management }: Ways, leftOut: string[]): Way[] {
  if (management === undefined || purpose === 'dump') return [];
  if (management === 'no token') {
    leftOut.push('The Management API needs an access token of the project (--secret accessToken=env:VARIABLE).');
    return [];
  }
  if (!readOnlyPurposes.has(purpose)) {
    leftOut.push('The Management API was left out: it is only read by, since a change there cannot be one with the note that it ran.');
    return [];
  }
  return [{ rung: 'management', role: readOnlyRole, why: `${words.management}, reading as ${readOnlyRole}` }];
}

function mayBe(role: string, purpose: Purpose, { superuserSql }: Ways): boolean {
  if (role !== superuserRole) return true;
  return modelPurposes.has(purpose) ? superuserSql === true : purpose !== 'ddl';
}

/** Roles of the purpose first, in its order; others after them; a superuser last unless it is asked for. */
function byRole<T extends { role: string }>(all: readonly T[], purpose: Purpose): T[] {
  const rank = ({ role }: T) => {
    const at = order[purpose].indexOf(role);
    if (at >= 0) return at;
    return role === superuserRole ? 100 : 50;
  };
  return [...all].sort((one, other) => rank(one) - rank(other));
}
