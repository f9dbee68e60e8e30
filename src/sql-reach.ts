/** SQL sessions on registered targets: rows and secrets from the store, the way from the ladder. Heavy parts are loaded at the first session. */
import { createHash } from 'node:crypto';
import type { Limiter } from './effects/dokploy/rate-limit.ts';
import type { DokployConnection } from './effects/handler.ts';
import { createKeptSessions } from './effects/postgres/kept-sessions.ts';
import type { OpenOptions, SqlTarget } from './effects/postgres/open.ts';
import type { Purpose, SqlSession } from './effects/postgres/session.ts';
import type { StagedSecret, Vault } from './engine/ports.ts';
import type { Registry, TargetRow } from './store/registry.ts';
import { toTargetRecord } from './target-place.ts';

export type SqlReachDeps = {
  registry: Pick<Registry, 'target'>;
  vault: Pick<Vault, 'reveal'>;
  connection(dokploy: string): Promise<DokployConnection>;
  limiterFor(dokploy: string): Limiter;
  /** Learns every secret that passes through. */
  register(value: string): void;
  now: () => number;
};

export type SqlReach = {
  /** Maybe one that an earlier question left. Throws TARGET_UNKNOWN, the vault's errors and those of openSession. Whoever opens it closes it. */
  open(target: string, purpose: Purpose, options?: OpenOptions): Promise<SqlSession>;
  /** The ways to a target that may not be stored yet, its secrets revealed. */
  ways(row: Omit<TargetRow, 'createdAt'>, staged?: readonly StagedSecret[], signal?: AbortSignal): Promise<SqlTarget>;
  /** Ends the sessions that wait for a next question. */
  close(): Promise<void>;
};

export function createSqlReach(deps: SqlReachDeps): SqlReach {
  const kept = createKeptSessions(deps);
  const ways: SqlReach['ways'] = async (row, staged = [], signal) => {
    const { toSqlTarget } = await import('./effects/postgres/sql-target.ts');
    return toSqlTarget(toTargetRecord(row), {
      async reveal(reference) {
        const value = await deps.vault.reveal(reference, staged);
        deps.register(value);
        return value;
      },
      dokploy: deps.connection,
      async client(connection) {
        const { createDokployClient } = await import('./effects/dokploy/client.ts');
        return createDokployClient(connection, {
          limiter: deps.limiterFor(connection.name),
          onSecret: deps.register,
          ...(signal ? { signal } : {}),
        });
      },
    });
  };
  return {
    ways,
    async open(target, purpose, options = {}) {
      const found = await ways(await deps.registry.target(target), [], options.signal);
      const { openSession } = await import('./effects/postgres/open.ts');
      const { signal: _, ...use } = options;
      const place = { target, use: JSON.stringify([purpose, use]), way: digestOf(found) };
      return kept.take(place, () => openSession(found, purpose, options));
    },
    close: kept.close,
  };
}

/** Of everything that a login depends on. */
function digestOf({ addresses, marks, meta, reach, bridge, management, superuserSql }: SqlTarget): string {
  return createHash('sha256')
    .update(JSON.stringify([addresses, marks, meta, reach, bridge, management, superuserSql]))
    .digest('hex');
}
