/**
 * A SQL session through the gateway's /pg/query (postgres-meta). Invariants:
 * 1. Each query is a server session of its own. What a session must keep (read only, time limit) stands in the connection string that the
 *    header x-connection-encrypted carries, so that the server applies it before the first byte of SQL.
 * 2. Without that header meta opens its own session, maybe a superuser's: the ladder allows that for constant SQL only.
 */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { createHttp, type HttpAnswer } from '../http/http.ts';
import { quoteVendorText } from '../http/vendor-text.ts';
import type { SqlLogin } from './address.ts';
import { defaultMaxBytes } from './direct.ts';
import { sqlFailed, toConnectError } from './failure.ts';
import { encryptConnection } from './meta-cipher.ts';
import type { QueryOptions, SqlResult, SqlSession, SqlValue } from './session.ts';

export type MetaWay = {
  /** Public base URL without trailing slash. */
  baseUrl: string;
  serviceKey: string;
  /** PG_META_CRYPTO_KEY; without it only meta's own session is possible. */
  cryptoKey?: string;
  /** Where meta finds the database. Default db:5432/postgres. */
  database?: { host: string; port: number; name: string };
};

export type MetaOptions = {
  reach: Reach;
  login: SqlLogin | null;
  readOnly: boolean;
  timeoutMs: number;
  reasons: readonly string[];
  applicationName: string;
  signal?: AbortSignal;
};

const rowsSchema = z.array(z.record(z.string(), z.unknown()));
const failureSchema = z.looseObject({
  message: z.string().optional(),
  error: z.string().optional(),
  code: z.string().optional(),
  hint: z.string().nullish(),
  position: z.string().nullish(),
});
type Greeting = { role: string; superuser: boolean; major: number };

const greetingSql =
  "select current_user::text as role, current_setting('is_superuser') = 'on' as superuser, current_setting('server_version_num')::int / 10000 as major";

/** Throws SUPABASE_KEY_REFUSED, META_MISSING, META_KEY_WRONG, and the codes of failure.ts and http/failure.ts. */
export async function openMeta(way: MetaWay, options: MetaOptions): Promise<SqlSession> {
  const where = `${way.baseUrl}/pg/query`;
  const known = [
    way.serviceKey,
    ...(way.cryptoKey === undefined ? [] : [way.cryptoKey]),
    ...(options.login === null ? [] : [options.login.password]),
  ];

  async function query<Row>(text: string, values?: readonly SqlValue[], wanted: QueryOptions = {}): Promise<SqlResult<Row>> {
    const { timeoutMs = options.timeoutMs, signal = options.signal, maxBytes = defaultMaxBytes } = wanted;
    // The server ends the statement; the answer may take a little longer on its way.
    const http = createHttp(options.reach, { ...(signal ? { signal } : {}), timeoutMs: timeoutMs + 10_000 });
    const answer = await http
      .request({
        method: 'POST',
        url: where,
        headers: { apikey: way.serviceKey, authorization: `Bearer ${way.serviceKey}`, ...connectionHeader(way, options, timeoutMs) },
        json: { query: text, ...(values === undefined || values.length === 0 ? {} : { parameters: values }) },
        readOnly: options.readOnly,
        maxBytes,
      })
      .catch((error: unknown) => {
        throw tooLarge(error, where);
      });
    if (answer.status !== 200) throw toError(answer, where, known, timeoutMs, options.login !== null);
    const rows = rowsSchema.safeParse(parseJson(answer.text));
    if (!rows.success) throw unexpected(where, 'answered in an unexpected shape');
    const fields = Object.keys(rows.data[0] ?? {}).map((name) => ({ name, typeId: null }));
    return { rows: rows.data as Row[], fields, rowCount: rows.data.length }; // read as Row unchecked: session.ts says so
  }

  const [hello] = (await query<Greeting>(greetingSql)).rows;
  if (hello === undefined) throw unexpected(where, 'answered no row to a select of one');
  return {
    rung: 'meta',
    role: hello.role,
    superuser: hello.superuser,
    serverMajor: hello.major,
    reasons: options.reasons,
    query,
    close: async () => undefined,
  };
}

function connectionHeader(way: MetaWay, options: MetaOptions, timeoutMs: number): Record<string, string> {
  if (options.login === null || way.cryptoKey === undefined) return {};
  const { host, port, name } = way.database ?? { host: 'db', port: 5432, name: 'postgres' };
  const settings = [
    `-c statement_timeout=${timeoutMs}`,
    `-c default_transaction_read_only=${options.readOnly ? 'on' : 'off'}`,
    '-c standard_conforming_strings=on',
  ].join(' ');
  const login = `${encodeURIComponent(options.login.role)}:${encodeURIComponent(options.login.password)}`;
  const words = `options=${encodeURIComponent(settings)}&application_name=${encodeURIComponent(options.applicationName)}`;
  const text = `postgresql://${login}@${host}:${port}/${encodeURIComponent(name)}?${words}`;
  return { 'x-connection-encrypted': encryptConnection(text, way.cryptoKey) };
}

function tooLarge(error: unknown, where: string): unknown {
  if (!(error instanceof AppError) || error.code !== 'ANSWER_TOO_LARGE') return error;
  return new AppError('SQL_RESULT_TOO_LARGE', {
    message: `The answer of ${where} is larger than one statement may bring, so it was cut off.`,
    fix: 'Select fewer or shorter columns, or page through the rows.',
    applied: error.applied,
  });
}

function toError({ status, text }: HttpAnswer, where: string, known: readonly string[], timeoutMs: number, sentLogin: boolean): AppError {
  if (status === 401 || status === 403)
    return new AppError('SUPABASE_KEY_REFUSED', {
      message: `${where} refuses the service key for SQL.`,
      fix: 'Check the service role key; `diagnose_target` tells gateway and signature apart.',
      details: { status },
    });
  if (status === 404)
    return new AppError('META_MISSING', {
      message: `There is no ${where}: the gateway does not route it, or the service meta does not run.`,
      fix: 'Check that the stack has the service meta and that the gateway routes /pg/.',
    });
  const body = failureSchema.safeParse(parseJson(text));
  const said = body.data?.message ?? body.data?.error;
  if (said === undefined) return unexpected(where, `answered with status ${status}`);
  const { code, hint, position } = body.data ?? {};
  if (
    sentLogin &&
    (/upstream connection details|malformed utf-8|bad decrypt|wrong final block|unable to decrypt/i.test(said) || status === 500)
  )
    return new AppError('META_KEY_WRONG', {
      message: `${where} could not open the connection string that was sent along: ${quoteVendorText(said, known)}.`,
      fix: 'PG_META_CRYPTO_KEY here must be the CRYPTO_KEY that the service meta runs with.',
    });
  if (code === undefined || /^(28|53|3D|08)/.test(code) || !/^[0-9A-Z]{5}$/.test(code))
    return toConnectError(Object.assign(new Error(said), { code }), where, known);
  return sqlFailed({ message: said, code, hint: hint ?? undefined, position: position ?? undefined }, { where, known, timeoutMs });
}

function unexpected(where: string, what: string): AppError {
  return new AppError('SUPABASE_SQL_UNAVAILABLE', {
    message: `SQL through ${where} is not available: it ${what}.`,
    fix: 'Check that the meta and db services are healthy.',
    retry: 'later',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
