/** The reading role's login and the granting of rights on a stock instance without any published port; judged by the database's own catalog. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../src/sandbox/postgres/database.ts';
import { allSecrets, registerStack } from '../helpers/stock-target.ts';
import { codeOf, me, openStage, type Stage } from '../helpers/wizard-stage.ts';
import { deployStack, openSandbox, type Stack } from '../sandbox/client.ts';

let dataDir: string;
let box: Awaited<ReturnType<typeof openSandbox>>;
let stage: Stage;
let stack: Stack;
let admin: pg.Client;
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'capstan-access-'));
  box = await openSandbox({ dataDir });
  stack = await deployStack(box.sandbox);
  stage = await openStage(box.sandbox);
  await registerStack(stage.app, stack, allSecrets);
  const { postgresRoot } = JSON.parse(readFileSync(join(dataDir, 'sandbox.json'), 'utf8')) as { postgresRoot: string };
  const port = Number(readFileSync(join(postgresRoot, stack.composeId, 'data', 'postmaster.pid'), 'utf8').split('\n')[3]);
  const password = stack.env['POSTGRES_PASSWORD'] ?? '';
  admin = await connect({ host: '127.0.0.1', port, database: 'postgres', user: 'supabase_admin', password });
});
afterAll(async () => {
  await admin.end();
  await stage.close();
  await box.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const start = async (workflow: string, input: Record<string, unknown>) => {
  const { runId } = await stage.app.engine.start({ workflow, input: { target: 'shop', ...input } }, me);
  return stage.settle(runId);
};
const approve = async (run: string) => {
  expect(await codeOf(stage.app.engine.advance({ run, event: 'approve' }, me))).toBe('APPROVAL_REQUIRED');
  return stage.approve(run);
};
const whoReads = async () => {
  const { via, rows, warnings } = await stage.app.readBySql({ target: 'shop', sql: 'select current_user::text as who' });
  return { rung: via.rung, who: rows[0]?.['who'], warnings: warnings.map(({ code }) => code) };
};
const verifier = async () =>
  (await admin.query<{ rolpassword: string | null }>("select rolpassword from pg_authid where rolname = 'supabase_read_only_user'")).rows[0]
    ?.rolpassword;
const secretsOf = async () => Object((await stage.app.registry.target('shop')).record['secrets']) as Record<string, string>;

test('the reading role gets a login: SQL of an agent runs as it through /pg/query; a rollback takes login and record back', async () => {
  expect(await whoReads()).toEqual({ rung: 'meta', who: 'postgres', warnings: ['ROLE_CAN_WRITE'] });
  const before = { verifier: await verifier(), secrets: await secretsOf() };
  expect(before.verifier).toBeNull();
  const review = await start('enable_read_only', {});
  expect(review).toMatchObject({
    state: 'review',
    details: { plan: { nothing: false, hadPassword: false, role: 'supabase_read_only_user' } },
  });
  expect(await verifier()).toBeNull();
  const done = await approve(review.runId);
  expect(done).toMatchObject({ status: 'done', output: { usedBy: 'meta', role: 'supabase_read_only_user', error: null } });
  expect(await verifier()).toMatch(/^SCRAM-SHA-256\$4096:/);
  expect(await whoReads()).toEqual({ rung: 'meta', who: 'supabase_read_only_user', warnings: [] });
  expect((await start('enable-read-only', {})).state).toBe('alreadyThere');

  const password = await stage.app.vault.reveal((await secretsOf())['readOnlyPassword'] ?? '');
  expect(password.length).toBeGreaterThanOrEqual(32);
  const shown = JSON.stringify([review, done, await stage.app.engine.timeline(review.runId, { after: 0, limit: 100 })]) + stage.logged();
  for (const secret of [password, encodeURIComponent(password), (await verifier()) ?? '']) expect(shown).not.toContain(secret);
  expect(JSON.stringify(box.sandbox.journal())).not.toContain(password);

  await stage.rollback(review.runId, 'review');
  expect({ verifier: await verifier(), secrets: await secretsOf() }).toEqual(before);
  expect(await whoReads()).toMatchObject({ who: 'postgres' });
});

test('an earlier password of the role is replaced knowingly, put back as it was, and never overwritten when somebody else changed it', async () => {
  await admin.query("alter role supabase_read_only_user password 'of-somebody-else'");
  const earlier = await verifier();
  const review = await start('enable-read-only', {});
  expect(review).toMatchObject({
    details: { plan: { hadPassword: true, notes: [expect.stringMatching(/stops working/), expect.anything()] } },
  });
  expect(await approve(review.runId)).toMatchObject({ status: 'done' });
  expect(await verifier()).not.toBe(earlier);
  await stage.rollback(review.runId, 'review');
  expect(await verifier()).toBe(earlier);

  const second = await start('enable-read-only', {});
  expect(await approve(second.runId)).toMatchObject({ status: 'done' });
  const written = await verifier();
  await admin.query("alter role supabase_read_only_user password 'changed-meanwhile'");
  const changed = await verifier();
  expect(await stage.rollback(second.runId, 'review')).toMatchObject({ status: 'needs_attention' });
  expect(await verifier()).toBe(changed);
  // Its owner puts right what should stand there, and the rollback goes on.
  await admin.query(`alter role supabase_read_only_user password '${written}'`);
  await stage.app.engine.resolve({ run: second.runId, as: 'retry_rollback', note: 'put right' }, me);
  expect((await stage.settle(second.runId)).state).toBe('review');
  expect(await verifier()).toBe(earlier);
});

test('the way in refuses a role that somebody made a superuser', async () => {
  await admin.query('alter role supabase_read_only_user superuser');
  expect(await start('enable-read-only', { renew: true })).toMatchObject({ state: 'notEnabled', error: { code: 'ROLE_IS_SUPERUSER' } });
  await admin.query('alter role supabase_read_only_user nosuperuser');
});

const accessLists = async () =>
  (
    await admin.query<{ name: string; acl: string }>(
      `select 'schema' as name, coalesce(nspacl::text, '') as acl from pg_namespace where nspname = 'app"s'
       union all select relname, coalesce(relacl::text, '') from pg_class where relnamespace = (select oid from pg_namespace where nspname = 'app"s') order by 1`,
    )
  ).rows;

test('the missing rights, and only those, are given after a yes and revoked by the rollback', async () => {
  await admin.query(`create schema "app""s"; create table "app""s".open (id int); create table "app""s"."cl""osed" (id serial);
    alter table "app""s"."cl""osed" enable row level security; create table "app""s".known (id int); grant select on "app""s".known to anon;
    alter table "app""s".open owner to postgres; create view "app""s".seen as select 1 as one`);
  const before = await accessLists();
  const wish = { role: 'anon', schema: 'app"s', want: 'read' } as const;
  const asked = await stage.app.checkAccess({ target: 'shop', ...wish });
  expect(asked.grants).toEqual([
    'grant usage on schema "app""s" to "anon"',
    'grant select on table "app""s"."cl""osed", "app""s"."open", "app""s"."seen" to "anon"',
  ]);
  const review = await start('grant-access', wish);
  expect(review).toMatchObject({
    state: 'review',
    details: { plan: { objects: 4, statements: asked.grants, notes: [expect.stringMatching(/^1 of the tables have no row security/)] } },
  });
  expect(await accessLists()).toEqual(before);
  await admin.query('create table "app""s".later (id int)');
  const between = await accessLists();
  expect(await approve(review.runId)).toMatchObject({ status: 'done', output: { granted: 4 } });
  const rights = async (table: string) =>
    (await admin.query('select has_table_privilege($1, $2, $3) as may', ['anon', `"app""s".${table}`, 'select'])).rows[0]?.['may'];
  expect([await rights('open'), await rights('"cl""osed"'), await rights('seen'), await rights('known'), await rights('later')]).toEqual([
    true,
    true,
    true,
    true,
    false,
  ]);
  expect((await start('grant-access', { ...wish, want: 'read' })).details['plan']).toMatchObject({ objects: 1 });
  await stage.rollback(review.runId, 'review');
  // An access list that was the default is now written out; what anon may do is what it was.
  const plain = (rows: { name: string; acl: string }[]) => rows.map(({ name, acl }) => [name, /anon=/.test(acl)]);
  expect(plain(await accessLists())).toEqual(plain(between));
  expect(await stage.app.checkAccess({ target: 'shop', ...wish })).toMatchObject({
    grants: [asked.grants?.[0], expect.stringContaining('"later"')],
  });
});

test('writing takes sequences along; an unknown role, a service’s schema and a refusal change nothing', async () => {
  const before = await accessLists();
  const review = await start('grant-access', { role: 'authenticated', schema: 'app"s', want: 'write' });
  expect(JSON.stringify(review.details['plan'])).toMatch(/usage, select on sequence|select, usage on sequence/);
  expect(await start('grant-access', { role: 'nobody', schema: 'app"s', want: 'read' })).toMatchObject({
    state: 'notGranted',
    error: { code: 'ACCESS_UNKNOWN' },
  });
  expect(await start('grant-access', { role: 'anon', schema: 'auth', want: 'read' })).toMatchObject({ error: { code: 'GRANT_REFUSED' } });
  expect(await accessLists()).toEqual(before);
  expect(await approve(review.runId)).toMatchObject({ status: 'done' });
  await admin.query('set role authenticated');
  await admin.query('insert into "app""s".open values (1)');
  await admin.query('reset role');
});
