/**
 * A SQL session over the Postgres protocol: the server itself, or a pooler in session mode. Invariants:
 * 1. Text with values goes by the extended protocol, in which the server refuses more than one statement.
 * 2. Bytes are counted on the wire, so that one huge row cannot fill the memory; above the limit the connection is closed.
 * 3. A cancelled statement is cancelled on the server, and its connection is closed.
 */
import { Socket } from 'node:net';
import pg from 'pg';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { refuseMetadata } from '../http/addresses.ts';
import { overrideOf } from '../http/reach.ts';
import type { SqlAddress } from './address.ts';
import { portTaken, toConnectError, toQueryError } from './failure.ts';
import { numberOfLogin, requireLasting } from './pooler-between.ts';
import { serverTls } from './server-tls.ts';
import type { QueryOptions, Rung, SqlResult, SqlSession, SqlValue } from './session.ts';
import { speaksPostgres } from './speaks-postgres.ts';
import { wireTypes } from './wire-types.ts';

export type DirectOptions = {
  rung: Extract<Rung, 'direct' | 'session-pooler' | 'bridge'>;
  /** A connection that was made already, instead of one to the address; each login asks for its own. */
  through?: () => Promise<Socket>;
  reach: Reach;
  /** The session can change nothing: its transactions are read only. */
  readOnly: boolean;
  /** Default of every query, in ms; the server enforces it. */
  timeoutMs: number;
  reasons: readonly string[];
  /** Seen in pg_stat_activity. */
  applicationName: string;
};

const connectTimeoutMs = 10_000;
const batchRows = 500;
export const defaultMaxBytes = 64 * 1024 * 1024;

/** Throws the codes of failure.ts. */
export async function openDirect(address: SqlAddress, options: DirectOptions): Promise<SqlSession> {
  const where = whereOf(address);
  const known = [address.password];
  const client = await login(address, options, known);
  try {
    return await toSession(client, address, options, where, known);
  } catch (error) {
    await client.end().catch(() => undefined);
    throw toConnectError(error, where, known);
  }
}

/** Host and port as a message may name them. */
export function whereOf({ host, port }: Pick<SqlAddress, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

async function login(address: SqlAddress, options: DirectOptions, known: readonly string[]): Promise<pg.Client> {
  if (!address.host.startsWith('/')) refuseMetadata(address.host);
  const attempts = address.ssl === 'prefer' || address.ssl === 'allow' ? [true, false] : [address.ssl !== 'disable'];
  for (const [index, encrypted] of attempts.entries()) {
    const made = await options.through?.();
    const config = configOf(address, options, encrypted && !address.host.startsWith('/'));
    const client = new pg.Client(made === undefined ? config : { ...config, stream: () => connectedAlready(made) });
    client.on('error', () => undefined); // a lost connection is answered by the next query, never by a crash
    try {
      await client.connect();
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      const plainNext = index < attempts.length - 1 && error instanceof Error && /does not support SSL/.test(error.message);
      if (!plainNext) throw await whyNoLogin(error, address, options, known);
    }
  }
  throw new TypeError('every way of logging in answers or throws');
}

/** The driver connects what it is given: here that has happened. */
function connectedAlready(socket: Socket): Socket {
  return Object.assign(socket, {
    connect() {
      queueMicrotask(() => {
        socket.emit('connect');
        socket.resume(); // it waited until somebody listens
      });
      return socket;
    },
  });
}

/** What broke off without a word of Postgres may be no Postgres. */
async function whyNoLogin(
  error: unknown,
  address: SqlAddress,
  { reach, through }: DirectOptions,
  known: readonly string[],
): Promise<AppError> {
  const where = whereOf(address);
  const told = toConnectError(error, where, known);
  if (told.code !== 'SQL_UNREACHABLE' || error instanceof pg.DatabaseError || address.host.startsWith('/') || through) return told;
  const override = overrideOf(reach, address.host, address.port);
  const speaks = await speaksPostgres(override?.address ?? address.host, override?.port ?? address.port);
  return speaks === false ? portTaken(where) : told;
}

function configOf(address: SqlAddress, { reach, applicationName }: DirectOptions, encrypted: boolean): pg.ClientConfig {
  const { host, port, user, password, database } = address;
  const override = overrideOf(reach, host, port);
  return {
    host: override?.address ?? host,
    port: override?.port ?? port,
    user,
    password,
    database,
    ssl: encrypted ? serverTls(address, reach) : false,
    types: wireTypes,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
    keepAlive: true,
  };
}

type Greeting = { role: string; superuser: boolean; major: number; pid: number };

const greetingSql = `select current_user as role, current_setting('is_superuser') = 'on' as superuser, current_setting('server_version_num')::int / 10000 as major,
  pg_backend_pid() as pid, set_config('statement_timeout', $1, false), set_config('default_transaction_read_only', $2, false),
  set_config('idle_in_transaction_session_timeout', '60000', false), set_config('standard_conforming_strings', 'on', false)`;

type Remains = { login: string; left: number };

/** The greeting once more, with what DISCARD ALL should have taken away counted, and the one thing that it leaves, the seed of random(), drawn anew. */
const remainsSql = `${greetingSql}, session_user as login, setseed(('x' || left(md5(gen_random_uuid()::text), 8))::bit(32)::int / 2147483648.0),
  (select count(*) from pg_prepared_statements)::int + (select count(*) from pg_listening_channels())::int
  + (select count(*) from pg_cursors where name <> '')::int
  + (select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory')::int
  + (select count(*) from pg_class where relnamespace = pg_my_temp_schema())::int
  + (select count(*) from pg_settings where source = 'session' and name not in ('statement_timeout', 'default_transaction_read_only',
      'idle_in_transaction_session_timeout', 'standard_conforming_strings'))::int as left`;

async function toSession(
  client: pg.Client,
  address: SqlAddress,
  options: DirectOptions,
  where: string,
  known: readonly string[],
): Promise<SqlSession> {
  const greeted = await client.query<Greeting>(greetingSql, [String(options.timeoutMs), options.readOnly ? 'on' : 'off']);
  const hello = greeted.rows[0];
  if (hello === undefined) throw new TypeError('a select without from answers one row');
  if (options.rung === 'direct' && numberOfLogin(client) !== hello.pid)
    await requireLasting(hello.pid, where, () => login(address, options, known));
  let limitMs = options.timeoutMs;
  let closed = false;
  let lost = false;
  client.on('end', () => {
    lost = true;
  });
  const { stream } = client.connection;

  async function query<Row>(text: string, values?: readonly SqlValue[], wanted: QueryOptions = {}): Promise<SqlResult<Row>> {
    const { timeoutMs = options.timeoutMs, signal, maxBytes = defaultMaxBytes } = wanted;
    let tooLarge = false;
    let bytes = 0;
    const count = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes || tooLarge) return;
      tooLarge = true;
      stream.destroy();
    };
    const onAbort = () => void cancelOnServer(address, options, hello?.pid ?? 0).finally(() => stream.destroy());
    try {
      if (signal?.aborted) throw signal.reason;
      if (timeoutMs !== limitMs) {
        await client.query("select set_config('statement_timeout', $1, false)", [String(timeoutMs)]);
        limitMs = timeoutMs;
      }
      stream.on('data', count);
      signal?.addEventListener('abort', onAbort, { once: true });
      // The driver knows queryMode, its types do not: without it a statement with an empty list of values would go the simple way.
      const asked = values === undefined ? { text } : { text, values: [...values], queryMode: 'extended' };
      const answer = await client.query(asked);
      return toResult<Row>(answer);
    } catch (error) {
      const failed = { where, known, readOnly: options.readOnly, aborted: signal?.aborted === true, tooLarge, timeoutMs };
      throw toQueryError(error, failed);
    } finally {
      stream.off('data', count);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  async function* pages<Row>(
    text: string,
    values: readonly SqlValue[],
    wanted: QueryOptions & { offset: number },
  ): AsyncGenerator<SqlResult<Row>> {
    const { offset, timeoutMs = options.timeoutMs, ...rest } = wanted;
    const until = performance.now() + timeoutMs;
    const left = () => ({ ...rest, timeoutMs: Math.max(1, Math.ceil(until - performance.now())) });
    await query('begin read only', undefined, { ...rest, timeoutMs });
    try {
      await query(`declare capstan_page no scroll cursor for ${text}`, values, { ...rest, timeoutMs });
      if (offset > 0) await query(`move forward ${Math.trunc(offset)} in capstan_page`, [], { ...rest, timeoutMs });
      for (;;) {
        const batch = await query<Row>(`fetch forward ${batchRows} from capstan_page`, [], left());
        if (batch.rows.length === 0) return;
        yield batch;
        if (batch.rows.length < batchRows) return;
      }
    } finally {
      await client.query('rollback').catch(() => undefined); // a broken connection has no transaction left
    }
  }

  /** As after the login: the same role on the same connection, and nothing left that a statement could have put there. */
  async function rest(): Promise<boolean> {
    await client.query('discard all');
    const [now] = (await client.query<Greeting & Remains>(remainsSql, [String(options.timeoutMs), options.readOnly ? 'on' : 'off'])).rows;
    limitMs = options.timeoutMs;
    if (stream instanceof Socket) stream.unref();
    const alike = now?.role === hello?.role && now?.superuser === hello?.superuser && now?.pid === hello?.pid;
    return alike && !lost && now?.login === now?.role && now?.left === 0;
  }

  return {
    rung: options.rung,
    pages,
    keep: {
      rest,
      wake() {
        if (stream instanceof Socket) stream.ref();
        return !lost;
      },
    },
    role: hello.role,
    superuser: hello.superuser,
    serverMajor: hello.major,
    reasons: options.reasons,
    query,
    async close() {
      if (closed) return;
      closed = true;
      await client.end().catch(() => undefined);
    },
  };
}

/** Several statements answer several results, although the types speak of one. */
function toResult<Row>(answer: pg.QueryResult | pg.QueryResult[]): SqlResult<Row> {
  const all = Array.isArray(answer) ? answer : [answer];
  const last = all.at(-1);
  const told = all.findLast((each) => each.fields.length > 0);
  return {
    rows: told?.rows ?? [], // read as Row unchecked: session.ts says so
    fields: (told?.fields ?? []).map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })),
    rowCount: last?.rowCount ?? null,
  };
}

/** Best effort by a second login of the same role; the caller closes the connection in any case. */
async function cancelOnServer(address: SqlAddress, options: DirectOptions, pid: number): Promise<void> {
  try {
    const other = await login(address, options, [address.password]);
    try {
      await other.query('select pg_cancel_backend($1)', [pid]);
    } finally {
      await other.end();
    }
  } catch (error) {
    if (!(error instanceof AppError)) return; // the server is gone, and with it the statement
  }
}
