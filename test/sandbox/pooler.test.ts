/** The pooler of a placed instance, judged by logins through it and by the rows that it keeps. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { decryptPassword } from '../../src/sandbox/pooler/vault.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { composeApi, sqlInContainer } from '../helpers/sandbox-calls.ts';

let folder: string;
let sandbox: Sandbox;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-pooler-'));
  sandbox = await startSandbox({ dataDir: folder, instances: ['gen-c', 'changed-password'] });
}, 120_000);
afterAll(async () => {
  await sandbox.stop({ discard: true });
  rmSync(folder, { recursive: true, force: true });
});

const variables = async (name: string) => envVariables(parseEnv(await composeApi(sandbox, name).env()));

/** Who one is behind the pooler, or why one is not let in. */
async function through(user: string, password: string): Promise<string> {
  const client = new pg.Client({ host: '127.0.0.1', port: sandbox.poolerPort, user, password, database: 'postgres' });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ role: string }>('select current_user::text as role');
    return rows[0]?.role ?? '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

test('the tenant is made as pooler.exs makes it, its user’s password sealed with VAULT_ENC_KEY', async () => {
  const env = await variables('gen-c');
  const rows = await sqlInContainer(
    sandbox,
    'gen-c',
    "select external_id, default_pool_size, default_max_clients, require_user, db_user, encode(db_pass_encrypted, 'hex') from _supavisor.tenants join _supavisor.users on tenant_external_id = external_id",
    '_supabase',
  );
  expect(rows).toHaveLength(1);
  const [tenant, size, clients, requireUser, user, sealed = ''] = rows[0] ?? [];
  expect([tenant, size, clients, requireUser, user]).toEqual([env.get('POOLER_TENANT_ID'), '20', '100', 'false', 'pgbouncer']);
  expect(decryptPassword(Buffer.from(sealed, 'hex'), env.get('VAULT_ENC_KEY') ?? '')).toBe(env.get('POSTGRES_PASSWORD'));
});

test('it lets in who knows the password, of any role, and nobody behind another tenant', async () => {
  const env = await variables('gen-c');
  const [tenant, password] = [env.get('POOLER_TENANT_ID') ?? '', env.get('POSTGRES_PASSWORD') ?? ''];
  expect(await through(`postgres.${tenant}`, password)).toBe('postgres');
  expect(await through(`supabase_admin.${tenant}`, password)).toBe('supabase_admin');
  expect(await through(`postgres.${tenant}`, 'wrong')).toContain('password authentication failed');
  expect(await through('postgres.nobody', password)).toBe('Tenant or user not found');
  expect(await through('postgres', password)).toBe('Tenant or user not found');
});

test('a size in the row counts from the next start of its container, one in the environment never', async () => {
  const api = composeApi(sandbox, 'gen-c');
  const env = await variables('gen-c');
  const [tenant, password] = [env.get('POOLER_TENANT_ID') ?? '', env.get('POSTGRES_PASSWORD') ?? ''];
  const two = async () => {
    const config = { host: '127.0.0.1', port: sandbox.poolerPort, user: `postgres.${tenant}`, password, database: 'postgres' };
    const first = new pg.Client(config);
    await first.connect();
    const second = await through(`postgres.${tenant}`, password);
    await first.end();
    return second;
  };
  await sqlInContainer(sandbox, 'gen-c', 'update _supavisor.tenants set default_pool_size = 1', '_supabase');
  expect(await two()).toBe('postgres');
  await api.setEnv((await api.env()).replace(/^POOLER_DEFAULT_POOL_SIZE=.*$/m, 'POOLER_DEFAULT_POOL_SIZE=30'));
  await api.deploy();
  expect(await two()).toContain('MaxClientsInSessionMode');
  expect(await sqlInContainer(sandbox, 'gen-c', 'select default_pool_size from _supavisor.tenants', '_supabase')).toEqual([['1']]);
}, 60_000);

test('behind a tenant whose user is locked out nobody passes, whatever password they bring', async () => {
  const env = await variables('gen-c');
  const [tenant, password] = [env.get('POOLER_TENANT_ID') ?? '', env.get('POSTGRES_PASSWORD') ?? ''];
  await sqlInContainer(sandbox, 'gen-c', "alter role pgbouncer password 'another'", 'postgres');
  expect(await through(`postgres.${tenant}`, password)).toContain('Authentication query failed');
  await sqlInContainer(sandbox, 'gen-c', `alter role pgbouncer password '${password}'`, 'postgres');
  expect(await through(`postgres.${tenant}`, password)).toBe('postgres');
});

test('where the environment has another password than the roles the pooler does not start', async () => {
  const env = await variables('changed-password');
  expect(await through(`postgres.${env.get('POOLER_TENANT_ID')}`, env.get('POSTGRES_PASSWORD') ?? '')).toBe('Tenant or user not found');
});
