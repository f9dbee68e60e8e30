/** Where the Postgres of a target is reached for dumps: for our own session by pg, and for pg_dump and pg_restore by libpq. */
import { rootCertificates } from 'node:tls';
import type { Client } from 'pg';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { refuseMetadata } from '../http/addresses.ts';
import { overrideOf, trustedRoots } from '../http/reach.ts';
import type { SslMode } from '../postgres/address.ts';
import { parseConnection } from '../postgres/connection-string.ts';
import { serverTls } from '../postgres/server-tls.ts';
import { describeTlsFault, tlsFaultOf } from '../tls/tls-errors.ts';

export type DatabasePlace = {
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  /** As libpq names it; default `prefer`. */
  sslmode: SslMode;
  /** An authority of the owner's, and where its host is really found; TLS names stay the original ones. */
  reach?: Reach;
  /** The bridge that the host stands for, which is then a folder (bridge/local-way.ts). */
  bridge?: {
    url: string;
    /** Ms since the epoch; null where nobody noted it. */
    until: number | null;
  };
};

/** Reads the target's connection string. Throws CONNECTION_STRING_INVALID and DATABASE_URL_INVALID, which never hold a part of the text. */
export function parseDatabaseUrl(text: string): DatabasePlace {
  const { host, port, user, password, database, ssl, mode } = parseConnection(text);
  const invalid = (what: string) =>
    new AppError('DATABASE_URL_INVALID', {
      message: `The target's connection string cannot be used for backups: ${what}.`,
      fix: 'Store a direct or session connection with its password, such as postgres://supabase_admin:PASSWORD@db.example.com:5432/postgres.',
    });
  if (mode === 'transaction') throw invalid('it leads to a transaction pooler, over which nothing can be dumped');
  if (password === null) throw invalid('it holds no password');
  return { host, port, user, password, database, sslmode: ssl };
}

/** Settings under which the same rows always give the same text. */
const plainText =
  '-c TimeZone=UTC -c bytea_output=hex -c DateStyle=ISO,YMD -c IntervalStyle=postgres -c extra_float_digits=3 -c statement_timeout=0 -c idle_in_transaction_session_timeout=0';

/** What a libpq program needs; the password is in `secretFile` alone, and `rootsFile` is what it checks certificates with. */
export function libpqOf(place: DatabasePlace, applicationName: string, database = place.database) {
  const quote = (value: string) => `'${value.replace(/[\\']/g, '\\$&')}'`;
  const inPassFile = (value: string) => value.replace(/[\\:]/g, '\\$&');
  const override = overrideOf(place.reach ?? {}, place.host, place.port);
  // libpq 15 knows no system roots by itself: whoever wants a check gets them with the owner's authority.
  const checks = place.sslmode.startsWith('verify') || (place.sslmode === 'require' && place.reach?.ca !== undefined);
  const roots = checks ? (trustedRoots(place.reach ?? {}) ?? rootCertificates).join('\n') : undefined;
  return {
    dbname: [
      `host=${quote(place.host)} port=${override?.port ?? place.port} user=${quote(place.user)} dbname=${quote(database)}`,
      `sslmode=${place.sslmode} connect_timeout=15`,
      ...(override ? [`hostaddr=${quote(override.address)}`] : []),
      ...(roots === undefined ? [] : ['sslrootcert=/dev/fd/4']),
    ].join(' '),
    ...(roots === undefined ? {} : { rootsFile: roots }),
    env: { PGPASSFILE: '/dev/fd/3', PGAPPNAME: applicationName.slice(0, 63), PGOPTIONS: plainText },
    secretFile: `*:*:*:*:${inPassFile(place.password)}\n`,
    secrets: [place.password],
  };
}

/** Opens a session, or throws DATABASE_UNREACHABLE, DATABASE_REFUSED. */
export async function openSession(place: DatabasePlace, applicationName: string, database = place.database): Promise<Client> {
  const { default: pg } = await import('pg');
  const ways = place.sslmode === 'disable' ? [false] : place.sslmode === 'prefer' || place.sslmode === 'allow' ? [true, false] : [true];
  const override = overrideOf(place.reach ?? {}, place.host, place.port);
  if (!place.host.startsWith('/')) refuseMetadata(override?.address ?? place.host);
  for (const tls of ways) {
    const client = new pg.Client({
      host: override?.address ?? place.host,
      port: override?.port ?? place.port,
      user: place.user,
      password: place.password,
      database,
      application_name: applicationName.slice(0, 63),
      connectionTimeoutMillis: 15_000,
      options: plainText,
      ...(tls ? { ssl: serverTls({ host: place.host, ssl: place.sslmode }, place.reach ?? {}) } : {}),
    });
    client.on('error', () => undefined); // a connection that breaks is told by the query that needs it
    try {
      await client.connect();
      return client;
    } catch (cause) {
      await client.end().catch(() => undefined);
      if (tls && ways.length > 1 && cause instanceof Error && /does not support SSL/i.test(cause.message)) continue;
      throw connectFailure(cause, place, database);
    }
  }
  throw new TypeError('no way to connect was tried');
}

function connectFailure(cause: unknown, place: DatabasePlace, database: string): AppError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const fault = tlsFaultOf(code);
  if (fault) {
    const { code: which, say, fix } = describeTlsFault(fault, place.host);
    return new AppError(which, { message: say, fix, cause });
  }
  const where = place.bridge ? `the far end of ${place.bridge.url} (${database})` : `${place.host}:${place.port}/${database}`;
  if (/^(28|3D|42)/.test(code))
    return new AppError('DATABASE_REFUSED', {
      message: `Postgres at ${where} refuses the login as ${place.user} (${code}).`,
      fix:
        code === '3D000'
          ? 'The database does not exist there; check its name.'
          : place.bridge
            ? 'Check that the POSTGRES_PASSWORD stored with the target is the one that the database has.'
            : 'Check user and password of the stored connection string.',
      details: { sqlstate: code },
      cause,
    });
  return new AppError('DATABASE_UNREACHABLE', {
    message: `Postgres at ${where} does not answer${code === '' ? '' : ` (${code})`}.`,
    fix: 'Check that the port is reachable from here and the server runs.',
    retry: 'later',
    cause,
  });
}

/** Ends sessions that a dead process of ours left behind: they carry the key of the effect as their name (engine.md E6). */
export async function endSessionsOf(place: DatabasePlace, applicationName: string): Promise<number> {
  const client = await openSession(place, 'capstan tidy');
  try {
    const { rowCount } = await client.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid() and usename = current_user',
      [applicationName.slice(0, 63)],
    );
    return rowCount ?? 0;
  } finally {
    await client.end();
  }
}
