/**
 * Every failure of a SQL session becomes an AppError here. Invariants:
 * 1. Text of the server stands in quotes, redacted and cut; no error of the driver is kept as `cause`, since it may carry the login.
 * 2. `applied` is `unknown` only for a statement that may have changed something and whose answer was lost.
 */
import pg from 'pg';
import { AppError } from '../../errors.ts';
import { quoteVendorText } from '../http/vendor-text.ts';

export type FailedQuery = {
  /** Such as `db.example.com:5432`: what may be named. */
  where: string;
  /** Values that must not appear. */
  known: readonly string[];
  readOnly: boolean;
  aborted: boolean;
  tooLarge: boolean;
  timeoutMs: number;
};

/** Translates what a query ended with. */
export function toQueryError(error: unknown, failed: FailedQuery): AppError {
  if (error instanceof AppError) return error;
  const { where, readOnly, tooLarge, aborted, timeoutMs } = failed;
  const applied = readOnly ? 'no' : 'unknown';
  if (tooLarge)
    return new AppError('SQL_RESULT_TOO_LARGE', {
      message: `The answer of ${where} is larger than one statement may bring, so it was cut off and the connection closed.`,
      fix: 'Select fewer or shorter columns, or page through the rows.',
      applied,
    });
  if (aborted)
    return new AppError('ABORTED', { message: `The statement on ${where} was cancelled.`, fix: 'Send it again.', retry: 'later', applied });
  if (isServerError(error)) return sqlFailed(error, failed);
  return new AppError('SQL_CONNECTION_LOST', {
    message: `The connection to ${where} broke while a statement ran${timeoutMs > 0 ? '' : ' without a limit of time'}.`,
    fix: readOnly ? 'Send it again; the statement could change nothing.' : 'Look whether the change has happened before you send it again.',
    retry: readOnly ? 'later' : 'ask',
    applied,
  });
}

/** What a Postgres server says, however it got here. */
export type ServerError = {
  message: string;
  code?: string | undefined;
  detail?: string | undefined;
  hint?: string | undefined;
  position?: string | undefined;
};

function isServerError(error: unknown): error is pg.DatabaseError {
  return error instanceof pg.DatabaseError;
}

/** The refusal of a statement by the server: surely rolled back. */
export function sqlFailed(
  { message, code, hint, position }: ServerError,
  failed: Pick<FailedQuery, 'where' | 'known' | 'timeoutMs'>,
): AppError {
  const { where, known } = failed;
  const said = quoteVendorText(message, known, 400);
  if (code === '57014' && /statement timeout/.test(message))
    return new AppError('SQL_TIMEOUT', {
      message: `The statement ran longer than the ${failed.timeoutMs} ms it may take on ${where}, so the server ended it.`,
      fix: 'Make it cheaper (EXPLAIN shows the plan), or allow more time with timeoutMs.',
      details: { sqlState: code },
    });
  return new AppError('SQL_FAILED', {
    message: `${where} refused the statement: ${said}.`,
    fix: fixOf(code, hint, known),
    details: {
      ...(code !== undefined && /^[0-9A-Z]{5}$/.test(code) ? { sqlState: code } : {}),
      ...(position !== undefined && /^\d+$/.test(position) ? { position: Number(position) } : {}),
    },
  });
}

function fixOf(code: string | undefined, hint: string | undefined, known: readonly string[]): string {
  if (code === '25006') return 'This session only reads; a change needs write and a person who approves it.';
  if (code === '42501')
    return 'The role lacks that right; check_access (`capstan connection roles TARGET`) shows who may do what, and the workflow grant-access gives what is missing.';
  if (code === '42P01' || code === '42703' || code === '42883') return 'Look up the names: inspect_schema lists what there is.';
  return hint === undefined ? 'Mend the statement and send it again.' : `The server hints: ${quoteVendorText(hint, known)}.`;
}

/** Translates why a login did not come about. */
export function toConnectError(error: unknown, where: string, known: readonly string[]): AppError {
  if (error instanceof AppError) return error;
  const code = codeOf(error);
  const said = quoteVendorText(error instanceof Error ? error.message : String(error), known);
  const row = connectFailures.find(({ when }) => when(code, said));
  if (row !== undefined)
    return new AppError(row.code, { message: `${row.say.replace('{where}', where)}: ${said}.`, fix: row.fix, retry: row.retry });
  return new AppError('SQL_UNREACHABLE', {
    message: `No SQL session came about at ${where}: ${said}.`,
    fix: 'Check host, port, and that the server runs and may be reached from here.',
    retry: 'later',
    details: code === '' ? {} : { cause: code },
  });
}

type ConnectFailure = { when: (code: string, said: string) => boolean; code: string; say: string; fix: string; retry: 'later' | 'never' };

const connectFailures: readonly ConnectFailure[] = [
  {
    when: (code) => code === '57P03',
    code: 'DATABASE_STARTING',
    say: 'The database at {where} does not take logins yet',
    fix: 'A first start fills the data folder and may take minutes; its logs (read_logs, service db) say how far it is. Then try again.',
    retry: 'later',
  },
  {
    when: (_code, said) => /tenant or user not found|tenant_not_found|ENOTFOUND.*tenant/i.test(said),
    code: 'POOLER_TENANT_UNKNOWN',
    say: 'The pooler at {where} does not know this tenant or user',
    fix: 'Through Supavisor the user is `role.tenant`, such as postgres.your-tenant-id; the tenant is POOLER_TENANT_ID.',
    retry: 'never',
  },
  {
    when: (code) => code === '28P01' || code === '28000',
    code: 'SQL_LOGIN_REFUSED',
    say: '{where} refuses the login',
    fix: 'The password of a running database is the one of its first start: POSTGRES_PASSWORD changed later changes nothing there. Hand over the right one.',
    retry: 'never',
  },
  {
    when: (code, said) => code === '53300' || /max clients reached|MaxClientsInSessionMode/i.test(said),
    code: 'POOL_EXHAUSTED',
    say: '{where} has no free connection left',
    fix: 'monitor_connections shows who holds them; wait, or let the workflow resize-pool give the pooler more.',
    retry: 'later',
  },
  {
    when: (code) => code === '3D000',
    code: 'SQL_DATABASE_UNKNOWN',
    say: 'There is no such database at {where}',
    fix: 'On Supabase the database is postgres.',
    retry: 'never',
  },
  {
    when: (code) => code === 'ENOTFOUND' || code === 'EAI_AGAIN',
    code: 'HOST_NOT_FOUND',
    say: 'The name in {where} does not resolve from here',
    fix: 'Names such as db or supavisor exist only inside the Docker network; from outside the way is /pg/query or a published port.',
    retry: 'never',
  },
  {
    when: (code) => code === 'ECONNREFUSED',
    code: 'CONNECTION_REFUSED',
    say: 'Nothing listens at {where}',
    fix: 'Check the port (5432 direct or session, 6543 transaction, 54322 local stack) and that it is published.',
    retry: 'later',
  },
  {
    when: (code) => code === 'ENETUNREACH' || code === 'EHOSTUNREACH',
    code: 'HOST_UNREACHABLE',
    say: 'There is no route to {where}',
    fix: 'A direct address of the cloud is IPv6 only; without IPv6 use the session pooler.',
    retry: 'later',
  },
];

/** What answers there is no Postgres. */
export function portTaken(where: string): AppError {
  return new AppError('PORT_TAKEN', {
    message: `Something that is no Postgres answers at ${where}.`,
    fix: 'Another program has that port: Postgres is at 5432 (direct or session), 6543 (transaction) or 54322 (local stack); `ss -ltnp` shows what listens.',
  });
}

function codeOf(error: unknown): string {
  const code: unknown = typeof error === 'object' && error !== null ? Reflect.get(error, 'code') : undefined;
  return typeof code === 'string' ? code : '';
}
