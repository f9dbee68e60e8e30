/** What planners read of the database: where Supavisor keeps its tenants, and what stands there. Reads only. */
import { z } from 'zod';
import { AppError } from '../../../errors.ts';
import { quoteVendorText } from '../../http/vendor-text.ts';
import type { SqlSession } from '../../postgres/session.ts';
import { literal } from './cells.ts';

/** The database of its own that newer templates give Supavisor and Logflare; older ones use the users' database. */
const innerDatabase = '_supabase';

/** `open` leads into a database of this name. Whoever calls closes the session. */
export async function openInner(
  open: (database: string) => Promise<SqlSession>,
): Promise<{ session: SqlSession; database: string; hasTenants: boolean }> {
  const first = await open('postgres');
  try {
    const { rows } = await first.query<{ inner: boolean; here: boolean }>(
      `select exists (select from pg_catalog.pg_database where datname = ${literal(innerDatabase)}) as inner, to_regclass('_supavisor.tenants') is not null as here`,
    );
    if (rows[0]?.inner !== true) return { session: first, database: 'postgres', hasTenants: rows[0]?.here === true };
  } catch (error) {
    await first.close();
    throw error;
  }
  await first.close();
  const session = await open(innerDatabase);
  const { rows } = await session.query<{ here: boolean }>("select to_regclass('_supavisor.tenants') is not null as here");
  return { session, database: innerDatabase, hasTenants: rows[0]?.here === true };
}

const tenantRow = z.object({ id: z.string(), size: z.coerce.number(), clients: z.coerce.number() });
export type TenantRow = z.infer<typeof tenantRow>;

/** Throws POOLER_TENANT_MISSING with the tenants that are there. */
export async function readTenant(session: SqlSession, hasTenants: boolean, wanted: string): Promise<TenantRow> {
  const { rows } = hasTenants
    ? await session.query(
        'select external_id as id, default_pool_size as size, default_max_clients as clients from _supavisor.tenants order by 1',
      )
    : { rows: [] };
  const tenants = z.array(tenantRow).parse(rows);
  const found = tenants.find(({ id }) => id === wanted);
  if (found) return found;
  const known = tenants.slice(0, 5).map(({ id }) => quoteVendorText(id, [], 80));
  throw new AppError('POOLER_TENANT_MISSING', {
    message: `The pooler has no tenant named as POOLER_TENANT_ID says; ${known.length === 0 ? 'it has none at all' : `it has ${known.join(', ')}`}.`,
    fix: 'Check that the pooler runs, and that POOLER_TENANT_ID is the tenant in your connection strings.',
  });
}

/** Connections that anybody but a superuser may have. */
export async function usableConnections(session: SqlSession): Promise<number> {
  const { rows } = await session.query<{ usable: number }>(
    `select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int as usable`,
  );
  return Number(rows[0]?.usable ?? 0);
}
