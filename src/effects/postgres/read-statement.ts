/**
 * Runs one reading statement that somebody else wrote. Invariants:
 * 1. Judged before it is sent; asked of the catalog before it is run; run in a session that only reads, by a role that is no superuser.
 * 2. Rows come in batches; whoever takes them says when it has enough. Time is counted over all batches.
 */
import { AppError } from '../../errors.ts';
import { inspectNames } from './inspect-names.ts';
import { type Judged, judge, requireRead } from './judge.ts';
import type { SqlField, SqlSession, SqlValue } from './session.ts';

export type Reading = {
  sql: string;
  parameters: readonly SqlValue[];
  /** Rows at most, and how many to leave out first. */
  limit: number;
  offset: number;
  timeoutMs: number;
  signal?: AbortSignal;
};

export type Row = Record<string, unknown>;
export type ReadOutcome = {
  fields: SqlField[];
  /** More rows are there behind the last one given. */
  more: boolean;
  /** Two columns have one name, so that the first is lost. */
  duplicates: string[];
};

/** Up to here one statement is quicker than a transaction with a cursor; the session only reads in either case. */
const onePageRows = 500;

/** Before a session is opened. Throws SQL_WRITES, SQL_PARAMETERS and the codes of judge. */
export async function judgeReading({ sql, parameters }: Pick<Reading, 'sql' | 'parameters'>): Promise<Judged> {
  const judged = await judge(sql);
  requireRead(judged);
  requireParameters(judged, parameters.length);
  return judged;
}

/** Throws SQL_PARAMETERS. */
export function requireParameters({ parameters: wanted }: Pick<Judged, 'parameters'>, given: number): void {
  if (wanted === given) return;
  throw new AppError('SQL_PARAMETERS', {
    message: `The statement takes ${wanted} parameters, and ${given} were given.`,
    fix: 'Give one value for each of $1, $2 and so on.',
  });
}

/** `take` gets each batch and answers false when it wants no more. Throws SQL_REFUSED and the session's errors. */
export async function readStatement(
  session: SqlSession,
  judged: Judged,
  reading: Reading,
  take: (rows: Row[]) => boolean,
): Promise<ReadOutcome> {
  const { parameters, limit, offset, timeoutMs, signal } = reading;
  const options = { timeoutMs, ...(signal ? { signal } : {}) };
  await inspectNames(session, judged);
  if (judged.kind !== 'select') {
    const { rows, fields } = await session.query<Row>(judged.text, parameters, options);
    const page = rows.slice(offset, offset + limit);
    take(page);
    return { fields, more: rows.length > offset + limit, duplicates: duplicatesOf(fields) };
  }
  if (session.pages === undefined || limit <= onePageRows) return onePage(session, judged, reading, take);
  let fields: SqlField[] = [];
  let left = limit;
  let more = false;
  for await (const batch of session.pages<Row>(judged.text, parameters, { ...options, offset })) {
    fields = batch.fields;
    const some = batch.rows.slice(0, left);
    left -= some.length;
    more = batch.rows.length > some.length;
    if (!take(some) || more) break;
  }
  return { fields, more, duplicates: duplicatesOf(fields) };
}

/** Few rows, or a rung where each query has a session of its own: the limit becomes part of the statement; one row more tells whether there are more. */
async function onePage(session: SqlSession, judged: Judged, reading: Reading, take: (rows: Row[]) => boolean): Promise<ReadOutcome> {
  const { parameters, limit, offset, timeoutMs, signal } = reading;
  const count = parameters.length;
  const text = `select * from (\n${judged.text}\n) as capstan_page limit $${count + 1} offset $${count + 2}`;
  const { rows, fields } = await session.query<Row>(text, [...parameters, limit + 1, offset], { timeoutMs, ...(signal ? { signal } : {}) });
  take(rows.slice(0, limit));
  return { fields, more: rows.length > limit, duplicates: duplicatesOf(fields) };
}

function duplicatesOf(fields: readonly SqlField[]): string[] {
  return fields.map(({ name }) => name).filter((name, index, all) => all.indexOf(name) !== index);
}
