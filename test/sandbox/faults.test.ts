import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createFaults, faultNames } from '../../src/sandbox/faults.ts';
import type { Sandbox } from '../../src/sandbox/start.ts';
import { ask, blueprint, call, createService, deploy, deployed, deployStack, field, openSandbox } from './client.ts';

describe('fault specifications', () => {
  test('a count is used up, a procedure is matched, what is unknown is refused and changes nothing', () => {
    const faults = createFaults();
    faults.set(['500-after:2@compose.create', 'slow-boot']);
    expect(faults.take('500-after', 'compose.update')).toBe(false);
    expect(faults.take('500-after', 'compose.create')).toBe(true);
    expect(faults.list()).toEqual(['500-after:1@compose.create', 'slow-boot']);
    expect(faults.take('500-after', 'compose.create')).toBe(true);
    expect(faults.take('500-after', 'compose.create')).toBe(false);
    expect(() => faults.set(['no-such-fault'])).toThrow(expect.objectContaining({ code: 'SANDBOX_FAULT_UNKNOWN' }));
    expect(() => faults.set(['500-after:x'])).toThrow(expect.objectContaining({ code: 'SANDBOX_FAULT_UNKNOWN' }));
    expect(faults.list()).toEqual(['slow-boot']);
  });

  test('every fault is described', () => {
    expect(Object.values(faultNames).every((line) => line.length > 10)).toBe(true);
    expect(Object.keys(faultNames)).toHaveLength(21);
  });
});

describe('faults of a running sandbox', () => {
  let sandbox: Sandbox;
  let close: () => Promise<void>;
  beforeAll(async () => {
    ({ sandbox, close } = await openSandbox());
  });
  afterEach(() => sandbox.setFaults([]));
  afterAll(() => close());

  const web = 'services:\n  web:\n    image: nginx\n';
  const projectNames = () => sandbox.state().projects.map((project) => project.name);
  const last = () => sandbox.journal().at(-1);

  test('500-before changes nothing, 500-after was carried out; both are in the journal', async () => {
    sandbox.setFaults(['500-before:1@project.create']);
    expect(await call(sandbox, 'project.create', { name: 'before' })).toMatchObject({
      status: 500,
      body: { code: 'INTERNAL_SERVER_ERROR' },
    });
    expect(projectNames()).not.toContain('before');
    expect(last()).toMatchObject({ status: 500, applied: false, fault: '500-before' });
    sandbox.setFaults(['500-after:1']);
    expect((await call(sandbox, 'project.create', { name: 'after' })).status).toBe(500);
    expect(projectNames()).toContain('after');
    expect(last()).toMatchObject({ status: 500, applied: true, fault: '500-after', identity: { projectId: expect.any(String) } });
    expect((await call(sandbox, 'project.create', { name: 'good' })).status).toBe(200);
  });

  test('hang-after was carried out and never answers', async () => {
    sandbox.setFaults(['hang-after:1@project.create']);
    const signal = AbortSignal.timeout(300);
    await expect(call(sandbox, 'project.create', { name: 'hanging' }, { signal })).rejects.toThrow();
    expect(projectNames()).toContain('hanging');
    expect(last()).toMatchObject({ status: 0, applied: true, fault: 'hang-after' });
  });

  test('429 is a proxy with Retry-After; expired and rate-limited keys are the bare 401', async () => {
    sandbox.setFaults(['429:1']);
    const busy = await call(sandbox, 'project.all');
    expect([busy.status, busy.headers.get('retry-after'), busy.contentType]).toEqual([429, '1', 'text/html']);
    sandbox.setFaults(['expired-key']);
    expect(await call(sandbox, 'project.all')).toMatchObject({ status: 401, text: '{"message":"Unauthorized"}' });
    sandbox.setFaults(['rate-limited-key']);
    const statuses: number[] = [];
    for (let n = 0; n < 7; n += 1) statuses.push((await call(sandbox, 'project.all')).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 401, 401]);
  });

  test('old-version: v0.24.0, newer procedures missing, the flat answer, the older error form', async () => {
    sandbox.setFaults(['old-version']);
    expect((await call(sandbox, 'settings.getDokployVersion')).body).toBe('v0.24.0');
    expect((await call(sandbox, 'settings.getWebServerSettings')).status).toBe(404);
    expect((await call(sandbox, 'project.create', { name: 'flat' })).body).toMatchObject({ name: 'flat', projectId: expect.any(String) });
    const refused = await call(sandbox, 'project.create', {});
    expect(refused.body).toMatchObject({ code: 'BAD_REQUEST', issues: [{ path: ['name'] }] });
    expect(refused.body).not.toHaveProperty('data');
  });

  test('half-write leaves no mounts, no domains, a new compose file and the old environment', async () => {
    const { composeId } = await createService(sandbox, web);
    const base64 = await blueprint(sandbox);
    await call(sandbox, 'compose.import', { composeId, base64 });
    await call(sandbox, 'compose.update', { composeId, composeFile: web, env: 'OLD=1' });
    sandbox.setFaults(['half-write:1']);
    expect((await call(sandbox, 'compose.import', { composeId, base64 })).status).toBe(500);
    const row = (await call(sandbox, `compose.one?composeId=${composeId}`)).body;
    expect(row).toMatchObject({ mounts: [], domains: [], env: 'OLD=1', composeFile: expect.stringContaining('supavisor:') });
    expect(last()?.procedure).toBe('compose.one');
  });

  test('drop-job: accepted, then no row and an empty queue', async () => {
    const { composeId } = await createService(sandbox, web);
    sandbox.setFaults(['drop-job:1']);
    expect((await call(sandbox, 'compose.deploy', { composeId, description: 'lost' })).body).toMatchObject({ success: true });
    await deploy(sandbox, composeId, 'kept');
    const rows = field<{ description: string }[]>(await call(sandbox, `deployment.allByCompose?composeId=${composeId}`), 'body');
    expect(rows.map((row) => row.description)).toEqual(['kept']);
    expect((await call(sandbox, 'deployment.queueList')).body).toEqual([]);
  });

  test('slow-deploy keeps the job running for about eight seconds', async () => {
    const { composeId } = await createService(sandbox, web);
    sandbox.setFaults(['slow-deploy:1']);
    const started = Date.now();
    expect(await deploy(sandbox, composeId, 'slow')).toMatchObject({ status: 'done' });
    expect(Date.now() - started).toBeGreaterThan(7_500);
  });

  test('no-docker: the container list is empty although the stack runs', async () => {
    const { composeId, appName } = await createService(sandbox, web);
    await deploy(sandbox, composeId, 'up');
    const list = () => call(sandbox, `docker.getContainersByAppNameMatch?appName=${appName}`);
    expect((await list()).body).toHaveLength(1);
    sandbox.setFaults(['no-docker']);
    expect(await list()).toMatchObject({ status: 200, body: [] });
    expect((await call(sandbox, 'compose.start', { composeId })).status).toBe(500);
  });

  test('unhealthy-db: the deployment ends in error, db is unhealthy, the next deployment heals it', async () => {
    sandbox.setFaults(['unhealthy-db:1']);
    const stack = await deployStack(sandbox);
    expect(stack.deployment).toMatchObject({ status: 'error', errorMessage: null });
    const containers = field<{ name: string; status: string }[]>(
      await call(sandbox, `docker.getContainersByAppNameMatch?appName=${stack.appName}`),
      'body',
    );
    expect(containers.find((one) => one.name.endsWith('-db-1'))?.status).toMatch(/\(unhealthy\)$/);
    expect((await ask(sandbox, stack.host, '/storage/v1/status', { secure: false })).status).toBe(404);
    expect(await deploy(sandbox, stack.composeId, 'again')).toMatchObject({ status: 'done' });
    expect((await ask(sandbox, stack.host, '/storage/v1/status')).status).toBe(200);
  });

  test('slow-boot: the deployment ends in error, the stack becomes healthy later', async () => {
    sandbox.setFaults(['slow-boot:1']);
    const stack = await deployStack(sandbox);
    expect(stack.deployment).toMatchObject({ status: 'error' });
    const list = () => call(sandbox, `docker.getContainersByAppNameMatch?appName=${stack.appName}`);
    expect(JSON.stringify((await list()).body)).toContain('(health: starting)');
    await expect.poll(async () => JSON.stringify((await list()).body), { timeout: 15_000 }).toContain('(healthy)');
    expect((await ask(sandbox, stack.host, '/storage/v1/status')).status).toBe(200);
  });

  test("bad-key: the environment's keys are refused by the gateway", async () => {
    sandbox.setFaults(['bad-key:1']);
    const stack = await deployStack(sandbox);
    expect(stack.deployment).toMatchObject({ status: 'done' });
    const refused = await ask(sandbox, stack.host, '/rest/v1/', { headers: { apikey: stack.env.SERVICE_ROLE_KEY ?? '' } });
    expect(refused).toMatchObject({ status: 401, body: { message: 'Invalid authentication credentials' } });
  });

  test('slow-certificate serves the default one first; no-certificate for ever', async () => {
    sandbox.setFaults(['slow-certificate:1']);
    const slow = await deployStack(sandbox);
    await expect(ask(sandbox, slow.host, '/storage/v1/status')).rejects.toThrow(/self-signed certificate/);
    const trusted = () =>
      ask(sandbox, slow.host, '/storage/v1/status').then(
        (answer) => answer.status,
        () => 0,
      );
    await expect.poll(trusted, { timeout: 10_000, interval: 200 }).toBe(200);
    sandbox.setFaults(['no-certificate:1']);
    const never = await deployStack(sandbox);
    await expect(ask(sandbox, never.host, '/storage/v1/status')).rejects.toThrow(/self-signed certificate/);
  });

  test('template-unreachable cuts the connection', async () => {
    sandbox.setFaults(['template-unreachable']);
    await expect(fetch(`${sandbox.templateBaseUrl}/blueprints/supabase/template.toml`)).rejects.toThrow();
    expect((await call(sandbox, `compose.templates?baseUrl=${sandbox.templateBaseUrl}`)).body).toEqual([]);
    sandbox.setFaults([]);
    expect((await fetch(`${sandbox.templateBaseUrl}/blueprints/supabase/template.toml`)).status).toBe(200);
    expect((await fetch(`${sandbox.templateBaseUrl}/blueprints/nothing/template.toml`)).status).toBe(404);
  });

  test('keep-on-delete answers 200 and keeps everything', async () => {
    const { composeId, projectId } = await createService(sandbox, web);
    sandbox.setFaults(['keep-on-delete']);
    expect((await call(sandbox, 'compose.delete', { composeId, deleteVolumes: true })).status).toBe(200);
    expect((await call(sandbox, 'project.remove', { projectId })).status).toBe(200);
    expect(sandbox.state().composes.map((row) => row.composeId)).toContain(composeId);
    expect(sandbox.state().projects.map((row) => row.projectId)).toContain(projectId);
    expect(
      sandbox
        .journal()
        .filter((entry) => entry.procedure === 'compose.delete')
        .at(-1),
    ).toMatchObject({ status: 200, applied: false });
  });

  test('faults, journal and state are reachable over HTTP with the key only', async () => {
    const control = (path: string, init: RequestInit = {}) =>
      fetch(`${sandbox.url}/__sandbox/${path}`, { ...init, headers: { 'x-api-key': sandbox.apiKey, 'content-type': 'application/json' } });
    expect((await fetch(`${sandbox.url}/__sandbox/state`)).status).toBe(401);
    const armed = await control('faults', { method: 'POST', body: JSON.stringify({ faults: ['429:3'] }) });
    expect(await armed.json()).toEqual({ faults: ['429:3'] });
    const refused = await control('faults', { method: 'POST', body: JSON.stringify({ faults: ['nonsense'] }) });
    expect([refused.status, field(await refused.json(), 'code')]).toEqual([400, 'SANDBOX_FAULT_UNKNOWN']);
    expect(await (await control('faults')).json()).toEqual({ faults: ['429:3'] });
    expect(await (await control('journal')).json()).toEqual(sandbox.journal());
    expect(await (await control('state')).json()).toEqual(sandbox.state());
  });

  test('a job that is waited for by nobody still ends before the next one starts', async () => {
    const { composeId } = await createService(sandbox, web);
    await call(sandbox, 'compose.deploy', { composeId, description: 'one' });
    await call(sandbox, 'compose.deploy', { composeId, description: 'two' });
    const [second, first] = [await deployed(sandbox, composeId, 'two'), await deployed(sandbox, composeId, 'one')];
    expect(String(second.startedAt) >= String(first.finishedAt)).toBe(true);
  });
});
