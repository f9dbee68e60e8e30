/**
 * One transaction on the database in use, whole or not at all. Invariants:
 * 1. Event triggers of the database are silent in it but for the last statement, so that those who watch for changes hear of one.
 * 2. It waits for no lock longer than `lockMs`: it would stand before everybody who comes after it.
 * 3. What fails before COMMIT was sent changed nothing; only a COMMIT without an answer is in doubt (engine.md E2).
 */
import type { Client } from 'pg';
import { AppError } from '../../../errors.ts';
import type { EffectContext } from '../../handler.ts';
import { quoteVendorText } from '../../http/vendor-text.ts';
import { type DatabasePlace, openSession } from '../connection.ts';

const lockMs = 20_000;
export const lockTimeout = `set lock_timeout = ${lockMs}`;

export async function inTransaction<T>(
  ctx: EffectContext,
  place: DatabasePlace,
  database: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await openSession(place, ctx.key, database);
  const stop = () => void client.end().catch(() => undefined);
  ctx.signal.addEventListener('abort', stop, { once: true });
  let committing = false;
  try {
    await client.query(`begin; set local session_replication_role = replica; set local search_path = ''; ${lockTimeout}`);
    const answer = await work(client);
    ctx.signal.throwIfAborted();
    committing = true;
    await client.query('commit');
    return answer;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    if (ctx.signal.aborted && !committing) throw ctx.signal.reason;
    throw transactionFailure(error, committing);
  } finally {
    ctx.signal.removeEventListener('abort', stop);
    await client.end().catch(() => undefined);
  }
}

/** The statement that event triggers hear of: with the search_path that their functions expect. */
export async function tellWatchers(client: Client, statement: () => Promise<unknown>): Promise<void> {
  await client.query('set local session_replication_role = origin; set local search_path = default');
  await statement();
  await client.query(`notify pgrst, 'reload schema'`);
}

/** Pure. `committing` says that COMMIT was on its way. */
export function transactionFailure(error: unknown, committing: boolean): AppError {
  if (error instanceof AppError) return error;
  const { code = '', constraint, table, message = '' } = fieldsOf(error);
  const details = { sqlState: code, said: quoteVendorText(message, [], 300) };
  // Class 57 is the server's own end of a session.
  if (!/^[0-9A-Z]{5}$/.test(code) || code.startsWith('57P'))
    return new AppError('DATABASE_LOST', {
      message: committing
        ? 'The connection broke while the exchange was confirmed; whether it took place is looked up.'
        : 'The connection broke before the exchange was confirmed, so nothing was changed.',
      fix: 'Look whether the server runs and is reachable.',
      retry: 'later',
      applied: committing ? 'unknown' : 'no',
      details,
    });
  if (code === '55P03' || code === '40P01')
    return new AppError('SCHEMA_LOCKED', {
      message: `Another session holds a lock that the exchange needs, for longer than ${lockMs / 1_000} seconds; nothing was changed.`,
      fix: 'database_stats shows who holds it. Try again when it is gone.',
      details,
    });
  const where =
    constraint === undefined
      ? ''
      : ` The constraint ${quoteVendorText(constraint)}${table === undefined ? '' : ` of ${quoteVendorText(table)}`} does not hold.`;
  return new AppError('SCHEMA_DOES_NOT_FIT', {
    message: `Postgres refused the exchange (${code}), and nothing was changed.${where}`,
    fix: 'Read in the details what it says. Put right in the database in use what the schema needs, or restore the whole database in place (mode replace).',
    details: { ...details, ...(constraint === undefined ? {} : { constraint }), ...(table === undefined ? {} : { table }) },
    cause: error,
  });
}

/** What Postgres says of a failure; the driver's own errors have a code of another form, or none. */
function fieldsOf(error: unknown): Partial<Record<'code' | 'constraint' | 'table' | 'message', string>> {
  if (!(error instanceof Error)) return {};
  const { code, constraint, table, message } = error as Error & Record<string, unknown>; // fields that may be there
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  return Object.fromEntries(
    Object.entries({ code: text(code), constraint: text(constraint), table: text(table), message }).filter(
      ([, value]) => value !== undefined,
    ),
  );
}
