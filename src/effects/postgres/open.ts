/**
 * Opens a SQL session on a target for a purpose: the first way that works of those that the ladder allows (design §6).
 * The reason for it, and for every better one that was passed over, stands in the session.
 */
import { AppError } from '../../errors.ts';
import type { BridgeWay } from '../bridge/open-bridge.ts';
import type { Reach } from '../handler.ts';
import type { SqlAddress, SqlLogin } from './address.ts';
import { openDirect } from './direct.ts';
import { openExec, type RunInContainer } from './exec.ts';
import { readOnlyPurposes, type Way, waysFor } from './ladder.ts';
import { type MetaWay, openMeta } from './meta.ts';
import type { Purpose, Rung, SqlSession } from './session.ts';
import { type DockerName, type Marks, marksOf, requireThisDatabase } from './this-database.ts';

/** How SQL reaches a target; secrets are revealed, so it lives only inside one call. */
export type SqlTarget = {
  name: string;
  reach: Reach;
  /** Logins by the Postgres protocol. */
  addresses: readonly SqlAddress[];
  /** Why other addresses were not taken up; sentences. */
  leftOut?: readonly string[];
  /** What the database of the target must show where its name is one of a Docker network. */
  marks?: Marks;
  /** /pg/query, and the logins that may be sent along. */
  meta?: MetaWay & { logins: readonly SqlLogin[] };
  /** psql inside the database container. */
  exec?: {
    run: RunInContainer;
    database?: string;
    /** A password that is wrong is sent along: only a server that trusts the way lets it in. */
    withoutPassword?: true;
  };
  /** A relay beside the target. */
  bridge?: BridgeWay & { logins: readonly SqlLogin[] };
  /** A project of the cloud; without a token nothing is asked. */
  management?: { ref: string; token?: string };
  /** The owner said that somebody else's SQL may run as a superuser here. */
  superuserSql?: boolean;
};

export type OpenOptions = {
  signal?: AbortSignal;
  /** Default of every query, enforced by the server. Default 30 s. */
  timeoutMs?: number;
  /** Seen in pg_stat_activity; an effect gives its key (engine.md E6). */
  applicationName?: string;
  /** Only this rung, for tests and for people who want to know. */
  rung?: Rung;
  /** Another database of the same server, such as `_supabase`. A pooler leads to one database, so it is no way there. */
  database?: string;
  /** Only a superuser's session, for constant SQL of purpose `admin`: ways that lead to another role are passed over. */
  superuser?: true;
};

export const defaultTimeoutMs = 30_000;

/** Throws SQL_NO_WAY with every way and why not; the one error when there was one way only. A superuser's session for somebody else's SQL is SUPERUSER_REFUSED. */
export async function openSession(target: SqlTarget, purpose: Purpose, options: OpenOptions = {}): Promise<SqlSession> {
  const { ways, leftOut: passedOver } = waysFor(purpose, toWays(target));
  const leftOut = [...(target.leftOut ?? []), ...passedOver];
  const wanted = ways.filter(
    (way) => (options.rung === undefined || way.rung === options.rung) && (options.database === undefined || leadsElsewhere(way)),
  );
  const failures: { why: string; error: AppError }[] = [];
  for (const way of wanted) {
    const reasons = [...leftOut, ...failures.map(({ why, error }) => `${why} was tried first: ${error.message}`), `Used: ${way.why}.`];
    try {
      const session = await requireAllowed(await open(target, way, purpose, options, reasons), target, purpose);
      return options.superuser === true ? await requireSuperuser(session) : session;
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
      failures.push({ why: way.why, error });
    }
  }
  const [only] = failures;
  if (only !== undefined && failures.length === 1) throw only.error;
  throw noWay(
    target.name,
    purpose,
    [...failures.map(({ why, error }) => `${why}: ${error.code}: ${error.message}`), ...leftOut],
    failures.some(({ error }) => error.retry === 'later'),
  );
}

function toWays({ addresses, meta, exec, bridge, management, superuserSql }: SqlTarget) {
  const logins = meta?.cryptoKey === undefined ? [] : meta.logins;
  return {
    addresses,
    ...(meta === undefined ? {} : { meta: { logins } }),
    ...(exec === undefined ? {} : { exec: true as const }),
    ...(bridge === undefined ? {} : { bridge: { logins: bridge.logins } }),
    ...(management === undefined ? {} : { management: management.token === undefined ? ('no token' as const) : ('ready' as const) }),
    ...(superuserSql === undefined ? {} : { superuserSql }),
  };
}

async function open(target: SqlTarget, way: Way, purpose: Purpose, options: OpenOptions, reasons: readonly string[]): Promise<SqlSession> {
  const shared = {
    reach: target.reach,
    readOnly: readOnlyPurposes.has(purpose),
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
    reasons,
    applicationName: options.applicationName ?? 'capstan',
    ...(options.signal ? { signal: options.signal } : {}),
  };
  switch (way.rung) {
    case 'direct':
    case 'session-pooler': {
      const address = target.addresses[way.index];
      if (address === undefined) throw new TypeError('the ladder names addresses by their place');
      const session = await openDirect({ ...address, database: options.database ?? address.database }, { ...shared, rung: way.rung });
      return address.docker === undefined ? session : ofThisTarget(session, address.host, address.docker, target, shared);
    }
    case 'meta': {
      if (target.meta === undefined) throw new TypeError('the ladder names ways that are there');
      const login = way.role === null ? null : (target.meta.logins.find(({ role }) => role === way.role) ?? null);
      return openMeta(inDatabase(target.meta, options.database), { ...shared, login });
    }
    case 'exec':
      if (target.exec === undefined) throw new TypeError('the ladder names ways that are there');
      return openExec(target.exec.run, {
        ...shared,
        role: way.role,
        database: options.database ?? target.exec.database ?? 'postgres',
        withoutPassword: target.exec.withoutPassword === true,
      });
    case 'bridge': {
      const { bridge } = target;
      const login = bridge?.logins.find(({ role }) => role === way.role);
      if (bridge === undefined || login === undefined) throw new TypeError('the ladder names ways that are there');
      const { openBridge } = await import('../bridge/open-bridge.ts');
      const database = options.database ?? 'postgres';
      const address = {
        host: new URL(bridge.url).hostname,
        port: 443,
        database,
        user: login.role,
        password: login.password,
        ssl: 'disable',
      } as const;
      return openDirect(address, { ...shared, rung: 'bridge', through: () => openBridge(bridge, target.reach) });
    }
    case 'management': {
      const { ref, token } = target.management ?? {};
      if (ref === undefined || token === undefined) throw new TypeError('the ladder names ways that are there');
      const { openManagementSql } = await import('../supabase/management-sql.ts');
      return openManagementSql({ ref, token, reach: target.reach }, shared);
    }
    default:
      return way satisfies never;
  }
}

type Shared = { reach: Reach; timeoutMs: number; applicationName: string; signal?: AbortSignal };

/** A session under a name of a Docker network, once it is proven to be the target's. */
async function ofThisTarget(session: SqlSession, host: string, name: DockerName, target: SqlTarget, shared: Shared): Promise<SqlSession> {
  const systemIdElsewhere = async () => {
    if (target.meta === undefined) return undefined;
    try {
      return (await marksOf(await openMeta(target.meta, { ...shared, readOnly: true, reasons: [], login: null }))).systemId;
    } catch (error) {
      if (error instanceof AppError && error.code !== 'ABORTED') return undefined; // a way that fails proves nothing
      throw error;
    }
  };
  try {
    await requireThisDatabase(session, { name, host, known: target.marks ?? {}, systemIdElsewhere });
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** A pooler leads to one database, and so do the session that meta opens by itself and the Management API. */
function leadsElsewhere({ rung, role }: Way): boolean {
  return rung !== 'session-pooler' && rung !== 'management' && !(rung === 'meta' && role === null);
}

function inDatabase(meta: MetaWay, name: string | undefined): MetaWay {
  if (name === undefined) return meta;
  const { host, port } = meta.database ?? { host: 'db', port: 5432 };
  return { ...meta, database: { host, port, name } };
}

/** The server's word counts, not the name of the login: a role of any name may be a superuser. */
async function requireAllowed(session: SqlSession, { name, superuserSql }: SqlTarget, purpose: Purpose): Promise<SqlSession> {
  const ofOthers = purpose === 'model-read' || purpose === 'model-write';
  if (!ofOthers || !session.superuser || superuserSql === true) return session;
  await session.close();
  throw new AppError('SUPERUSER_REFUSED', {
    message: `The only login of ${name} on this way (${session.role}) is a superuser's, and SQL that is not our own never runs as one.`,
    fix: 'Hand over a login of another role, such as postgres, with targets add.',
  });
}

async function requireSuperuser(session: SqlSession): Promise<SqlSession> {
  if (session.superuser) return session;
  await session.close();
  throw new AppError('SUPERUSER_MISSING', {
    message: `This way leads to ${session.role}, which is no superuser, and only one may do this.`,
    fix: 'Hand over the password of supabase_admin (POSTGRES_PASSWORD of the stack), or register the Dokploy service, so that psql in the container can be used.',
  });
}

function noWay(name: string, purpose: Purpose, ways: readonly string[], later: boolean): AppError {
  return new AppError('SQL_NO_WAY', {
    message: `No way leads SQL to ${name} for this (${purpose}): ${ways.join(' ')}`.slice(0, 2_000),
    fix: 'Mend one of the ways named, or hand over another address: capstan targets add NAME --connection env:VARIABLE.',
    retry: later ? 'later' : 'never',
    details: { ways },
  });
}
