/** A new database password on placed instances; judged by who may log in, by the catalog and by the rows of the pooler, never by what the product says. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createHttp } from '../../src/effects/http/http.ts';
import { openMeta } from '../../src/effects/postgres/meta.ts';
import { queryThroughMeta } from '../../src/effects/supabase/sql.ts';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { decryptPassword } from '../../src/sandbox/pooler/vault.ts';
import { isPasswordOf } from '../../src/sandbox/pooler/verifier.ts';
import { passwordRoles } from '../../src/sandbox/postgres/database.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { type ChangeStage, failing, openChangeStage } from '../helpers/change-stage.ts';
import { openRecordingProxy, type RecordingProxy } from '../helpers/recording-proxy.ts';
import { composeApi, sqlInContainer } from '../helpers/sandbox-calls.ts';
import { me } from '../helpers/wizard-stage.ts';

let folder: string;
let sandbox: Sandbox;
let stage: ChangeStage;
let proxy: RecordingProxy;
const names = ['gen-c', 'gen-b', 'changed-password', 'crlf'];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-password-'));
  sandbox = await startSandbox({ dataDir: folder, instances: names });
  proxy = await openRecordingProxy(sandbox.url);
  stage = await openChangeStage({ ...sandbox, url: proxy.url }, names);
}, 180_000);
afterAll(async () => {
  await stage.close();
  await proxy.close();
  await sandbox.stop({ discard: true });
  rmSync(folder, { recursive: true, force: true });
});

const reach = () => ({ ca: sandbox.ca, resolve: sandbox.resolve });
const valuesOf = async (name: string) => Object.fromEntries(envVariables(parseEnv(await stage.env(name))));
type Values = Record<string, string>;

/** Where the password of the environment is refused or taken: behind the pooler, by postgres-meta, by the services. */
async function entries(name: string, values: Values, password: string) {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: sandbox.poolerPort,
    user: `postgres.${values['POOLER_TENANT_ID']}`,
    password,
    database: 'postgres',
  });
  client.on('error', () => undefined);
  const pooler = await client.connect().then(
    () => 'in',
    () => 'out',
  );
  await client.end().catch(() => undefined);
  const way = {
    baseUrl: `https://${name}.supabase.test`,
    serviceKey: values['SERVICE_ROLE_KEY'] ?? '',
    cryptoKey: values['PG_META_CRYPTO_KEY'] ?? '',
  };
  const options = {
    reach: reach(),
    login: { role: 'supabase_admin', password },
    readOnly: true,
    timeoutMs: 5_000,
    reasons: [],
    applicationName: 'test',
  };
  const direct = await openMeta(way, options).then(
    ({ role }) => role,
    (error: unknown) => String(Reflect.get(Object(error), 'code')),
  );
  return { pooler, direct };
}

async function services(name: string, key: string): Promise<number[]> {
  const headers = { apikey: key, authorization: `Bearer ${key}` };
  const paths = ['/auth/v1/admin/users?per_page=1', '/rest/v1/', '/storage/v1/bucket', '/pg/schemas'];
  const http = createHttp(reach());
  return Promise.all(
    paths.map(async (path) => (await http.request({ method: 'GET', url: `https://${name}.supabase.test${path}`, headers })).status),
  );
}

const verifiers = async (name: string) =>
  Object.fromEntries(
    (
      await sqlInContainer(sandbox, name, 'select rolname, rolpassword from pg_authid where rolpassword is not null order by 1', 'postgres')
    ).map(([role = '', verifier = '']) => [role, verifier]),
  );
const poolerUsers = (name: string) =>
  sqlInContainer(sandbox, name, "select id, db_user, encode(db_pass_encrypted, 'hex') from _supavisor.users order by 1", '_supabase');

/** Everything that was ever sent to be run in a container, decoded as far as it goes. */
function statements(): string {
  const decode = (text: string) =>
    text.replace(/[A-Za-z0-9+/]{16,}={0,2}/g, (part) => `${part} ${Buffer.from(part, 'base64').toString('utf8')}`);
  return proxy.bodies
    .filter(({ path }) => path.includes('schedule.create'))
    .map(({ body }) => decode(decode(decode(body))))
    .join('\n');
}

const done = (view: Awaited<ReturnType<ChangeStage['approve']>>) => ({
  state: view.state,
  error: view.error,
  failing: failing(view, 'after'),
});
const isDone = { state: 'done', error: undefined, failing: [] };

test('every role, the pooler and every service have the new password, the old one opens nothing, and no statement ever held either', async () => {
  const text = await stage.env('gen-c');
  const [old, rolesBefore, usersBefore] = [await valuesOf('gen-c'), await verifiers('gen-c'), await poolerUsers('gen-c')];
  const was = old['POSTGRES_PASSWORD'] ?? '';
  expect(await entries('gen-c', old, was)).toEqual({ pooler: 'in', direct: 'supabase_admin' });
  const review = await stage.start('rotate-secrets', { target: 'gen-c', secret: 'database-password' });
  expect(review).toMatchObject({ state: 'review', details: { plan: { kind: 'configuration', databaseRestarts: true } } });
  expect([await stage.env('gen-c'), await verifiers('gen-c')]).toEqual([text, rolesBefore]);
  const after = await stage.approve(review.runId);
  expect(done(after)).toEqual(isDone);

  const now = await valuesOf('gen-c');
  const is = now['POSTGRES_PASSWORD'] ?? '';
  expect(Object.keys(now).filter((name) => now[name] !== old[name])).toEqual(['POSTGRES_PASSWORD']);
  const roles = await verifiers('gen-c');
  expect(Object.keys(roles).sort()).toEqual([...passwordRoles].sort());
  expect(passwordRoles.filter((role) => !isPasswordOf(roles[role] ?? '', is))).toEqual([]);
  const users = await poolerUsers('gen-c');
  expect(users.map(([, user, sealed = '']) => [user, decryptPassword(Buffer.from(sealed, 'hex'), now['VAULT_ENC_KEY'] ?? '')])).toEqual([
    ['pgbouncer', is],
  ]);
  expect(await entries('gen-c', now, is)).toEqual({ pooler: 'in', direct: 'supabase_admin' });
  expect(await entries('gen-c', now, was)).toEqual({ pooler: 'out', direct: 'SQL_LOGIN_REFUSED' });
  expect(await services('gen-c', now['SERVICE_ROLE_KEY'] ?? '')).toEqual([200, 200, 200, 200]);
  expect(statements()).toContain('SCRAM-SHA-256$4096:');
  const told = JSON.stringify([review, after]) + stage.logged() + statements();
  for (const secret of [was, is]) expect(told.includes(secret)).toBe(false);

  await stage.rollback(review.runId, 'review');
  expect(await stage.env('gen-c')).toBe(text);
  expect([await verifiers('gen-c'), await poolerUsers('gen-c')]).toEqual([rolesBefore, usersBefore]);
  expect(await entries('gen-c', old, was)).toEqual({ pooler: 'in', direct: 'supabase_admin' });
  expect(await entries('gen-c', old, is)).toEqual({ pooler: 'out', direct: 'SQL_LOGIN_REFUSED' });
  expect(await services('gen-c', old['SERVICE_ROLE_KEY'] ?? '')).toEqual([200, 200, 200, 200]);
}, 180_000);

test('both secrets change in one run, and are taken back in one', async () => {
  const text = await stage.env('gen-c');
  const [old, rolesBefore] = [await valuesOf('gen-c'), await verifiers('gen-c')];
  const review = await stage.start('rotate-secrets', { target: 'gen-c', secret: 'both' });
  expect(review).toMatchObject({ state: 'review', details: { plan: { kind: 'both' } } });
  expect(done(await stage.approve(review.runId))).toEqual(isDone);
  const now = await valuesOf('gen-c');
  const changed = Object.keys(now).filter((name) => now[name] !== old[name]);
  expect(changed.sort()).toEqual(['ANON_KEY', 'JWT_SECRET', 'POSTGRES_PASSWORD', 'SERVICE_ROLE_KEY']);
  expect(await entries('gen-c', now, now['POSTGRES_PASSWORD'] ?? '')).toEqual({ pooler: 'in', direct: 'supabase_admin' });
  expect(await services('gen-c', old['SERVICE_ROLE_KEY'] ?? '')).toEqual([401, 401, expect.any(Number), 401]);
  const access = { baseUrl: 'https://gen-c.supabase.test', serviceKey: now['SERVICE_ROLE_KEY'] ?? '', reach: reach() };
  const stored = await queryThroughMeta(access, "select current_setting('app.settings.jwt_secret') as secret");
  expect(stored).toEqual([{ secret: now['JWT_SECRET'] }]);
  await stage.rollback(review.runId, 'review');
  expect([await stage.env('gen-c'), await verifiers('gen-c')]).toEqual([text, rolesBefore]);
  expect(await services('gen-c', old['SERVICE_ROLE_KEY'] ?? '')).toEqual([200, 200, 200, 200]);
}, 180_000);

test('an instance whose services are locked out by a password changed in the environment alone works again', async () => {
  const before = await valuesOf('changed-password');
  expect(await services('changed-password', before['SERVICE_ROLE_KEY'] ?? '')).not.toEqual([200, 200, 200, 200]);
  const review = await stage.start('rotate-secrets', { target: 'changed-password', secret: 'database-password' });
  expect(JSON.stringify(review.warnings)).toContain('ROLE_HAD_ANOTHER_PASSWORD');
  expect(done(await stage.approve(review.runId))).toEqual(isDone);
  const now = await valuesOf('changed-password');
  expect(await services('changed-password', now['SERVICE_ROLE_KEY'] ?? '')).toEqual([200, 200, 200, 200]);
  expect(await entries('changed-password', now, now['POSTGRES_PASSWORD'] ?? '')).toEqual({ pooler: 'in', direct: 'supabase_admin' });
}, 120_000);

test('where psql in the container asks for a password nothing is changed: the second way in is not open', async () => {
  const [text, roles] = [await stage.env('crlf'), await verifiers('crlf')];
  sandbox.setFaults(['asks-password']);
  const refused = await stage.start('rotate-secrets', { target: 'crlf', secret: 'database-password' });
  expect(refused).toMatchObject({ state: 'planFailed', error: { code: 'SECOND_WAY_CLOSED' } });
  sandbox.setFaults([]);
  await stage.send(refused.runId, 'lookAgain');
  sandbox.setFaults(['asks-password']);
  const late = await stage.approve(refused.runId);
  expect(late).toMatchObject({ state: 'changeFailed', error: { code: 'SECOND_WAY_CLOSED' } });
  sandbox.setFaults([]);
  expect([await stage.env('crlf'), await verifiers('crlf')]).toEqual([text, roles]);
  const written = stage.writes().filter(({ body }) => JSON.stringify(body).includes(stage.composeOf('crlf')));
  expect(written.filter(({ procedure }) => !procedure.startsWith('schedule.'))).toEqual([]);
  expect((await stage.rollback(refused.runId, 'review')).state).toBe('review');
}, 90_000);

test('where the deployed instance does not pass its checks it returns by itself, roles and texts', async () => {
  const [text, roles, users] = [await stage.env('crlf'), await verifiers('crlf'), await poolerUsers('crlf')];
  const review = await stage.start('rotate-secrets', { target: 'crlf', secret: 'database-password' });
  sandbox.setFaults(['bad-key:1']);
  const returned = await stage.approve(review.runId);
  expect(returned.state).toBe('returned');
  sandbox.setFaults([]);
  expect(await stage.env('crlf')).toBe(text);
  expect([await verifiers('crlf'), await poolerUsers('crlf')]).toEqual([roles, users]);
  const values = await valuesOf('crlf');
  expect(await entries('crlf', values, values['POSTGRES_PASSWORD'] ?? '')).toEqual({ pooler: 'in', direct: 'supabase_admin' });
}, 120_000);

test('a role that somebody gave another password meanwhile is not written over, neither forth nor back', async () => {
  const text = await stage.env('crlf');
  const review = await stage.start('rotate-secrets', { target: 'crlf', secret: 'database-password' });
  const mine = (await verifiers('crlf'))['authenticator'] ?? '';
  const theirs = async (password: string) => {
    await sqlInContainer(sandbox, 'crlf', `alter role authenticator password '${password}'`, 'postgres');
    return (await verifiers('crlf'))['authenticator'];
  };
  const other = await theirs('somebody-else');
  const stuck = await stage.approve(review.runId);
  expect(stuck).toMatchObject({ status: 'needs_attention', error: { code: 'CHANGED_BY_SOMEBODY_ELSE' } });
  expect(JSON.stringify(stuck.error?.details)).toMatch(/role authenticator.*\(secret\)/);
  expect([(await verifiers('crlf'))['authenticator'], await stage.env('crlf')]).toEqual([other, text]);
  await theirs(mine);
  const effect = (await stage.app.effects(review.runId)).find(({ attention }) => attention !== undefined)?.effect ?? '';
  await stage.app.engine.resolve({ run: review.runId, effect, as: 'retry', note: 'put right' }, me);
  expect((await stage.settle(review.runId)).state).toBe('done');
  const again = await theirs('somebody-again');
  const back = await stage.rollback(review.runId, 'review');
  expect(back).toMatchObject({ status: 'needs_attention', error: { code: 'CHANGED_BY_SOMEBODY_ELSE' } });
  expect((await verifiers('crlf'))['authenticator']).toBe(again);
}, 120_000);

test('a new VAULT_ENC_KEY seals anew what the pooler keeps, a new PG_META_CRYPTO_KEY is all there is; both are taken back', async () => {
  const text = await stage.env('gen-c');
  const [old, users] = [await valuesOf('gen-c'), await poolerUsers('gen-c')];
  const password = old['POSTGRES_PASSWORD'] ?? '';
  const vault = await stage.start('rotate-secrets', { target: 'gen-c', secret: 'vault-key' });
  expect(done(await stage.approve(vault.runId))).toEqual(isDone);
  const now = await valuesOf('gen-c');
  expect(Object.keys(now).filter((name) => now[name] !== old[name])).toEqual(['VAULT_ENC_KEY']);
  const sealed = (await poolerUsers('gen-c')).map(([, , hex = '']) => decryptPassword(Buffer.from(hex, 'hex'), now['VAULT_ENC_KEY'] ?? ''));
  expect(sealed).toEqual([password]);
  expect(await entries('gen-c', now, password)).toEqual({ pooler: 'in', direct: 'supabase_admin' });
  await stage.rollback(vault.runId, 'review');
  expect([await stage.env('gen-c'), await poolerUsers('gen-c')]).toEqual([text, users]);
  expect(await entries('gen-c', old, password)).toEqual({ pooler: 'in', direct: 'supabase_admin' });
  const meta = await stage.start('rotate-secrets', { target: 'gen-c', secret: 'meta-key' });
  expect(done(await stage.approve(meta.runId))).toEqual(isDone);
  const after = await valuesOf('gen-c');
  expect(Object.keys(after).filter((name) => after[name] !== old[name])).toEqual(['PG_META_CRYPTO_KEY']);
  expect(await entries('gen-c', after, password)).toEqual({ pooler: 'in', direct: 'supabase_admin' });
  expect((await entries('gen-c', old, password)).direct).not.toBe('supabase_admin');
  await stage.rollback(meta.runId, 'review');
  expect(await stage.env('gen-c')).toBe(text);
}, 180_000);

test('a password inside URLs of the environment, the compose file and mounted files goes along; other texts that hold the word stay', async () => {
  const api = composeApi(sandbox, 'gen-b');
  const old = await valuesOf('gen-b');
  const was = old['POSTGRES_PASSWORD'] ?? '';
  const own = `# reports read from here\nREPORTS_URL=postgres://postgres:${was}@db:5432/postgres?x=1\nNOTE=about-${was}-nothing\n`;
  await api.setEnv(`${await api.env()}${own}`);
  const logflare = `create table _analytics.source_backends (id int, type varchar, config jsonb); insert into _analytics.source_backends values (1, 'postgres', '{"url": "x"}')`;
  await sqlInContainer(sandbox, 'gen-b', logflare, '_supabase');
  const review = await stage.start('rotate-secrets', { target: 'gen-b', secret: 'database-password' });
  expect(review.state).toBe('review');
  expect(JSON.stringify(review.warnings)).toContain('LOGFLARE_ROW');
  await stage.approve(review.runId);
  const now = await valuesOf('gen-b');
  const is = now['POSTGRES_PASSWORD'] ?? '';
  expect(is).not.toBe(was);
  expect([now['REPORTS_URL'], now['NOTE']]).toEqual([`postgres://postgres:${is}@db:5432/postgres?x=1`, `about-${was}-nothing`]);
}, 120_000);
