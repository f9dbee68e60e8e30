/** Planning the size of the pool: the tenant's row, which is what the pooler reads, and the variables, which people read. */
import type { z } from 'zod';
import { planResize as contract, type resizeRequest } from '../../../machines/effects/resize-pool.ts';
import { envVariables, parseEnv, printEnv, setEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import { defineHandler } from '../handler.ts';
import { openAdmin } from './database/access.ts';
import { type Cell, nameOf } from './database/cells.ts';
import { openInner, readTenant, type TenantRow, usableConnections } from './database/look.ts';
import { planChange } from './plan.ts';
import { recreatedServices } from './recreated.ts';
import { assertReadable, readSnapshot, type SnapshotDocument } from './snapshot.ts';

type Request = z.infer<typeof resizeRequest>;

const pooler = 'supavisor';

export function planResize(deps: DokployDeps) {
  return defineHandler(contract, {
    async run(ctx, input) {
      const snapshot = await readSnapshot(ctx, input.snapshot);
      assertReadable(snapshot);
      const env = envVariables(parseEnv(snapshot.env));
      const { session, database, hasTenants } = await openInner((name) => openAdmin(deps, ctx, snapshot, name));
      try {
        const tenant = await readTenant(session, hasTenants, env.get('POOLER_TENANT_ID') ?? '');
        assertCarried(input.request, tenant, await usableConnections(session));
        const text = newText(snapshot.env, tenant, input.request);
        const cells = cellsOf(tenant, input.request);
        const deployed = { env: text, compose: snapshot.compose, routes: snapshot.routes };
        const madeAnew = recreatedServices(snapshot, deployed)?.includes(pooler) === true;
        return planChange(ctx, snapshot, {
          workflow: 'resize-pool',
          env: text,
          database: { database, cells, restarts: cells.length > 0 && !madeAnew ? [pooler] : [] },
          why: {
            POOLER_DEFAULT_POOL_SIZE: 'It says what the row says.',
            POOLER_MAX_CLIENT_CONN: 'It says what the row says.',
            ...Object.fromEntries(cells.map((cell) => [nameOf(cell), 'The pooler reads its sizes from here.'])),
          },
          say: sayOf(tenant, input.request, text === snapshot.env && cells.length === 0),
          warnings:
            cells.length > 0 ? [{ code: 'POOLER_RESTARTS', say: 'The pooler starts anew: every connection through it breaks once.' }] : [],
        });
      } finally {
        await session.close();
      }
    },
  });
}

/** A variable that is there follows the row; one that is not comes only where its size was asked for. */
function newText(env: SnapshotDocument['env'], tenant: TenantRow, { poolSize, maxClients }: Request): string {
  const known = envVariables(parseEnv(env));
  const wanted = [
    ['POOLER_DEFAULT_POOL_SIZE', poolSize, tenant.size],
    ['POOLER_MAX_CLIENT_CONN', maxClients, tenant.clients],
  ] as const;
  const changed = wanted.flatMap(([name, asked, standing]) => {
    const value = asked ?? (known.has(name) ? standing : undefined);
    return value === undefined || known.get(name) === String(value) ? [] : [[name, value] as const];
  });
  return printEnv(changed.reduce((items, [name, value]) => setEnv(items, name, String(value)), parseEnv(env)));
}

function cellsOf(tenant: TenantRow, { poolSize, maxClients }: Request): Cell[] {
  const cell = (column: 'default_pool_size' | 'default_max_clients', before: number, after: number | undefined): Cell[] =>
    after === undefined || after === before
      ? []
      : [{ kind: 'tenant', tenant: tenant.id, column, before: String(before), after: String(after) }];
  return [...cell('default_pool_size', tenant.size, poolSize), ...cell('default_max_clients', tenant.clients, maxClients)];
}

function sayOf(tenant: TenantRow, { poolSize, maxClients }: Request, nothing: boolean): string {
  const [size, clients] = [poolSize ?? tenant.size, maxClients ?? tenant.clients];
  if (nothing) return `The pooler has a pool of ${size} and lets in ${clients} clients already: there is nothing to change.`;
  return `The pool has ${tenant.size} connections and ${tenant.clients} clients now; it gets ${size} and ${clients}, in its row and in the variables.`;
}

/** Throws POOL_TOO_LARGE and POOL_SIZES_CROSSED. */
function assertCarried({ poolSize, maxClients }: Request, tenant: TenantRow, usable: number): void {
  const [size, clients] = [poolSize ?? tenant.size, maxClients ?? tenant.clients];
  if (size >= usable)
    throw new AppError('POOL_TOO_LARGE', {
      message: `A pool of ${size} connections leaves nothing of the ${usable} that the database carries; the other services need some too.`,
      fix: `Ask for at most ${Math.max(1, Math.floor(usable * 0.65))}, or raise max_connections of the db service first.`,
      details: { usable },
    });
  if (size > clients)
    throw new AppError('POOL_SIZES_CROSSED', {
      message: `A pool of ${size} connections for at most ${clients} clients is never filled.`,
      fix: 'Ask for a smaller poolSize, or for a larger maxClients with it.',
    });
}
