import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findPostgres, reachableBinaries } from '../../src/sandbox/postgres/binaries.ts';
import { type Cluster, initCluster, startCluster } from '../../src/sandbox/postgres/cluster.ts';
import { connect, withClient } from '../../src/sandbox/postgres/database.ts';
import { ask, call, deploy, deployStack, openSandbox, sql } from './client.ts';

let folder: string;
let server: Cluster;
let url: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-shared-'));
  chmodSync(folder, 0o755);
  const binaries = await reachableBinaries(await findPostgres(), join(folder, 'native'));
  const password = await initCluster(binaries, join(folder, 'data'));
  server = await startCluster(binaries, join(folder, 'data'));
  url = `postgres://supabase_admin:${password}@127.0.0.1:${server.port}/postgres`;
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const databases = () =>
  withClient(connect({ connectionString: url }), async (client) => {
    const rows = await client.query<{ datname: string }>("select datname from pg_database where datname like 'capstan_sandbox_%'");
    return rows.rows.length;
  });

test('with a URL each stack is a database of that server; no password there is changed and deleting drops the database', async () => {
  const { sandbox, close } = await openSandbox({ postgresUrl: url });
  const [one, other] = [await deployStack(sandbox), await deployStack(sandbox)];
  expect([one.deployment.status, other.deployment.status, await databases()]).toEqual(['done', 'done', 4]); // each has a second one, where Supavisor and Logflare keep theirs
  await sql(sandbox, one, 'create table public.only_here (id int)');
  expect((await sql(sandbox, one, 'select current_user, count(*)::int as n from public.only_here group by 1')).body).toEqual([]);
  expect(await sql(sandbox, other, 'select * from public.only_here')).toMatchObject({ status: 400, body: { code: '42P01' } });
  const users = await ask(sandbox, one.host, '/auth/v1/admin/users', { headers: { apikey: one.env.SERVICE_ROLE_KEY ?? '' } });
  expect(users).toMatchObject({ status: 200, body: { users: [] } });
  const withPasswords = "select count(*)::int as n from pg_authid where rolpassword is not null and rolname <> 'supabase_admin'";
  expect((await sql(sandbox, one, withPasswords)).body).toEqual([{ n: 0 }]);
  const text = Object.entries({ ...one.env, POSTGRES_PASSWORD: 'another' }).map(([name, value]) => `${name}=${value}`);
  await call(sandbox, 'compose.saveEnvironment', { composeId: one.composeId, env: text.join('\n') });
  await deploy(sandbox, one.composeId, 'another password');
  expect(await sql(sandbox, one, 'select 1')).toMatchObject({ status: 400, body: { code: '28P01' } });
  await call(sandbox, 'compose.delete', { composeId: one.composeId, deleteVolumes: true });
  await call(sandbox, 'compose.delete', { composeId: other.composeId, deleteVolumes: true });
  expect(await databases()).toBe(0);
  await close();
});

test('a server that cannot be used is refused at the start', async () => {
  await expect(openSandbox({ postgresUrl: 'postgres://nobody:wrong@127.0.0.1:1/postgres' })).rejects.toMatchObject({
    code: 'SANDBOX_POSTGRES_FAILED',
  });
});
