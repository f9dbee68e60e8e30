/**
 * Opens a SQL session on a target for a purpose: the first rung that works and that the purpose allows (design §6).
 * The reason for the rung, and for every better one that was passed over, stands in the session.
 */
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import type { SqlAddress } from './address.ts';
import { openDirect } from './direct.ts';
import type { Purpose, SqlSession } from './session.ts';

/** How SQL reaches a target; secrets are revealed, so it lives only inside one call. */
export type SqlTarget = {
  name: string;
  reach: Reach;
  /** Logins by the Postgres protocol, best first. */
  addresses: readonly SqlAddress[];
};

export type OpenOptions = {
  signal?: AbortSignal;
  /** Default of every query, enforced by the server. Default 30 s. */
  timeoutMs?: number;
  /** Seen in pg_stat_activity; an effect gives its key (engine.md E6). */
  applicationName?: string;
};

export const defaultTimeoutMs = 30_000;
const readOnlyPurposes: ReadonlySet<Purpose> = new Set(['read', 'model-read', 'dump']);

/** Throws SQL_NO_WAY with every rung and why not, or the one error when there was one way only. */
export async function openSession(target: SqlTarget, purpose: Purpose, options: OpenOptions = {}): Promise<SqlSession> {
  const [address] = target.addresses;
  if (address === undefined)
    throw new AppError('SQL_NO_WAY', {
      message: `No SQL can reach the target ${target.name}: it names no address of a database.`,
      fix: 'Add it anew with --connection env:NAME.',
    });
  return openDirect(address, {
    rung: 'direct',
    reach: target.reach,
    readOnly: readOnlyPurposes.has(purpose),
    timeoutMs: options.timeoutMs ?? defaultTimeoutMs,
    reasons: ['The target names the address of its database.'],
    applicationName: options.applicationName ?? 'capstan',
  });
}
