/**
 * One reading of every form in which people write down how to reach a Postgres (facts: Supabase §3). Invariants:
 * 1. Pure; no byte sequence makes it throw anything but CONNECTION_STRING_INVALID, and no error repeats a part of the text.
 * 2. The password stands in `password` alone; `describeConnection` is the form for people, without it.
 * 3. What is guessed (kind, mode) follows host, port and user only, and what that means in practice stands in `warnings`.
 */
import { AppError } from '../../errors.ts';
import { type SslMode, sslModes } from './address.ts';
import { type RawConnection, readJdbc, readKeywords, readUri } from './connection-forms.ts';
import { kindOf } from './connection-kinds.ts';

export const connectionForms = ['uri', 'keywords', 'jdbc', 'variables'] as const;
export type ConnectionForm = (typeof connectionForms)[number];

export const connectionKinds = [
  'direct',
  'supavisor',
  'pgbouncer',
  'cloud-direct',
  'cloud-pooler',
  'cloud-dedicated-pooler',
  'docker-internal',
  'local-stack',
  'unix-socket',
] as const;
export type ConnectionKind = (typeof connectionKinds)[number];

/** session: one backend per client. transaction: a backend per transaction, so nothing of a session lasts. */
export type ConnectionMode = 'direct' | 'session' | 'transaction';

export type ConnectionWarning = { code: string; say: string };

export type Connection = {
  form: ConnectionForm;
  kind: ConnectionKind;
  /** A name, an address without brackets, or the folder of a unix socket. */
  host: string;
  port: number;
  /** As it is sent to the server: through Supavisor `role.tenant`. */
  user: string;
  /** The database role inside `user`. */
  role: string;
  /** Supavisor's tenant, or the project of the cloud. */
  tenant: string | null;
  database: string;
  password: string | null;
  mode: ConnectionMode;
  ssl: SslMode;
  /** Every other option as written, such as connect_timeout. */
  options: Readonly<Record<string, string>>;
  warnings: readonly ConnectionWarning[];
};

const maxLength = 16_384;

/** Reads a URI, a JDBC address or libpq's `host=… user=…`. Throws CONNECTION_STRING_INVALID. */
export function parseConnection(text: string): Connection {
  if (text.length > maxLength) throw invalidConnection('It is longer than any connection string.');
  const trimmed = text.trim();
  if (trimmed === '') throw invalidConnection('It is empty.');
  if (/^jdbc:/i.test(trimmed)) return toConnection('jdbc', readJdbc(trimmed));
  const scheme = /^([a-z][a-z0-9+.-]{0,40}):\/\//i.exec(trimmed)?.[1]?.toLowerCase();
  if (scheme === 'postgres' || scheme === 'postgresql') return toConnection('uri', readUri(trimmed.slice(scheme.length + 3)));
  if (scheme !== undefined) throw wrongScheme(scheme);
  if (/^[a-z_]+\s*=/.test(trimmed)) return toConnection('keywords', readKeywords(trimmed));
  throw invalidConnection('It is neither a postgres:// URI, nor jdbc:postgresql:, nor host=… user=….');
}

/** Component variables and whole addresses as they stand in an environment; the first complete one wins. Undefined when nothing there is about a database. */
export function connectionFromVariables(env: Readonly<Record<string, string | undefined>>): Connection | undefined {
  for (const name of urlVariables) {
    const value = env[name];
    if (value !== undefined && /^(postgres(ql)?:\/\/|jdbc:|host\s*=)/i.test(value.trim()))
      return { ...parseConnection(value), form: 'variables' };
  }
  for (const prefix of ['PG', 'POSTGRES_', 'DB_', 'DATABASE_']) {
    const read = (...names: string[]) => names.map((name) => env[`${prefix}${name}`]).find((value) => value !== undefined && value !== '');
    const host = read('HOST', 'HOSTADDR');
    if (host === undefined) continue;
    const tenant = env['POOLER_TENANT_ID'];
    const role = read('USER', 'USERNAME') ?? 'postgres';
    const viaPooler = tenant !== undefined && tenant !== '' && !role.includes('.') && /^(supavisor|supabase-pooler|pooler)$/.test(host);
    return toConnection('variables', {
      host,
      port: read('PORT') ?? '5432',
      user: viaPooler ? `${role}.${tenant}` : role,
      password: read('PASSWORD', 'PASS'),
      database: read('DATABASE', 'DB', 'NAME', 'DBNAME') ?? 'postgres',
      options: optional('sslmode', read('SSLMODE')),
      warnings: [],
    });
  }
  return undefined;
}

/** In the order in which people mean them: the direct one before the pooled one. */
const urlVariables = ['DIRECT_URL', 'SUPABASE_DB_URL', 'DATABASE_URL', 'POSTGRES_URL_NON_POOLING', 'POSTGRES_URL', 'DB_URL'] as const;

/** The same connection in another form. The password goes in as given, which may be a slot such as `{{secret}}`; null leaves it out. */
export function buildConnection(
  connection: Connection,
  form: 'uri' | 'keywords' | 'jdbc',
  password: string | null = connection.password,
): string {
  const { host, port, user, database, ssl, options } = connection;
  const rest = { ...options, sslmode: ssl };
  if (form === 'keywords') {
    const words = { host, port: String(port), user, ...(password === null ? {} : { password }), dbname: database, ...rest };
    return Object.entries(words)
      .map(([key, value]) => `${key}='${value.replace(/[\\']/g, '\\$&')}'`)
      .join(' ');
  }
  const socket = host.startsWith('/');
  const place = socket ? '' : `${host.includes(':') ? `[${host}]` : encodeURIComponent(host)}:${port}`;
  const path = `/${encodeURIComponent(database)}`;
  const socketWords = socket ? { host, port: String(port) } : {};
  if (form === 'jdbc')
    return `jdbc:postgresql://${place}${path}?${query({ user, ...(password === null ? {} : { password }), ...socketWords, ...rest })}`;
  const login = `${encodeURIComponent(user)}${password === null ? '' : `:${encodeURIComponent(password)}`}`;
  return `postgresql://${login}@${place}${path}?${query({ ...socketWords, ...rest })}`;
}

function query(words: Record<string, string>): string {
  return Object.entries(words)
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
    .join('&');
}

/** What may be shown: everything but the password and the values of unknown options. */
export function describeConnection(connection: Connection): Record<string, unknown> {
  const { password, options, ...shown } = connection;
  return { ...shown, hasPassword: password !== null, options: Object.keys(options) };
}

function toConnection(form: ConnectionForm, raw: RawConnection): Connection {
  const { sslmode, ssl: jdbcSsl, ...options } = raw.options;
  const port = portFrom(raw.port);
  const host = raw.host.replace(/^\[|\]$/g, '');
  const judged = kindOf({ host, port, user: raw.user, options });
  const ssl = sslFrom(sslmode, jdbcSsl) ?? (judged.kind.startsWith('cloud') ? 'require' : 'prefer');
  return {
    form,
    kind: judged.kind,
    host,
    port,
    user: raw.user,
    role: judged.role,
    tenant: judged.tenant,
    database: raw.database === '' ? 'postgres' : raw.database,
    password: raw.password === undefined || raw.password === '' ? null : raw.password,
    mode: judged.mode,
    ssl,
    options,
    warnings: [...raw.warnings, ...judged.warnings, ...passwordWarnings(raw.password), ...sslWarnings(ssl, judged.kind)],
  };
}

function passwordWarnings(password: string | undefined): ConnectionWarning[] {
  if (password === undefined || password === '')
    return [{ code: 'PASSWORD_MISSING', say: 'It carries no password; it has to come from somewhere else.' }];
  if (/^\[?your[-_ ]?password\]?$|^<password>$|^\*{3,}$/i.test(password))
    return [{ code: 'PASSWORD_PLACEHOLDER', say: 'The password is a placeholder that nobody filled in.' }];
  return [];
}

function sslWarnings(ssl: SslMode, kind: ConnectionKind): ConnectionWarning[] {
  const open = ssl === 'disable' || ssl === 'allow';
  if (!open || ['docker-internal', 'local-stack', 'unix-socket'].includes(kind)) return [];
  return [{ code: 'NOT_ENCRYPTED', say: 'Password and data travel unencrypted; use sslmode=require or better.' }];
}

function portFrom(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw invalidConnection('The port is no number from 1 to 65535.');
}

function sslFrom(mode: string | undefined, jdbc: string | undefined): SslMode | undefined {
  if (mode !== undefined) {
    const known = sslModes.find((each) => each === mode.toLowerCase());
    if (known === undefined) throw invalidConnection(`sslmode is one of: ${sslModes.join(', ')}.`);
    return known;
  }
  return jdbc === undefined ? undefined : /^(true|1|)$/i.test(jdbc) ? 'require' : 'disable';
}

function optional(key: string, value: string | undefined): Record<string, string> {
  return value === undefined ? {} : { [key]: value };
}

function wrongScheme(scheme: string): AppError {
  const known = /^(postgres|postgresql)\+/.test(scheme);
  const say = known
    ? 'The scheme names the driver of a library.'
    : scheme === 'http' || scheme === 'https'
      ? 'This is the address of the API, not of the database.'
      : 'The scheme is not that of Postgres.';
  return invalidConnection(say, known ? 'Write postgresql:// in front.' : undefined);
}

/** Never says a part of the text: it may be the password. */
export function invalidConnection(
  what: string,
  fix = 'Give one such as postgresql://postgres:PASSWORD@host:5432/postgres, its password percent-encoded.',
): AppError {
  return new AppError('CONNECTION_STRING_INVALID', { message: `The connection string cannot be read. ${what}`, fix });
}
