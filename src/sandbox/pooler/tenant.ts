/**
 * Supavisor's tenant. Invariants:
 * 1. As pooler.exs does: at a start of its container the tenant is made from the environment if there is none of that name, and never changed.
 * 2. What a running pooler works with is the row as it was when its container started.
 */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { loginOf } from '../gateway/upstream.ts';
import { type Database, innerDatabase, withClient } from '../postgres/database.ts';
import type { StackRecord } from '../state.ts';
import { decryptPassword, encryptPassword } from './vault.ts';

/** The tables that Supavisor's migrations make, as far as its tenant is concerned. */
const tables = `
create table if not exists _supavisor.tenants (
  id uuid primary key,
  external_id varchar not null unique,
  db_host varchar not null,
  db_port integer not null,
  db_database varchar not null,
  default_parameter_status jsonb not null,
  ip_version varchar not null default 'auto',
  upstream_ssl boolean not null default false,
  enforce_ssl boolean not null default false,
  require_user boolean not null default true,
  auth_query varchar,
  default_pool_size integer not null default 15,
  default_max_clients integer not null default 1000,
  client_idle_timeout integer not null default 0,
  inserted_at timestamp(0) not null default now(),
  updated_at timestamp(0) not null default now()
);
create table if not exists _supavisor.users (
  id uuid primary key,
  db_user_alias varchar not null,
  db_user varchar not null,
  db_pass_encrypted bytea not null,
  pool_size integer not null,
  mode_type varchar,
  is_manager boolean not null default false,
  tenant_external_id varchar not null references _supavisor.tenants (external_id) on delete cascade,
  inserted_at timestamp(0) not null default now(),
  updated_at timestamp(0) not null default now(),
  unique (db_user_alias, tenant_external_id, mode_type)
)`;

export type Tenant = {
  id: string;
  poolSize: number;
  maxClients: number;
  /** The user that asks the database for the verifiers of others. */
  manager: { user: string; password: string } | undefined;
};

/** What a start of the pooler's container does. Throws when the database refuses its password or a setting is none. */
export async function startPooler(stack: StackRecord, database: Database): Promise<Tenant[]> {
  const env = stack.services.find(({ name }) => name === 'supavisor')?.env;
  if (env === undefined) return [];
  const login = { ...loginOf(env['DATABASE_URL'] ?? ''), database: innerDatabase };
  return withClient(database.connect(login), async (client) => {
    await client.query(tables);
    await seed(client, env);
    return readTenants(client, env['VAULT_ENC_KEY'] ?? '');
  });
}

async function seed(client: pg.Client, env: Readonly<Record<string, string>>): Promise<void> {
  const [id = '', poolSize, maxClients] = [env['POOLER_TENANT_ID'], env['POOLER_DEFAULT_POOL_SIZE'], env['POOLER_MAX_CLIENT_CONN']];
  const known = await client.query('select from _supavisor.tenants where external_id = $1', [id]);
  if (known.rowCount !== 0) return;
  const version = JSON.stringify({ server_version: '17.6' });
  await client.query(
    `insert into _supavisor.tenants (id, external_id, db_host, db_port, db_database, default_parameter_status, require_user, auth_query,
       default_pool_size, default_max_clients)
     values ($1, $2, 'db', 5432, 'postgres', $3, false, 'SELECT * FROM pgbouncer.get_auth($1)', $4, $5)`,
    [randomUUID(), id, version, poolSize, maxClients],
  );
  const sealed = encryptPassword(env['POSTGRES_PASSWORD'] ?? '', env['VAULT_ENC_KEY'] ?? '');
  await client.query(
    `insert into _supavisor.users (id, db_user_alias, db_user, db_pass_encrypted, pool_size, mode_type, is_manager, tenant_external_id)
     values ($1, 'pgbouncer', 'pgbouncer', $2, $3, 'transaction', true, $4)`,
    [randomUUID(), sealed, poolSize, id],
  );
}

type Row = { id: string; size: number; clients: number; user: string | null; sealed: Buffer | null };

async function readTenants(client: pg.Client, vaultKey: string): Promise<Tenant[]> {
  const { rows } = await client.query<Row>(
    `select t.external_id as id, t.default_pool_size as size, t.default_max_clients as clients, u.db_user as user, u.db_pass_encrypted as sealed
     from _supavisor.tenants t left join _supavisor.users u on u.tenant_external_id = t.external_id and u.is_manager`,
  );
  return rows.map(({ id, size, clients, user, sealed }) => ({
    id,
    poolSize: size,
    maxClients: clients,
    manager: user === null || sealed === null ? undefined : { user, password: opened(sealed, vaultKey) },
  }));
}

/** What another key sealed is no password. */
function opened(sealed: Buffer, vaultKey: string): string {
  try {
    return decryptPassword(sealed, vaultKey);
  } catch {
    return '';
  }
}
