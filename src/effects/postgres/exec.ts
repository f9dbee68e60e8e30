/**
 * A SQL session by psql inside the database container; the command runs through a disabled Dokploy schedule. Invariants:
 * 1. The script is a constant of this package. The SQL stands in it as base64 that only the server decodes, so neither a shell nor psql ever reads it.
 * 2. The command holds letters, digits and `+/=|-_.:` alone: no shell in between has anything to expand. It holds no secret.
 * 3. The SQL runs inside PL/pgSQL, which opens one row-returning statement; several statements run only where the caller gave no values, as session.ts says.
 * 4. Rows come back as base64 in one line behind a mark of this call, since the log also repeats the command and is redacted on its way.
 */
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { sqlFailed, toConnectError } from './failure.ts';
import { inlineValues } from './inline-values.ts';
import { parseSql } from './parse-sql.ts';
import type { QueryOptions, SqlResult, SqlSession, SqlValue } from './session.ts';

/** Runs one command in the database container and answers what it printed. Throws EXEC_FAILED and the codes of the Dokploy client. */
export type RunInContainer = (command: string, timeoutMs: number) => Promise<string>;

export type ExecOptions = {
  role: string;
  database: string;
  readOnly: boolean;
  timeoutMs: number;
  reasons: readonly string[];
  withoutPassword?: boolean;
};

const rowsSchema = z.array(z.record(z.string(), z.unknown()));
/** A log of more is cut by Dokploy. */
const maxLogBytes = 4_000_000;
/** Linux takes 128 KB for one argument. */
const maxCommandLength = 120_000;

export async function openExec(run: RunInContainer, options: ExecOptions): Promise<SqlSession> {
  const where = 'The database container';

  async function query<Row>(text: string, values?: readonly SqlValue[], wanted: QueryOptions = {}): Promise<SqlResult<Row>> {
    const { timeoutMs = options.timeoutMs, signal, maxBytes = maxLogBytes } = wanted;
    if (signal?.aborted)
      throw new AppError('ABORTED', { message: 'The statement was cancelled before it was sent.', fix: 'Send it again.', retry: 'later' });
    const mark = `capstan-${randomBytes(8).toString('hex')}`;
    // PL/pgSQL plans a text as a whole before it runs, so that a second statement would not find what the first one makes.
    const statements = values === undefined ? (await parseSql(text)).texts : [await inlineValues(text, values)];
    const script = scriptOf({
      statements,
      mark,
      timeoutMs,
      readOnly: options.readOnly,
      one: values !== undefined,
      maxBytes: Math.min(maxBytes, maxLogBytes),
    });
    const output = await run(commandOf(script, options), timeoutMs + 15_000);
    return readOutput<Row>(output, mark, where, timeoutMs);
  }

  const greeting =
    "select current_user::text as role, current_setting('is_superuser') = 'on' as superuser, current_setting('server_version_num')::int / 10000 as major";
  const [hello] = (await query<{ role: string; superuser: boolean; major: number }>(greeting)).rows;
  if (hello === undefined) throw noAnswer();
  return {
    rung: 'exec',
    role: hello.role,
    superuser: hello.superuser,
    serverMajor: hello.major,
    reasons: options.reasons,
    query,
    close: async () => undefined,
  };
}

/** Inside the image the loopback address is trusted for every role, so no password is in the command. */
function commandOf(script: string, { role, database, withoutPassword }: ExecOptions): string {
  if (!/^[a-z_][a-z0-9_]*$/.test(role) || !/^[a-z_][a-z0-9_]*$/.test(database))
    throw new TypeError('roles and databases of exec are plain names');
  const encoded = Buffer.from(script).toString('base64');
  if (encoded.length > maxCommandLength)
    throw new AppError('SQL_TOO_LONG', {
      message: `The SQL is too long for a command inside the container (${encoded.length} characters of at most ${maxCommandLength}).`,
      fix: 'Send it in parts, or open another way to the database.',
    });
  const flags = '-X -A -t -q -v ON_ERROR_STOP=1 -v VERBOSITY=verbose';
  return `echo ${encoded} | base64 -d | ${withoutPassword === true ? 'PGPASSWORD=none ' : ''}psql ${flags} -h localhost -U ${role} -d ${database} 2>&1`;
}

type Script = { statements: readonly string[]; mark: string; timeoutMs: number; readOnly: boolean; one: boolean; maxBytes: number };

/** The whole script, one statement a line. */
function scriptOf({ statements, mark, timeoutMs, readOnly, one, maxBytes }: Script): string {
  const decoded = (sql: string) => `convert_from(decode('${Buffer.from(sql, 'utf8').toString('base64')}', 'base64'), 'UTF8')`;
  const last = statements.at(-1) ?? 'select 1 where false';
  // What opens no cursor (a command without rows, several statements) is refused before it runs, with 42P11.
  const otherwise = one && readOnly ? '' : ' exception when invalid_cursor_definition then execute wanted; answer := null;';
  const block = [
    'do $capstan$ declare wanted text; answer text; each record; bytes bigint := 0; begin',
    ...statements.slice(0, -1).map((sql) => `execute ${decoded(sql)};`),
    `wanted := ${decoded(last)};`,
    'begin',
    "answer := ''; for each in execute wanted loop answer := answer || case when answer = '' then '' else ',' end || to_json(each)::text;",
    `bytes := octet_length(answer); if bytes > ${maxBytes} then raise exception using errcode = '54000', message = 'capstan: result too large'; end if; end loop;${otherwise}`,
    'end;',
    `perform set_config('capstan.answer', translate(encode(convert_to('[' || coalesce(answer, '') || ']', 'UTF8'), 'base64'), E'\\n', ''), true);`,
    'end $capstan$;',
  ].join(' ');
  return [
    readOnly ? 'begin read only;' : 'begin;',
    `set local statement_timeout = ${timeoutMs};`,
    'set local standard_conforming_strings = on;',
    block,
    `select '${mark}:' || current_setting('capstan.answer');`,
    'commit;',
  ].join('\n');
}

function readOutput<Row>(output: string, mark: string, where: string, timeoutMs: number): SqlResult<Row> {
  const line = output.split(/\r?\n/).find((each) => each.startsWith(`${mark}:`));
  if (line !== undefined) {
    const rows = rowsSchema.safeParse(parseJson(Buffer.from(line.slice(mark.length + 1).trim(), 'base64').toString('utf8')));
    if (!rows.success) throw noAnswer();
    const fields = Object.keys(rows.data[0] ?? {}).map((name) => ({ name, typeId: null }));
    return { rows: rows.data as Row[], fields, rowCount: rows.data.length }; // read as Row unchecked: session.ts says so
  }
  if (/psql: (?:command )?not found|"psql": executable file not found/.test(output))
    throw new AppError('PSQL_MISSING', {
      message: 'The database container has no psql, so SQL cannot be run inside it.',
      fix: 'The images of Supabase have it: check which image the service db runs, or open another way (capstan targets add … --connection env:X).',
    });
  const closed = /^psql: error: .*?(FATAL: +(?:password authentication failed|no pg_hba\.conf entry|fe_sendauth)[^\n]*)/ms.exec(output);
  if (closed !== null) throw toConnectError(Object.assign(new Error(closed[1]), { code: '28P01' }), where, []);
  const refused = /^(?:psql:[^\n]*?)?(?:ERROR|FATAL):\s+([0-9A-Z]{5}):\s+(.*)$/m.exec(output);
  if (refused === null) throw noAnswer();
  const [, code = '', message = ''] = refused;
  if (message.includes('capstan: result too large'))
    throw new AppError('SQL_RESULT_TOO_LARGE', {
      message: `The answer is larger than what container exec can bring.`,
      fix: 'Select fewer or shorter columns, or page through the rows.',
    });
  throw sqlFailed({ message, code }, { where, known: [], timeoutMs });
}

function noAnswer(): AppError {
  return new AppError('EXEC_FAILED', {
    message: 'psql in the database container gave no answer that can be read.',
    fix: 'Check in Dokploy that the service db runs and that its image has psql.',
    retry: 'later',
    applied: 'unknown',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
