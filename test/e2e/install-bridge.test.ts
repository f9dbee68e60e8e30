/** A bridge to a stock instance without any published port: the relay of the product as a real process, behind the sandbox's gateway with its TLS. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeBridgeKeys } from '../../src/effects/bridge/token.ts';
import { errorOf } from '../helpers/dokploy-lab.ts';
import { registerStack } from '../helpers/stock-target.ts';
import { codeOf, me, openStage, person, type Stage } from '../helpers/wizard-stage.ts';
import { call, deployStack, openSandbox, type Stack } from '../sandbox/client.ts';

let box: Awaited<ReturnType<typeof openSandbox>>;
let stage: Stage;
let stack: Stack;
beforeAll(async () => {
  box = await openSandbox();
  stack = await deployStack(box.sandbox);
  stage = await openStage(box.sandbox);
  await registerStack(stage.app, stack, ['postgresPassword']);
});
afterAll(async () => {
  await stage.close();
  await box.close();
});

const host = 'bridge.supabase.test';
const start = async (input: Record<string, unknown> = {}) => {
  const { runId } = await stage.app.engine.start({ workflow: 'install-bridge', input: { target: 'shop', host, ...input } }, me);
  return stage.settle(runId);
};
const approve = async (run: string) => {
  expect(await codeOf(stage.app.engine.advance({ run, event: 'approve' }, me))).toBe('APPROVAL_REQUIRED');
  return stage.approve(run);
};
const services = () => box.sandbox.state().composes.map(({ appName }) => appName.replace(/-[a-z0-9]+$/, ''));
const record = async () =>
  (await stage.app.registry.target('shop')).record as { secrets: Record<string, string>; facts: Record<string, unknown> };
const throughBridge = (sql = 'select current_user::text as who') => stage.app.readBySql({ target: 'shop', sql, rung: 'bridge' });

test('it is planned, approved, deployed beside the target, used, and removed', async () => {
  const before = { services: services(), record: await record() };
  const review = await start();
  expect(review).toMatchObject({
    state: 'review',
    details: { plan: { network: `${stack.appName}_default`, image: expect.stringMatching(/^node:/) } },
  });
  expect(services()).toEqual(before.services);
  const inUse = await approve(review.runId);
  expect(inUse, JSON.stringify(inUse.error)).toMatchObject({ state: 'inUse', details: { proof: { role: 'postgres' } } });
  expect(services()).toHaveLength(before.services.length + 1);

  expect(await throughBridge()).toMatchObject({ via: { rung: 'bridge', role: 'postgres' }, rows: [{ who: 'postgres' }] });
  const many = await throughBridge('select n, repeat($$x$$, 100) as x from generate_series(1, 3000) n order by n');
  expect(many).toMatchObject({ rowCount: 100 });
  const writing = await stage.app.connect('shop', 'ddl');
  expect(writing.rung).toBe('bridge');
  expect((await stage.app.testConnection('shop')).ways.slice(-2)).toMatchObject([
    { rung: 'bridge', ok: true },
    { rung: 'exec', ok: true },
  ]);

  const key = await stage.app.vault.reveal((await record()).secrets['bridgeKey'] ?? '');
  const told = JSON.stringify([review, inUse, box.sandbox.journal(), box.sandbox.state()]) + stage.logged();
  expect(key.length).toBeGreaterThanOrEqual(60);
  expect(told).not.toContain(key);

  await stage.app.engine.advance({ run: review.runId, event: 'remove' }, me);
  expect(await stage.settle(review.runId)).toMatchObject({ status: 'done', output: { removed: true } });
  expect({ services: services(), record: await record() }).toEqual(before);
  expect(await errorOf(throughBridge())).toMatchObject({ code: 'SQL_NO_WAY', message: expect.stringContaining('install-bridge') });
}, 90_000);

test('a rollback takes service, record and key back; a foreign key is refused', async () => {
  const before = { services: services(), record: await record() };
  const review = await start();
  const inUse = await approve(review.runId);
  expect(inUse, JSON.stringify(inUse.error)).toMatchObject({ state: 'inUse' });
  const { registry, vault } = stage.app;
  const row = await registry.target('shop');
  const foreign = vault.stageSecret('target:other', 'bridgeKey', makeBridgeKeys().privateKey);
  await registry.addTarget(
    { ...row, name: 'other', record: { ...row.record, secrets: { ...(await record()).secrets, bridgeKey: `secret:${foreign.id}` } } },
    [foreign],
  );
  expect(await errorOf(stage.app.readBySql({ target: 'other', sql: 'select 1', rung: 'bridge' }))).toMatchObject({
    code: 'BRIDGE_TOKEN_REFUSED',
  });
  expect(await stage.rollback(review.runId, 'review')).toMatchObject({ state: 'review' });
  expect({ services: services(), record: await record() }).toEqual(before);
}, 90_000);

test('a target that is on no Dokploy is refused, and a second bridge at one host too', async () => {
  const review = await start();
  await approve(review.runId);
  expect(await start()).toMatchObject({ state: 'notInstalled', error: { code: 'BRIDGE_HOST_TAKEN' } });
  const composeId = box.sandbox.state().composes.find(({ appName }) => appName.startsWith('capstan-bridge'))?.composeId;
  await call(box.sandbox, 'compose.delete', { composeId, deleteVolumes: true });
  expect(await errorOf(throughBridge())).toMatchObject({ code: expect.stringMatching(/BRIDGE_GONE|TLS|CERTIFICATE/) });
  await stage.app.engine.advance({ run: review.runId, event: 'remove' }, me);
  expect(await stage.settle(review.runId)).toMatchObject({ status: 'done' });
  await stage.app.registry.addTarget({ name: 'elsewhere', kind: 'self-hosted', tags: [], record: { url: '', secrets: {}, facts: {} } }, []);
  expect(await start({ target: 'elsewhere' })).toMatchObject({ state: 'notInstalled', error: { code: 'TARGET_NOT_ON_DOKPLOY' } });
}, 90_000);

test('a process that goes away while the bridge is deployed leaves a job that the next one follows, and does not queue it again', async () => {
  const review = await start({ host: 'bridge-left.supabase.test' });
  box.sandbox.setFaults(['slow-deploy:1']);
  expect(await codeOf(stage.app.engine.advance({ run: review.runId, event: 'approve' }, me))).toBe('APPROVAL_REQUIRED');
  const [asked] = (await stage.app.engine.pendingApprovals(review.runId)).slice(-1);
  await stage.app.engine.approve(asked?.id ?? '', person);
  await expect.poll(() => box.sandbox.state().jobs.map(({ state }) => state), { timeout: 10_000 }).toEqual(['active']);
  await stage.app.worker.stop(1_500);
  stage.app.close();
  stage = await openStage(box.sandbox, stage.home);
  const inUse = await stage.settle(review.runId);
  expect(inUse, JSON.stringify(inUse.error)).toMatchObject({ state: 'inUse' });
  const { composeId } = inUse.details['bridge'] as { composeId: string };
  const deployed = box.sandbox
    .journal()
    .filter(({ procedure, identity }) => procedure === 'job.deploy' && identity?.['composeId'] === composeId);
  expect(deployed).toHaveLength(1);
  await stage.app.engine.advance({ run: review.runId, event: 'remove' }, me);
  expect(await stage.settle(review.runId)).toMatchObject({ status: 'done' });
}, 90_000);
