/** Restarts on a running instance, by a real MCP client; judged by what the sandbox's docker tells and by its journal. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { type InstanceStage, openInstances } from '../helpers/instance-stage.ts';
import { connect, type View } from '../helpers/mcp-clients.ts';
import { codeOf, me } from '../helpers/wizard-stage.ts';

let stage: InstanceStage;
beforeAll(async () => {
  stage = await openInstances(['gen-c']);
}, 120_000);
afterAll(() => stage.close(), 30_000);

const rows = z.array(z.object({ containerId: z.string(), name: z.string() }));
const inspected = z.object({ State: z.object({ StartedAt: z.string() }), Config: z.object({ Env: z.array(z.string()) }) });

/** Service to the start of its container and its environment, as docker tells. */
async function containers(): Promise<Record<string, { startedAt: string; env: string[] }>> {
  const appName = stage.sandbox.state().composes[0]?.appName ?? '';
  const found = rows.parse(await stage.get('docker.getContainersByAppNameMatch', { appName }));
  const out: Record<string, { startedAt: string; env: string[] }> = {};
  for (const { containerId, name } of found) {
    const { State, Config } = inspected.parse(await stage.get('docker.getConfig', { containerId }));
    out[name.slice(appName.length + 1, -2)] = { startedAt: State.StartedAt, env: Config.Env };
  }
  return out;
}

const changedOf = (before: Awaited<ReturnType<typeof containers>>, after: Awaited<ReturnType<typeof containers>>) =>
  Object.keys(after)
    .filter((service) => after[service]?.startedAt !== before[service]?.startedAt)
    .sort();

async function start(input: Record<string, unknown>) {
  const { runId } = await stage.app.engine.start({ workflow: 'dokploy_restart_service', input }, me);
  return stage.settle(runId);
}

async function approved(run: string) {
  expect(await codeOf(stage.app.engine.advance({ run, event: 'approve' }, me))).toBe('APPROVAL_REQUIRED');
  return stage.approve(run);
}

test('one service: the preview names its container, nothing happens before a person accepts, then it alone is restarted and proven', async () => {
  const asked: string[] = [];
  const client = await connect('modern', {
    home: stage.home,
    person(message) {
      asked.push(message);
      return 'accept';
    },
  });
  try {
    const before = await containers();
    const mark = stage.mark();
    let view: View = await client.call('start_workflow', {
      workflow: 'restart_service',
      input: { target: 'gen-c', service: 'kong' },
      waitMs: 30_000,
    });
    expect(view).toMatchObject({ state: 'review', status: 'waiting', details: { before: { verdict: 'passed' } } });
    const { plan } = z.object({ plan: z.record(z.string(), z.unknown()) }).parse(await planOf(client, view.runId));
    expect(plan).toMatchObject({ containers: [{ service: 'kong', state: 'healthy' }], databaseRestarts: false });
    expect(JSON.stringify(plan['notes'])).toMatch(/does not pick up a changed environment/);
    expect(stage.writesSince(mark)).toEqual([]);
    view = await client.call('advance_run', { run: view.runId, event: 'approve', waitMs: 40_000 });
    while (view.status === 'working') view = await client.call('inspect_run', { run: view.runId, since: view.version, waitMs: 20_000 });
    expect(view).toMatchObject({ state: 'done', status: 'done', output: { restarted: ['kong'], error: null } });
    expect(asked.join()).toMatch(/Restart the containers/);
    expect(changedOf(before, await containers())).toEqual(['kong']);
    expect(stage.writesSince(mark)).toEqual(['docker.restartContainer']);
  } finally {
    await client.close();
  }
}, 90_000);

async function planOf(client: Awaited<ReturnType<typeof connect>>, run: string): Promise<unknown> {
  return (await client.raw('inspect_run', { run, view: 'plan' })).structuredContent;
}

test('all services: the database first, each once; a changed environment is not picked up', async () => {
  const env = await stage.env('gen-c');
  await stage.post('compose.saveEnvironment', {
    composeId: stage.composeId('gen-c'),
    env: env.replace(/^JWT_EXPIRY=.*$/m, 'JWT_EXPIRY=77'),
  });
  const before = await containers();
  const review = await start({ target: 'gen-c' });
  expect(review.details['plan']).toMatchObject({ databaseRestarts: true });
  const mark = stage.mark();
  expect(await approved(review.runId)).toMatchObject({ state: 'done', output: { error: null } });
  const after = await containers();
  expect(changedOf(before, after)).toEqual(Object.keys(before).sort());
  expect(stage.writesSince(mark)).toEqual(Object.keys(before).map(() => 'docker.restartContainer'));
  const order = stage.sandbox
    .journal()
    .slice(mark)
    .filter(({ applied }) => applied)
    .map(({ identity }) => identity?.['service']);
  expect([order[0], order.at(-1)]).toEqual(['db', 'kong']);
  expect(Object.values(after).flatMap(({ env: each }) => each.filter((line) => /JWT_EXP(IRY)?=77$/.test(line)))).toEqual([]);
  await stage.post('compose.saveEnvironment', { composeId: stage.composeId('gen-c'), env });
}, 120_000);

test('a container that stays ill after its restart is no success; looking again after it recovered is', async () => {
  const review = await start({ target: 'gen-c', service: 'auth' });
  stage.sandbox.setFaults(['ill-restart:1']);
  const ill = await approved(review.runId);
  expect(ill).toMatchObject({ state: 'notProven', status: 'waiting', error: { code: 'TARGET_UNHEALTHY' } });
  expect(ill.error?.message).toContain('auth (unhealthy)');
  const appName = stage.sandbox.state().composes[0]?.appName ?? '';
  const auth = rows.parse(await stage.get('docker.getContainersByAppNameMatch', { appName })).find(({ name }) => name.includes('-auth-'));
  await stage.post('docker.restartContainer', { containerId: auth?.containerId ?? '' });
  expect(await stage.send(review.runId, 'lookAgain')).toMatchObject({ state: 'done' });
}, 120_000);

test('a restart that Dokploy swallowed is no restart', async () => {
  const review = await start({ target: 'gen-c', service: 'rest' });
  const before = await containers();
  stage.sandbox.setFaults(['no-docker@docker.restartContainer']);
  const view = await approved(review.runId);
  expect(view).toMatchObject({ state: 'notProven', error: { code: 'RESTART_NOT_SEEN' } });
  expect(changedOf(before, await containers())).toEqual([]);
  stage.sandbox.setFaults([]);
  expect(await stage.send(review.runId, 'giveUp')).toMatchObject({ state: 'failed', status: 'failed' });
}, 180_000);

test('an unknown service, and containers that cannot be listed, end before anything is asked', async () => {
  const mark = stage.mark();
  expect(await start({ target: 'gen-c', service: 'sutdio' })).toMatchObject({ status: 'failed', error: { code: 'SERVICE_UNKNOWN' } });
  stage.sandbox.setFaults(['no-docker']);
  const view = await start({ target: 'gen-c' });
  expect(view).toMatchObject({ status: 'failed', error: { code: 'CONTAINERS_UNKNOWN' } });
  stage.sandbox.setFaults([]);
  expect(stage.writesSince(mark)).toEqual([]);
}, 120_000);

test('containers that were recreated between plan and approval are not touched', async () => {
  const review = await start({ target: 'gen-c', service: 'rest' });
  const env = await stage.env('gen-c');
  const composeId = stage.composeId('gen-c');
  await stage.post('compose.saveEnvironment', { composeId, env: env.replace(/^PGRST_DB_MAX_ROWS=.*$/m, 'PGRST_DB_MAX_ROWS=77') });
  await stage.post('compose.redeploy', { composeId, title: 'somebody', description: 'else' });
  for (let state = ''; state !== 'done'; ) state = stage.sandbox.state().composes[0]?.composeStatus ?? '';
  const mark = stage.mark();
  const view = await approved(review.runId);
  expect(view).toMatchObject({ state: 'notProven', error: { code: 'CONTAINERS_RECREATED' } });
  expect(await stage.send(review.runId, 'retry')).toMatchObject({ state: 'review', status: 'waiting' });
  expect(stage.writesSince(mark)).toEqual([]);
}, 120_000);
