/** The nine ways in which a connection fails that people report most, each brought about for real and answered by code, cause and fix. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pgClientFor } from '../../src/effects/backup/programs.ts';
import type { SqlAddress } from '../../src/effects/postgres/address.ts';
import { openSession, type SqlTarget } from '../../src/effects/postgres/open.ts';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import type { AppError } from '../../src/errors.ts';
import { fatal } from '../../src/sandbox/pooler/wire.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { capstan } from '../helpers/cli.ts';
import { startServer, type TestServer } from '../helpers/databases.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { errorOf } from '../helpers/dokploy-lab.ts';
import { composeApi, sqlInContainer } from '../helpers/sandbox-calls.ts';

let server: TestServer;
let folder: string;
let sandbox: Sandbox;
let env: ReadonlyMap<string, string>;
const listeners: Server[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-nine-'));
  [server, sandbox] = await Promise.all([
    startServer(15, { max_connections: '20' }),
    startSandbox({ dataDir: folder, instances: ['gen-c'] }),
  ]);
  env = envVariables(parseEnv(await composeApi(sandbox, 'gen-c').env()));
}, 120_000);
afterAll(async () => {
  for (const listener of listeners) listener.close();
  await sandbox.stop({ discard: true });
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

const at = (change: Partial<SqlAddress> = {}): SqlAddress => ({
  host: '127.0.0.1',
  port: server.port,
  database: 'postgres',
  user: 'postgres',
  password: server.password,
  ssl: 'prefer',
  ...change,
});
const refusal = (target: Omit<SqlTarget, 'name' | 'reach'> & Partial<SqlTarget>): Promise<AppError> =>
  errorOf(openSession({ name: 'lab', reach: { ca: sandbox.ca, resolve: sandbox.resolve }, ...target }, 'model-read'));
const meta = (change: Record<string, unknown> = {}) => ({
  baseUrl: 'https://gen-c.supabase.test',
  serviceKey: env.get('SERVICE_ROLE_KEY') ?? '',
  cryptoKey: env.get('PG_META_CRYPTO_KEY') ?? '',
  logins: [{ role: 'postgres', password: env.get('POSTGRES_PASSWORD') ?? '' }],
  ...change,
});
async function listen(made: Server): Promise<number> {
  listeners.push(made);
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  return (made.address() as AddressInfo).port;
}

test('1 fresh install: a database that still starts is told from one that is not there, and is tried again', async () => {
  const port = await listen(
    createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(fatal('57P03', 'the database system is starting up')));
    }),
  );
  expect(await refusal({ addresses: [at({ port, ssl: 'disable' })] })).toMatchObject({
    code: 'DATABASE_STARTING',
    retry: 'later',
    message: expect.stringContaining('starting up'),
    fix: expect.stringMatching(/first start.*minutes/),
  });
});

test('2 password changed after the first start: the running database keeps its first one', async () => {
  const wrong = { logins: [{ role: 'postgres', password: 'changed-in-the-environment' }] };
  for (const target of [{ addresses: [at({ password: 'changed-in-the-environment' })] }, { addresses: [], meta: meta(wrong) }])
    expect(await refusal(target)).toMatchObject({
      code: 'SQL_LOGIN_REFUSED',
      retry: 'never',
      fix: expect.stringMatching(/its first start/),
    });
});

test('3 invalid JWT configuration: a service key that the gateway does not know is named as the cause', async () => {
  expect(await refusal({ addresses: [], meta: meta({ serviceKey: 'eyJhbGciOiJIUzI1NiJ9.e30.made-with-another-secret' }) })).toMatchObject({
    code: 'SUPABASE_KEY_REFUSED',
    fix: expect.stringContaining('diagnose_target'),
  });
});

test('4 missing variables: what is missing is named, where it was looked for', async () => {
  const { cryptoKey: _, ...without } = meta();
  expect(await refusal({ addresses: [], meta: without })).toMatchObject({
    code: 'SQL_NO_WAY',
    message: expect.stringContaining('PG_META_CRYPTO_KEY'),
    fix: expect.stringContaining('targets add'),
  });
  const place = temporaryHome();
  const added = await capstan(place.home, ['targets', 'add', 'empty', '--connection', 'env:NOT_SET', '--json']);
  expect(added).toMatchObject({ exit: 1, stdout: expect.stringMatching(/SECRET_UNREADABLE.*NOT_SET/s) });
  place.remove();
});

test('5 port conflict: another program answers where Postgres should', async () => {
  const http = await listen(createHttpServer((_, response) => response.writeHead(400).end('no')));
  const mute = await listen(
    createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('220 mail.example.com ESMTP\r\n'));
    }),
  );
  for (const port of [http, mute])
    for (const ssl of ['prefer', 'disable', 'require'] as const)
      expect(await refusal({ addresses: [at({ port, ssl })] }), `${ssl}`).toMatchObject({
        code: 'PORT_TAKEN',
        message: expect.stringContaining(`127.0.0.1:${port}`),
        fix: expect.stringMatching(/5432.*6543.*54322/),
      });
});

test('6 network isolation: a name of the Docker network leads nowhere from outside, and the way that does is named', async () => {
  expect(await refusal({ addresses: [at({ host: 'db.invalid' })] })).toMatchObject({
    code: 'HOST_NOT_FOUND',
    fix: expect.stringMatching(/Docker network.*\/pg\/query/),
  });
  expect(await refusal({ addresses: [at({ port: 1 })] })).toMatchObject({
    code: 'CONNECTION_REFUSED',
    fix: expect.stringContaining('published'),
  });
});

test('7 pool exhausted: at the server and at the pooler', async () => {
  const holders: pg.Client[] = [];
  try {
    for (;;) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: server.port,
        user: 'postgres',
        password: server.password,
        database: 'postgres',
      });
      client.on('error', () => undefined);
      await client.connect();
      holders.push(client);
    }
  } catch {
    // The last one was one too many.
  }
  const full = { code: 'POOL_EXHAUSTED', retry: 'later', fix: expect.stringMatching(/monitor_connections.*resize-pool/) };
  expect(holders.length).toBeGreaterThan(5);
  expect(await refusal({ addresses: [at()] })).toMatchObject(full);
  await Promise.all(holders.map((client) => client.end()));

  await sqlInContainer(sandbox, 'gen-c', 'update _supavisor.tenants set default_pool_size = 1', '_supabase');
  const api = composeApi(sandbox, 'gen-c');
  await api.setEnv((await api.env()).replace(/^POOLER_DEFAULT_POOL_SIZE=.*$/m, 'POOLER_DEFAULT_POOL_SIZE=1'));
  await api.deploy();
  const pooled = at({
    port: sandbox.poolerPort,
    user: `postgres.${env.get('POOLER_TENANT_ID')}`,
    role: 'postgres',
    password: env.get('POSTGRES_PASSWORD') ?? '',
    mode: 'session',
    ssl: 'disable',
  });
  const only = await openSession({ name: 'lab', reach: {}, addresses: [pooled] }, 'model-read');
  expect(await refusal({ addresses: [pooled] })).toMatchObject(full);
  await only.close();
  expect(await refusal({ addresses: [{ ...pooled, user: 'postgres' }] })).toMatchObject({ code: 'POOLER_TENANT_UNKNOWN' });
});

test('8 permission denied: the right that is missing and the way to it are named', async () => {
  const admin = await server.admin();
  await admin.query(`create role weak login password '${server.password}'`);
  const session = await openSession({ name: 'lab', reach: {}, addresses: [at({ user: 'weak' })] }, 'model-read');
  expect(await errorOf(session.query('select * from auth.users', []))).toMatchObject({
    code: 'SQL_FAILED',
    message: expect.stringContaining('permission denied for schema auth'),
    fix: expect.stringMatching(/check_access.*grant-access/),
    details: { sqlState: '42501' },
  });
  await session.close();
});

test('9 a program is missing: psql in the container, pg_dump on this machine', async () => {
  const bin = mkdtempSync(join(tmpdir(), 'capstan-no-psql-'));
  for (const name of ['base64', 'cat']) symlinkSync(spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim(), join(bin, name));
  const run = async (command: string) => {
    const { stdout, stderr } = spawnSync('/bin/bash', ['-c', command], { env: { PATH: bin }, encoding: 'utf8' });
    return stdout + stderr; // as Dokploy's log holds both
  };
  expect(await refusal({ addresses: [], exec: { run } })).toMatchObject({
    code: 'SQL_NO_WAY',
    message: expect.stringContaining('PSQL_MISSING'),
  });
  const path = process.env['PATH'];
  process.env['PATH'] = bin;
  const missing = await errorOf(pgClientFor('pg_dump', 15, join(bin, 'nothing'))).finally(() => {
    process.env['PATH'] = path;
  });
  expect(missing).toMatchObject({ code: 'PG_CLIENT_MISSING', fix: expect.stringContaining('postgresql-client-15') });
  rmSync(bin, { recursive: true, force: true });
});
