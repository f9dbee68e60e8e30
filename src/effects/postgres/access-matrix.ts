/** Who may do what where: schemas by role, from the catalog; and the exact grants that would be missing. */
import { AppError } from '../../errors.ts';
import type { SqlSession } from './session.ts';

export type AccessRow = {
  schema: string;
  owner: string;
  role: string;
  usage: boolean;
  create: boolean;
  /** Tables and views of the schema, and on how many of them the role has the right. */
  tables: number;
  select: number;
  insert: number;
  update: number;
  delete: number;
};

const matrixSql = `select n.nspname::text as schema, o.rolname::text as owner, r.rolname::text as role,
  has_schema_privilege(r.oid, n.oid, 'USAGE') as usage, has_schema_privilege(r.oid, n.oid, 'CREATE') as create,
  count(c.oid)::int as tables,
  count(c.oid) filter (where has_table_privilege(r.oid, c.oid, 'SELECT'))::int as select,
  count(c.oid) filter (where has_table_privilege(r.oid, c.oid, 'INSERT'))::int as insert,
  count(c.oid) filter (where has_table_privilege(r.oid, c.oid, 'UPDATE'))::int as update,
  count(c.oid) filter (where has_table_privilege(r.oid, c.oid, 'DELETE'))::int as delete
from pg_catalog.pg_namespace n join pg_catalog.pg_roles o on o.oid = n.nspowner
cross join pg_catalog.pg_roles r
left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f')
where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and r.rolname = any (string_to_array($1, ','))
  and ($2::text is null or n.nspname = $2)
group by 1, 2, 3, 4, 5 order by 1, 3`;

export const usualRoles = [
  'anon',
  'authenticated',
  'authenticator',
  'postgres',
  'service_role',
  'supabase_auth_admin',
  'supabase_read_only_user',
  'supabase_storage_admin',
] as const;

/** Throws the session's errors. */
export async function accessMatrix(
  session: Pick<SqlSession, 'query'>,
  of: { roles: readonly string[]; schema?: string | undefined },
): Promise<AccessRow[]> {
  return (await session.query<AccessRow>(matrixSql, [of.roles.join(','), of.schema ?? null])).rows;
}

/** Schemas that belong to a service: the API roles never get rights there by hand. */
const services = new Set([
  'auth',
  'storage',
  'realtime',
  'vault',
  'pgsodium',
  'graphql',
  'graphql_public',
  'supabase_functions',
  'supabase_migrations',
  'pgbouncer',
  '_realtime',
  '_supavisor',
  '_analytics',
  'net',
  'cron',
  'extensions',
]);
const apiRoles = new Set(['anon', 'authenticated', 'authenticator']);

/** Throws GRANT_REFUSED for a service's schema and an API role. */
export function requireGrantable({ schema, role }: { schema: string; role: string }): void {
  if (!services.has(schema) || !apiRoles.has(role)) return;
  throw new AppError('GRANT_REFUSED', {
    message: `The schema ${schema} belongs to a service, so ${role} gets no rights there: it is the role of everybody who calls the API.`,
    fix: 'Write a function or a view in a schema of your own that shows exactly what is needed.',
  });
}

export const isApiRole = (role: string): boolean => apiRoles.has(role);
