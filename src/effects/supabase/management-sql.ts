/**
 * A SQL session on a project of the cloud through the Management API, for whoever has an access token and no password of the database.
 * Reads only. Invariants:
 * 1. The API is asked to only read, and the server is asked whether it does: a session that could write is closed before anybody's SQL.
 * 2. Nothing is written this way: its document does not say whether several statements are one transaction, and a change must be one with the
 *    note that it ran (once.ts). Each query is exactly one statement.
 * 3. The API takes no limit of time. When ours is over the waiting ends, and that the statement may go on until the limit of the database is said.
 */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { HttpAnswer } from '../http/http.ts';
import { quoteVendorText } from '../http/vendor-text.ts';
import { defaultMaxBytes } from '../postgres/direct.ts';
import { sqlFailed } from '../postgres/failure.ts';
import { readOnlyRole } from '../postgres/ladder.ts';
import type { QueryOptions, SqlResult, SqlSession, SqlValue } from '../postgres/session.ts';
import { askManagement, type ManagementWay, parseJson, refusedBy } from './management.ts';

export type ManagementSqlOptions = { timeoutMs: number; reasons: readonly string[]; signal?: AbortSignal };

/** The general endpoint keeps the role's search_path; the other is for tokens that may only read, and wants every name with its schema. */
const endpoints = ['/database/query', '/database/query/read-only'] as const;
type Endpoint = (typeof endpoints)[number];

const rowsSchema = z.array(z.record(z.string(), z.unknown()));
const failure = z.looseObject({ message: z.string() });
const where = 'The Management API';

type Greeting = { role: string; superuser: boolean; major: number; reads: boolean };
const greetingSql = `select current_user::text as role, current_setting('is_superuser') = 'on' as superuser,
  current_setting('server_version_num')::int / 10000 as major, current_setting('transaction_read_only') = 'on' as reads`;

/** Throws CLOUD_TOKEN_REFUSED, CLOUD_PROJECT_UNKNOWN, CLOUD_UNAVAILABLE, CLOUD_SQL_WRITES, and the codes of sqlFailed and http/failure.ts. */
export async function openManagementSql(way: ManagementWay, options: ManagementSqlOptions): Promise<SqlSession> {
  async function ask<Row>(
    endpoint: Endpoint,
    text: string,
    values: readonly SqlValue[] = [],
    wanted: QueryOptions = {},
  ): Promise<SqlResult<Row>> {
    const { timeoutMs = options.timeoutMs, signal = options.signal, maxBytes = defaultMaxBytes } = wanted;
    const json = {
      query: text,
      ...(values.length === 0 ? {} : { parameters: values }),
      ...(endpoint === '/database/query' ? { read_only: true } : {}),
    };
    const answer = await askManagement(way, { method: 'POST', path: endpoint, json, timeoutMs, maxBytes }, signal).catch(
      (error: unknown) => {
        throw inWordsOfSql(error, timeoutMs);
      },
    );
    if (answer.status !== 201 && answer.status !== 200) throw toError(answer, way);
    const rows = rowsSchema.safeParse(parseJson(answer.text));
    if (!rows.success) throw unexpected(way.ref);
    const fields = Object.keys(rows.data[0] ?? {}).map((name) => ({ name, typeId: null }));
    return { rows: rows.data as Row[], fields, rowCount: rows.data.length }; // read as Row unchecked: session.ts says so
  }

  const { endpoint, hello } = await greet(ask, way.ref);
  if (hello.superuser || !(hello.reads || hello.role === readOnlyRole))
    throw new AppError('CLOUD_SQL_WRITES', {
      message: `The Management API was asked to only read, and opened a session as ${quoteVendorText(hello.role)} that may write.`,
      fix: 'Nothing was sent to it. Hand over a connection string with --connection.',
    });
  return {
    rung: 'management',
    role: hello.role,
    superuser: hello.superuser,
    serverMajor: hello.major,
    reasons: options.reasons,
    query: (text, values, wanted) => ask(endpoint, text, values, wanted),
    close: async () => undefined,
  };
}

type Ask = <Row>(endpoint: Endpoint, text: string) => Promise<SqlResult<Row>>;

/** A token may have the right to one endpoint and not to the other, and one of them may not be there. */
async function greet(ask: Ask, ref: string): Promise<{ endpoint: Endpoint; hello: Greeting }> {
  for (const endpoint of endpoints) {
    try {
      const [hello] = (await ask<Greeting>(endpoint, greetingSql)).rows;
      if (hello !== undefined) return { endpoint, hello };
      throw unexpected(ref);
    } catch (error) {
      const elsewhere = error instanceof AppError && (error.details?.['status'] === 403 || error.code === 'CLOUD_PROJECT_UNKNOWN');
      if (!elsewhere || endpoint === endpoints.at(-1)) throw error;
    }
  }
  throw new TypeError('the last endpoint answers or throws');
}

function inWordsOfSql(error: unknown, timeoutMs: number): unknown {
  if (!(error instanceof AppError)) return error;
  if (error.code === 'ANSWER_TOO_LARGE')
    return new AppError('SQL_RESULT_TOO_LARGE', {
      message: `The answer of the Management API is larger than one statement may bring, so it was cut off.`,
      fix: 'Select fewer or shorter columns, or page through the rows.',
    });
  if (error.code !== 'REQUEST_TIMEOUT') return error;
  return new AppError('SQL_TIMEOUT', {
    message: `The Management API gave no answer within ${timeoutMs} ms; the statement only reads, and may go on until the database's own limit ends it.`,
    fix: 'Make it cheaper (EXPLAIN shows the plan), or allow more time with timeoutMs.',
  });
}

/** `Failed to run sql query: ERROR:  42P01: relation "x" does not exist`, then lines with LINE and HINT. */
const refusal = /^Failed to run sql query: *(?:ERROR: *)?(?:([0-9A-Z]{5}): *)?([^\n]*)(?:[\s\S]*?\nHINT: *([^\n]*))?/;

function toError(answer: HttpAnswer, { ref, token }: ManagementWay): AppError {
  const said = failure.safeParse(parseJson(answer.text)).data?.message ?? '';
  const [, code, message = '', hint] = refusal.exec(said) ?? [];
  if (answer.status !== 400 || message === '') return refusedBy(answer, ref);
  if (/^connection (terminated|timed? ?out)|connect(ion)? timeout/i.test(message))
    return new AppError('CLOUD_UNAVAILABLE', {
      message: `The Management API reaches no database of the project ${ref}: ${quoteVendorText(message, [token])}.`,
      fix: 'A paused project has none: look at it in the dashboard. Else try again later.',
      retry: 'later',
    });
  if (code === '57014')
    return new AppError('SQL_TIMEOUT', {
      message: 'The database ended the statement at its own limit of time.',
      fix: 'Make it cheaper (EXPLAIN shows the plan); the Management API allows no longer one.',
      details: { sqlState: code },
    });
  return sqlFailed({ message, code, hint }, { where, known: [token], timeoutMs: 0 });
}

function unexpected(ref: string): AppError {
  return new AppError('CLOUD_UNAVAILABLE', {
    message: `The Management API answered a statement with something that is no list of rows, for the project ${ref}.`,
    fix: 'Add the connection string of the session pooler with --connection; the dashboard shows it.',
  });
}
