/** Bad input at 2 a.m.: each gets a code, one sentence and the next step; the run stays where it was and nothing is created. */
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../src/sandbox/postgres/cluster.ts';
import { onSandbox } from '../helpers/on-sandbox.ts';
import { addDokploy, codeOf, me, openStage } from '../helpers/wizard-stage.ts';

const at = onSandbox(openStage);
afterEach(() => {
  expect(at.sandbox.journal().filter((entry) => entry.applied)).toEqual([]);
});

const connectTo = async (dokploy: string, stage = at.stage) => {
  const { runId } = await stage.app.engine.start({ workflow: 'setup-supabase' }, me);
  return stage.send(runId, 'connect', { dokploy });
};
const refusedAt = (view: Awaited<ReturnType<typeof connectTo>>, state: string, code: string) => {
  expect({ state: view.state, status: view.status, code: view.error?.code }).toEqual({ state, status: 'waiting', code });
  expect(view.error?.message).toMatch(/^[^\n]{15,400}$/);
  expect(view.error?.fix).toMatch(/\w{3}/);
};

test('a Dokploy that is not there', async () => {
  await addDokploy(at.stage.app, at.sandbox, { name: 'away', url: `http://127.0.0.1:${await freePort()}` });
  refusedAt(await connectTo('away'), 'connect', 'CONNECTION_REFUSED');
});

test('a dokploy that is not registered', async () => {
  refusedAt(await connectTo('nowhere'), 'connect', 'DOKPLOY_UNKNOWN');
});

test('a wrong key', async () => {
  await addDokploy(at.stage.app, at.sandbox, { name: 'locked', key: 'this-is-not-the-key-at-all' });
  refusedAt(await connectTo('locked'), 'connect', 'DOKPLOY_UNAUTHORIZED');
});

test('a key whose rate limit is used up, after it had worked', async () => {
  at.sandbox.setFaults(['rate-limited-key']);
  const view = await connectTo('home');
  refusedAt(view, 'connect', 'DOKPLOY_KEY_RATE_LIMITED');
  expect(view.error?.message).toMatch(/rate limit/i);
});

test('an old Dokploy', async () => {
  at.sandbox.setFaults(['old-version']);
  const view = await connectTo('home');
  refusedAt(view, 'connect', 'DOKPLOY_TOO_OLD');
  expect(view.error?.message).toContain('0.24.0');
});

test('a template that cannot be fetched', async () => {
  at.sandbox.setFaults(['template-unreachable']);
  refusedAt(await connectTo('home'), 'connect', 'TEMPLATE_UNREACHABLE');
});

test('a Dokploy over http works, with a warning', async () => {
  const view = await connectTo('home');
  expect(view).toMatchObject({ state: 'name', status: 'waiting' });
  expect(view.warnings.map((warning) => warning.code)).toContain('KEY_SENT_IN_CLEAR');
});

test.each(['My Project', 'postgres', '1abc', 'a_b', '', 'x'.repeat(33)])('the name %j', async (name) => {
  const view = await connectTo('home');
  const error = await at.stage.app.engine.advance({ run: view.runId, event: 'name', payload: { name } }, me).then(
    () => undefined,
    (thrown: unknown) => thrown as { code: string; message: string },
  );
  expect(error?.code).toBe('PAYLOAD_INVALID');
  if (name === 'My Project') expect(error?.message).toContain('my-project');
  expect(await at.stage.app.engine.inspect(view.runId)).toMatchObject({ state: 'name', version: view.version });
});

const toDomain = async (stage = at.stage) => {
  const { runId } = await connectTo('home', stage);
  await stage.send(runId, 'name', { name: 'shop' });
  await stage.send(runId, 'generate');
  return runId;
};

test('a mail password by value or from nowhere, and a mail server that is not there', async () => {
  const run = await toDomain();
  const payload = {
    host: 'mail.shop.test',
    port: 587,
    user: 'hello',
    pass: 'env:CAPSTAN_TEST_MAIL_PASSWORD',
    adminEmail: 'a@shop.test',
    senderName: 'Shop',
  };
  expect(await codeOf(at.stage.app.engine.advance({ run, event: 'smtp', payload }, me))).toBe('SECRET_UNREADABLE');
  expect(await codeOf(at.stage.app.engine.advance({ run, event: 'smtp', payload: { ...payload, pass: 'hunter2hunter2' } }, me))).toBe(
    'SECRET_IN_ARGUMENT',
  );
  process.env['CAPSTAN_TEST_MAIL_PASSWORD'] = 'not-the-password-4711';
  const view = await at.stage.send(run, 'smtp', payload);
  delete process.env['CAPSTAN_TEST_MAIL_PASSWORD'];
  expect(view).toMatchObject({ state: 'smtp', status: 'waiting' });
  expect(view.error?.code).toMatch(/^(SMTP_|HOST_NOT_FOUND)/);
  expect(JSON.stringify(view)).not.toContain('not-the-password-4711');
});

test('a placeholder of the template as a mail server', async () => {
  const run = await toDomain();
  process.env['CAPSTAN_TEST_MAIL_PASSWORD'] = 'fake_mail_password';
  const payload = {
    host: 'supabase-mail',
    port: 587,
    user: 'fake_mail_user',
    pass: 'env:CAPSTAN_TEST_MAIL_PASSWORD',
    adminEmail: 'admin@example.com',
    senderName: 'x',
  };
  const view = await at.stage.send(run, 'smtp', payload);
  delete process.env['CAPSTAN_TEST_MAIL_PASSWORD'];
  expect(view).toMatchObject({ state: 'smtp', status: 'waiting' });
  expect(view.error?.code).toMatch(/PLACEHOLDER/);
});

test.each(['https://shop.example.com', 'shop_a.example.com', 'UPPER.example.com', 'a b', ''])('the domain %j', async (host) => {
  const run = await toDomain();
  await at.stage.send(run, 'skipSmtp');
  expect(await codeOf(at.stage.app.engine.advance({ run, event: 'domain', payload: { host } }, me))).toBe('PAYLOAD_INVALID');
});

test('a domain that does not resolve', async () => {
  const stage = await openStage({ ...at.sandbox, resolve: [] });
  onTestFinished(() => stage.close());
  const run = await toDomain(stage);
  await stage.send(run, 'skipSmtp');
  const view = await stage.send(run, 'domain', { host: 'no-such-name.invalid' });
  expect(view).toMatchObject({ state: 'domain', status: 'waiting' });
  expect(view.error?.code).toMatch(/DOMAIN|HOST/);
  expect(view.error?.fix).toMatch(/\w{3}/);
});
