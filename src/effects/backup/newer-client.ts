/**
 * A pg_restore that is newer than the server. From 17 on it begins with a setting (transaction_timeout) that older servers do not know, so that
 * told to stop at an error it would always stop there. Invariant: that one error is forgiven, counted by pg_restore itself; a second one is not.
 */
import { AppError } from '../../errors.ts';
import type { PgClient } from './programs.ts';

const settingSince = 17;
const setsTooMuch = ({ major }: Pick<PgClient, 'major'>, serverMajor: number) => major >= settingSince && serverMajor < settingSince;

/** Whether to stop at the first error. */
export function stopFlags(client: Pick<PgClient, 'major'>, serverMajor: number): string[] {
  return setsTooMuch(client, serverMajor) ? [] : ['--exit-on-error'];
}

/** The end of a pg_restore that was started with these flags: resolves when everything but that setting was taken. */
export async function wholeEnd(ended: Promise<void>, client: Pick<PgClient, 'major'>, serverMajor: number): Promise<void> {
  try {
    await ended;
  } catch (error) {
    if (!setsTooMuch(client, serverMajor) || !isThatOne(error)) throw error;
  }
}

function isThatOne(error: unknown): boolean {
  if (!(error instanceof AppError) || error.code !== 'PROGRAM_FAILED') return false;
  const said = String(error.details?.['said']);
  return /unrecognized configuration parameter .transaction_timeout./.test(said) && /errors ignored on restore: 1\b/.test(said);
}
