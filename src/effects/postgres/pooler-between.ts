/**
 * A pooler that nobody spoke of. Who logs in to Postgres itself gets the number of its server process along; a pooler gives a number of its own.
 * One in transaction mode lends the server's session to whoever begins a transaction next, so that settings such as READ ONLY would not last.
 */
import type pg from 'pg';
import { AppError } from '../../errors.ts';

/** The number that came with the login, which the driver keeps for cancelling; its types do not know it. */
export function numberOfLogin(client: pg.Client): number | undefined {
  const number: unknown = Reflect.get(client, 'processID');
  return typeof number === 'number' ? number : undefined;
}

/**
 * `backend` is the process behind a session that now rests. A second login that gets the same one shows that sessions are lent. Throws
 * TRANSACTION_POOLER; where no second login comes about nothing is shown.
 */
export async function requireLasting(backend: number, where: string, login: () => Promise<pg.Client>): Promise<void> {
  const other = await login().catch((error: unknown) => {
    if (error instanceof AppError) return undefined;
    throw error;
  });
  if (other === undefined) return;
  try {
    await other.query('begin');
    const { rows } = await other.query<{ pid: number }>('select pg_backend_pid() as pid');
    if (rows[0]?.pid !== backend) return;
  } finally {
    await other.end().catch(() => undefined);
  }
  throw new AppError('TRANSACTION_POOLER', {
    message: `At ${where} stands a pooler in transaction mode: settings of a session, such as that it only reads, do not last there.`,
    fix: 'Hand over the address of the database itself, or of the pooler in session mode.',
  });
}
