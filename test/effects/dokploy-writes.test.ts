import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDokployClient, type DokployClient } from '../../src/effects/dokploy/client.ts';
import { createLimiter } from '../../src/effects/dokploy/rate-limit.ts';
import { body, deployment, errorOf, expectNoSecretInErrors, PLANTED, recorded } from '../helpers/dokploy-lab.ts';
import { CANARY_KEY, connectionTo, type FakeServer, type Script, startFakeServer } from '../helpers/fake-dokploy.ts';

let server: FakeServer;
let client: DokployClient;
beforeEach(async () => {
  server = await startFakeServer();
  client = createDokployClient(connectionTo(server), { limiter: createLimiter(), timeoutMs: 2_000 });
});
afterEach(() => server.close());

const on = (procedure: string, ...scripts: Script[]) => server.on(`/api/${procedure}`, ...scripts);

describe('writes', () => {
  const id = 'c1';
  const one = (change: Record<string, unknown>): Script => ({ json: body('compose.one', { composeId: id, ...change }) });

  it('are read back and answered as read', async () => {
    on('compose.update', { json: body('compose.update.sourceType') });
    on('compose.one', one({ env: 'A=2' }));
    expect((await client.updateCompose({ composeId: id, env: 'A=2' })).env).toBe('A=2');
  });

  it('that the server dropped are named by field, never by value', async () => {
    on('compose.update', { json: body('compose.update.sourceType') });
    on('compose.saveEnvironment', { json: true });
    on('compose.one', one({ env: 'A=1', isolatedDeployment: false }));
    const dropped = await errorOf(client.updateCompose({ composeId: id, isolatedDeployment: true }));
    expect(dropped).toMatchObject({
      code: 'DOKPLOY_WRITE_NOT_KEPT',
      retry: 'ask',
      applied: 'unknown',
      details: { field: 'isolatedDeployment' },
    });
    const other = await errorOf(client.saveEnvironment(id, `JWT_SECRET=${PLANTED}`));
    expect(other).toMatchObject({ code: 'DOKPLOY_WRITE_NOT_KEPT', details: { field: 'env' } });
  });

  it('of an unknown id, answered with an empty 200, are not found', async () => {
    on('compose.update', { text: '' });
    on('compose.saveEnvironment', { text: '' });
    expect(await errorOf(client.updateCompose({ composeId: id, env: 'A=1' }))).toMatchObject({ code: 'DOKPLOY_NOT_FOUND', applied: 'no' });
    expect(await errorOf(client.saveEnvironment(id, 'A=1'))).toMatchObject({ code: 'DOKPLOY_NOT_FOUND', applied: 'no' });
  });

  it('whose read-back fails stay in doubt, though the read itself changed nothing', async () => {
    on('compose.saveEnvironment', { json: true });
    on('compose.one', { status: 500, json: { message: 'x' } });
    expect(await errorOf(client.saveEnvironment(id, 'A=1'))).toMatchObject({ code: 'DOKPLOY_FAILED', applied: 'unknown' });
  });

  it('make a service raw also on a server that ignores the source type', async () => {
    const row = body('compose.create.raw', { composeId: id, sourceType: 'github' });
    on('compose.create', { json: row });
    on('compose.update', { json: row });
    on('compose.one', one({ sourceType: 'raw' }));
    const made = await client.createCompose({ name: 'web', environmentId: 'e1', appName: 'web', description: 'capstan r:1:x' });
    expect(made.sourceType).toBe('raw');
    expect(server.asked.map(({ path }) => path)).toEqual(['/api/compose.create', '/api/compose.update', '/api/compose.one']);
  });

  it('of a domain send the host always and are read back', async () => {
    const row = body('domain.one', { domainId: 'dom', host: 'a.test', https: false, certificateType: 'none' });
    on('domain.update', { json: row });
    on('domain.one', { json: { ...row, https: true, certificateType: 'letsencrypt' } }, { json: row });
    const change = { domainId: 'dom', host: 'a.test', https: true, certificateType: 'letsencrypt' } as const;
    expect(await client.updateDomain(change)).toMatchObject({ https: true, certificateType: 'letsencrypt' });
    expect(await errorOf(client.updateDomain(change))).toMatchObject({ code: 'DOKPLOY_WRITE_NOT_KEPT', details: { field: 'https' } });
  });

  it('say that a deployment was queued, or that it was not', async () => {
    on('compose.deploy', { json: { success: true, message: 'Deployment queued', composeId: id } }, { json: { success: false } });
    const order = { composeId: id, title: 'Capstan', description: 'capstan r:1:x' };
    await expect(client.deploy(order)).resolves.toBeUndefined();
    expect(await errorOf(client.deploy(order))).toMatchObject({ code: 'DOKPLOY_REFUSED', applied: 'unknown' });
  });

  it('time out in doubt', async () => {
    on('compose.deploy', { hang: true });
    const hasty = createDokployClient(connectionTo(server), { limiter: createLimiter(), timeoutMs: 100 });
    const error = await errorOf(hasty.deploy({ composeId: id, title: 't', description: 'd' }));
    expect(error).toMatchObject({ code: 'REQUEST_TIMEOUT', applied: 'unknown', retry: 'later' });
  });

  it('are not begun when the signal has fired while waiting for a turn', async () => {
    const control = new AbortController();
    const limiter = createLimiter({ burst: 1, perSecond: 0.001 });
    const stopped = createDokployClient(connectionTo(server), { limiter, signal: control.signal });
    await limiter.take();
    const waiting = errorOf(stopped.deploy({ composeId: id, title: 't', description: 'd' }));
    control.abort(new Error('stop'));
    expect(await waiting).toMatchObject({ code: 'ABORTED', applied: 'no', retry: 'later' });
    expect(server.asked).toHaveLength(0);
  });
});

describe('a deployment', () => {
  const job = (titleLog: string, composeId = 'c1') => ({
    id: 'job-1',
    state: 'waiting',
    data: { composeId, titleLog, descriptionLog: '' },
  });

  it('is found by its id in the rows, else in the queue', async () => {
    on('deployment.allByCompose', { json: [deployment('other'), deployment('capstan r:7:deploy', { status: 'done' })] });
    expect(await client.findDeployment('c1', 'r:7:deploy')).toMatchObject({ where: 'row', row: { status: 'done' } });
    on('deployment.allByCompose', { json: [] });
    on('deployment.queueList', { json: [job('capstan r:7:deploy')] });
    expect(await client.findDeployment('c1', 'r:7:deploy')).toEqual({ where: 'queue', state: 'waiting' });
  });

  it('is found when it moves from the queue to the rows between two reads', async () => {
    on('deployment.allByCompose', { json: [] }, { json: [deployment('capstan r:7:deploy')] });
    on('deployment.queueList', { json: [] });
    expect(await client.findDeployment('c1', 'r:7:deploy')).toMatchObject({ where: 'row' });
  });

  it('is nowhere when the job was lost, whatever other jobs there are', async () => {
    on('deployment.allByCompose', { json: [deployment('capstan r:7:deploy2'), deployment('capstan xr:7:deploy')] });
    on('deployment.queueList', { json: [job('capstan r:7:deploy', 'another')] });
    expect(await client.findDeployment('c1', 'r:7:deploy')).toEqual({ where: 'nowhere' });
  });

  it('has containers, or an answer that is unknown', async () => {
    const path = 'docker.getContainersByAppNameMatch';
    on(path, { json: recorded('docker.getContainersByAppNameMatch.stub') }, { json: [] }, { text: '' });
    expect(await client.containers('demo-supabase', null)).toMatchObject({
      state: 'known',
      rows: [
        { service: 'kong', health: 'healthy' },
        { service: 'db', health: 'unhealthy' },
      ],
    });
    expect(server.asked[0]?.query).toEqual({ appName: 'demo-supabase', appType: 'docker-compose' });
    expect(await client.containers('demo-supabase')).toMatchObject({ state: 'unknown' });
    expect(await client.containers('demo-supabase')).toMatchObject({ state: 'unknown' });
  });

  it('has logs with secrets taken out, and docker’s failure is no log', async () => {
    on('deployment.readLogs', { json: `start\nJWT_SECRET=${PLANTED}\n` });
    on(
      'compose.readLogs',
      { json: `hello ${CANARY_KEY}` },
      { json: 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock.' },
    );
    expect(await client.deploymentLog('d1')).toBe('start\nJWT_SECRET=[redacted]\n');
    expect(await client.containerLog('c1', 'k1', 5)).toEqual({ state: 'known', text: 'hello [redacted]' });
    expect(await client.containerLog('c1', 'k1')).toMatchObject({ state: 'unknown' });
  });
});

it('no error of this file shows a secret', () => {
  expectNoSecretInErrors(8);
});
