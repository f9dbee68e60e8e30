/**
 * One statement of somebody else that changes something, run exactly once. Invariants:
 * 1. Statement and note are one transaction: the note is there if and only if the change is. Its key is the primary key, so a second
 *    attempt with the same key fails instead of running.
 * 2. The notes live in a schema of their own that no API role may use.
 */
import { AppError } from '../../errors.ts';
import { inlineValues } from './inline-values.ts';
import type { SqlSession, SqlValue } from './session.ts';

const makeNotes = `create schema if not exists capstan;
revoke all on schema capstan from public;
create table if not exists capstan.statements (key text primary key, ran_at timestamptz not null default now());
alter table capstan.statements enable row level security;`;

/** True when the schema for our notes is not there yet. */
export async function lacksNotes(session: Pick<SqlSession, 'query'>): Promise<boolean> {
  const { rows } = await session.query<{ there: boolean }>("select to_regclass('capstan.statements') is not null as there");
  return rows[0]?.there !== true;
}

/** True when the statement of this key has run. */
export async function hasRun(session: Pick<SqlSession, 'query'>, key: string): Promise<boolean> {
  if (await lacksNotes(session)) return false;
  const { rows } = await session.query<{ ran: boolean }>('select exists (select from capstan.statements where key = $1) as ran', [key]);
  return rows[0]?.ran === true;
}

export type OnceStatement = { text: string; parameters: readonly SqlValue[]; timeoutMs: number; signal?: AbortSignal };

/** Rows changed or returned by the statement; null where the rung does not tell. Throws ALREADY_RAN for a key that has run, and the session's errors. */
export async function runOnce(
  session: SqlSession,
  key: string,
  { text, parameters, timeoutMs, signal }: OnceStatement,
): Promise<number | null> {
  const statement = await inlineValues(text, parameters);
  const preparation = (await lacksNotes(session)) ? makeNotes : '';
  // One text without values is one transaction on every rung (session.ts, invariant 1). The key is of our own making: letters, digits, colons.
  if (!/^[\w:.-]{1,200}$/.test(key)) throw new TypeError('keys of effects are plain');
  const whole = `${preparation}\ninsert into capstan.statements (key) values ('${key}');\n${statement}\n`;
  try {
    const { rowCount } = await session.query(whole, undefined, { timeoutMs, ...(signal ? { signal } : {}) });
    return session.pages !== undefined ? rowCount : null;
  } catch (error) {
    if (error instanceof AppError && error.details?.['sqlState'] === '23505' && (await hasRun(session, key)))
      throw new AppError('ALREADY_RAN', { message: 'This statement has run already.', fix: 'Nothing to do.' });
    throw error;
  }
}
