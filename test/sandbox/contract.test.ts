import { readFileSync } from 'node:fs';
import { env } from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/sandbox/start.ts';
import { type Answer, blueprint, call, createService, deploy, deployStack, field, openSandbox, type Service } from './client.ts';
import { compare, differences, recorded } from './shape.ts';

const compose = 'services:\n  web:\n    image: nginx:alpine\n';

type Target = { url: string; apiKey: string };
type Step = (target: Target) => Promise<Answer>;

/** Calls that read only and need nothing: they run against a real server too. */
const readOnly: Record<string, Record<string, Step>> = {
  settings: {
    'settings.health': (t) => call(t, 'settings.health'),
    'health.route': (t) => call(t, 'health', undefined, { headers: { 'x-api-key': '' } }),
    'settings.getDokployVersion': (t) => call(t, 'settings.getDokployVersion'),
    'settings.getReleaseTag': (t) => call(t, 'settings.getReleaseTag'),
    'settings.isCloud': (t) => call(t, 'settings.isCloud'),
    'settings.getIp': (t) => call(t, 'settings.getIp'),
    'settings.getWebServerSettings': (t) => call(t, 'settings.getWebServerSettings'),
    'organization.active': (t) => call(t, 'organization.active'),
    'user.get': (t) => call(t, 'user.get'),
    'user.session': (t) => call(t, 'user.session'),
    'user.getPermissions': (t) => call(t, 'user.getPermissions'),
    'server.all': (t) => call(t, 'server.all'),
  },
  errors: {
    'auth.missing-key': (t) => call(t, 'project.all', undefined, { headers: { 'x-api-key': '' } }),
    'auth.bad-key': (t) => call(t, 'project.all', undefined, { headers: { 'x-api-key': 'wrong' } }),
    'auth.bearer-instead': (t) => call(t, 'project.all', undefined, { headers: { 'x-api-key': '', authorization: `Bearer ${t.apiKey}` } }),
    'project.create.invalid': (t) => call(t, 'project.create', {}),
    'project.create.bad-json': (t) => call(t, 'project.create', undefined, { raw: '{nope' }),
    'project.create.wrong-content-type': (t) =>
      call(t, 'project.create', undefined, { raw: 'name=x', headers: { 'content-type': 'text/plain' } }),
    'unknown-endpoint': (t) => call(t, 'nope.nothing'),
    'wrong-method': (t) => call(t, 'project.create?name=x'),
    'project.one.missing': (t) => call(t, 'project.one?projectId=doesnotexist'),
    'compose.one.missing': (t) => call(t, 'compose.one?composeId=nope'),
    'compose.create.bad-env': (t) => call(t, 'compose.create', { name: 'raw1', environmentId: 'nope' }),
    'compose.search.limit-too-big': (t) => call(t, 'compose.search?limit=500'),
    'domain.create.bad-host': (t) => call(t, 'domain.create', { host: 'https://x y', serviceName: 'web', domainType: 'compose' }),
    'deployment.readLogs.missing': (t) => call(t, 'deployment.readLogs?deploymentId=nope'),
  },
  projects: { 'project.all': (t) => call(t, 'project.all') },
  deployments: { 'deployment.queueList': (t) => call(t, 'deployment.queueList') },
};

const steps = Object.entries(readOnly).flatMap(([group, all]) => Object.entries(all).map(([name, step]) => ({ group, name, step })));

const real = { url: env.CAPSTAN_TEST_DOKPLOY_URL ?? '', apiKey: env.CAPSTAN_TEST_DOKPLOY_KEY ?? '' };

describe.skipIf(real.url === '')('a real Dokploy (CAPSTAN_TEST_DOKPLOY_URL) answers the reads as recorded', () => {
  test.for(steps)('$name', async ({ group, name, step }) => {
    const record = recorded(group)[name];
    expect(record && compare(record, await step(real))).toEqual([]);
  });
});

describe('the sandbox answers as a real Dokploy v0.30.2 did', () => {
  let sandbox: Sandbox;
  let close: () => Promise<void>;
  let service: Service;

  beforeAll(async () => {
    ({ sandbox, close } = await openSandbox());
    service = await createService(sandbox, compose);
  });
  afterAll(() => close());

  const expectRecorded = (group: string, name: string, answer: Answer) => {
    const record = recorded(group)[name];
    expect(record, `${name} is recorded`).toBeDefined();
    expect(record && compare(record, answer), name).toEqual([]);
    return answer.body;
  };

  test.for(steps)('$name', async ({ group, name, step }) => {
    expectRecorded(group, name, await step(sandbox));
  });

  test('projects and environments', async () => {
    const created = expectRecorded('projects', 'project.create', await call(sandbox, 'project.create', { name: 'demo', description: 'd' }));
    const projectId = field(created, 'project', 'projectId');
    expectRecorded('projects', 'project.one', await call(sandbox, `project.one?projectId=${projectId}`));
    expectRecorded('projects', 'project.search', await call(sandbox, 'project.search?q=demo&limit=5'));
    expectRecorded('projects', 'environment.byProjectId', await call(sandbox, `environment.byProjectId?projectId=${projectId}`));
    const staging = await call(sandbox, 'environment.create', { name: 'staging', projectId, description: 's' });
    expectRecorded('projects', 'environment.create', staging);
    const refused = await call(sandbox, 'environment.create', { name: 'production', projectId });
    expectRecorded('errors', 'environment.create.production', refused);
    expectRecorded(
      'projects',
      'environment.one',
      await call(sandbox, `environment.one?environmentId=${field(staging.body, 'environmentId')}`),
    );
    const names = field<{ name: string }[]>(await call(sandbox, 'project.all'), 'body').map((one) => one.name);
    expect(names.filter((name) => name === 'demo').length, 'names are not unique').toBeGreaterThan(1);
  });

  test('compose rows: a random suffix, github as the source, unknown fields dropped, an empty answer for an unknown id', async () => {
    const { environmentId } = service;
    const first = await call(sandbox, 'compose.create', {
      name: 'raw1',
      environmentId,
      appName: 'raw1',
      composeFile: compose,
      description: 'd',
    });
    const row = expectRecorded('compose', 'compose.create.raw', first);
    expect(row).toMatchObject({ sourceType: 'github', composeStatus: 'idle', env: null });
    expect(field(row, 'appName')).toMatch(/^raw1-[a-z0-9]{6}$/);
    const again = await call(sandbox, 'compose.create', { name: 'raw1', environmentId, appName: field(row, 'appName') });
    expect(field(again.body, 'appName')).not.toBe(field(row, 'appName'));
    const composeId = field(row, 'composeId');
    const updated = await call(sandbox, 'compose.update', { composeId, sourceType: 'raw', env: 'FOO=1', appName: 'other', bogus: 1 });
    expectRecorded('compose', 'compose.update.sourceType', updated);
    expect(updated.body).toMatchObject({ sourceType: 'raw', env: 'FOO=1', appName: field(row, 'appName') });
    expect(updated.body).not.toHaveProperty('bogus');
    const missing = await call(sandbox, 'compose.update', { composeId: 'nope', env: 'x=1' });
    expectRecorded('compose', 'compose.update.missing', missing);
    expect(missing.text).toBe('');
    expectRecorded(
      'compose',
      'compose.saveEnvironment',
      await call(sandbox, 'compose.saveEnvironment', { composeId, env: 'FOO=2\nBAR="q u"' }),
    );
    expectRecorded('errors', 'compose.saveEnvironment.noenv', await call(sandbox, 'compose.saveEnvironment', { composeId }));
    expectRecorded('compose', 'compose.one', await call(sandbox, `compose.one?composeId=${composeId}`));
    expectRecorded('compose', 'compose.search.owner', await call(sandbox, 'compose.search?q=raw'));
    expectRecorded('errors', 'compose.loadServices', await call(sandbox, `compose.loadServices?composeId=${composeId}`));
    const services = await call(sandbox, `compose.loadServices?composeId=${composeId}&type=fetch`);
    expectRecorded('compose', 'compose.loadServices.fetch', services);
    expect(services.body).toEqual(['web']);
    expectRecorded('compose', 'compose.getDefaultCommand', await call(sandbox, `compose.getDefaultCommand?composeId=${composeId}`));
    expectRecorded('errors', 'compose.cancelDeployment', await call(sandbox, 'compose.cancelDeployment', { composeId }));
  });

  test('a missing required boolean is false and the text "false" is true', async () => {
    const { environmentId } = service;
    const make = async () => field((await call(sandbox, 'compose.create', { name: 'del', environmentId })).body, 'composeId');
    const [one, other] = [await make(), await make()];
    const domain = await call(sandbox, 'domain.create', {
      host: 'z.example.com',
      https: 'false',
      port: '8000',
      composeId: other,
      domainType: 'compose',
    });
    expectRecorded('domains', 'domain.create.https-string-false', domain);
    expect(domain.body).toMatchObject({ https: true, port: 8000 });
    expectRecorded('compose', 'compose.delete.missing-flag', await call(sandbox, 'compose.delete', { composeId: one }));
    expectRecorded('errors', 'compose.delete.again', await call(sandbox, 'compose.delete', { composeId: one, deleteVolumes: false }));
    expectRecorded(
      'compose',
      'compose.delete.string-false',
      await call(sandbox, 'compose.delete', { composeId: other, deleteVolumes: 'false' }),
    );
  });

  test('templates: helpers expanded, the payload of a broken jwt dropped, import not atomic', async () => {
    const config = readFileSync(new URL('../fixtures/dokploy/template.toml', import.meta.url), 'utf8');
    const base64 = Buffer.from(JSON.stringify({ compose, config })).toString('base64');
    const { composeId } = service;
    const preview = expectRecorded(
      'compose',
      'compose.previewTemplate',
      await call(sandbox, 'compose.previewTemplate', { base64, appName: 'demo' }),
    );
    const [a = '', b = '', c] = field<string[]>(preview, 'template', 'envs');
    const claims = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
    expect(claims(a)).toEqual({ iat: expect.any(Number), exp: 1893456000, role: 'anon', iss: 'supabase' });
    expect(claims(b)).toEqual({ iat: expect.any(Number), exp: 1893456000, iss: 'dokploy' });
    expect(c).toMatch(/^C=[0-9a-f]{6} [\w+/]{4} [0-9a-f-]{36} 1893456000 \$\{nothing\}$/);
    expect(field(preview, 'template', 'domains', 0, 'host')).toMatch(/^demo-[0-9a-f]{6}-127-0-0-1\.sslip\.io$/);
    expectRecorded('compose', 'compose.processTemplate', await call(sandbox, 'compose.processTemplate', { base64, composeId }));
    expectRecorded('compose', 'compose.import', await call(sandbox, 'compose.import', { base64, composeId }));
    const imported = (await call(sandbox, `compose.one?composeId=${composeId}`)).body;
    expect(imported).toMatchObject({ sourceType: 'raw', mounts: [{ filePath: '/x.txt', mountPath: '' }] });
    expect(imported).toMatchObject({ domains: [{ https: false, certificateType: 'none', port: 80 }] });
    expectRecorded('errors', 'compose.import.bad', await call(sandbox, 'compose.import', { base64: 'e30=', composeId }));
    expect((await call(sandbox, `compose.one?composeId=${composeId}`)).body).toMatchObject({ mounts: [], domains: [] });
    expectRecorded('compose', 'compose.templates', await call(sandbox, `compose.templates?baseUrl=${sandbox.templateBaseUrl}`));
    const offline = await call(sandbox, 'compose.templates?baseUrl=http://127.0.0.1:1');
    expectRecorded('compose', 'compose.templates.default-url-offline', offline);
  });

  test('domains: accepted without complaint, the host required for every change', async () => {
    const { composeId } = service;
    const base = { composeId, domainType: 'compose' };
    const full = { ...base, host: 'app.example.com', https: true, certificateType: 'letsencrypt', port: 80, path: '/', serviceName: 'web' };
    const created = await call(sandbox, 'domain.create', full);
    expectRecorded('domains', 'domain.create', created);
    const noCertificate = await call(sandbox, 'domain.create', { ...base, host: 'b.example.com', https: true, serviceName: 'web' });
    expectRecorded('domains', 'domain.create.https-no-cert', noCertificate);
    const minimal = await call(sandbox, 'domain.create', { ...base, host: 'c.example.com' });
    expectRecorded('domains', 'domain.create.minimal', minimal);
    expect(minimal.body).toMatchObject({ port: 3000, https: false, serviceName: null });
    expectRecorded(
      'domains',
      'domain.create.duplicate-host',
      await call(sandbox, 'domain.create', { ...base, host: 'app.example.com', serviceName: 'web' }),
    );
    expectRecorded('domains', 'domain.byComposeId', await call(sandbox, `domain.byComposeId?composeId=${composeId}`));
    const domainId = field(created.body, 'domainId');
    const moved = await call(sandbox, 'domain.update', { domainId, host: 'app2.example.com', https: false, certificateType: 'none' });
    expectRecorded('domains', 'domain.update', moved);
    expect(moved.body).toMatchObject({ host: 'app2.example.com', port: 80 });
    expectRecorded(
      'errors',
      'domain.update.no-host',
      await call(sandbox, 'domain.update', { domainId, https: true, certificateType: 'letsencrypt' }),
    );
    expectRecorded('domains', 'domain.one', await call(sandbox, `domain.one?domainId=${domainId}`));
    expectRecorded('domains', 'domain.toggleEnable', await call(sandbox, 'domain.toggleEnable', { domainId }));
    const unresolved = await call(sandbox, 'domain.validateDomain', { domain: 'nothing.invalid', serverIp: '1.2.3.4' });
    expectRecorded('domains', 'domain.validateDomain', unresolved);
    expect(unresolved.body).toMatchObject({ isValid: false });
    const generated = await call(sandbox, 'domain.generateDomain', { appName: 'raw1' });
    expectRecorded('domains', 'domain.generateDomain', generated);
    const valid = await call(sandbox, 'domain.validateDomain', { domain: String(generated.body), serverIp: '127.0.0.1' });
    expect(valid.body).toEqual({ isValid: true, resolvedIp: '127.0.0.1' });
    for (const row of field<{ domainId: string }[]>(await call(sandbox, `domain.byComposeId?composeId=${composeId}`), 'body')) {
      expectRecorded('domains', 'domain.delete', await call(sandbox, 'domain.delete', { domainId: row.domainId }));
    }
  });

  test('mounts: an update answers the row before it, although the change is stored', async () => {
    const { composeId } = service;
    const base = { type: 'file', content: 'hello', serviceType: 'compose', serviceId: composeId };
    const created = await call(sandbox, 'mounts.create', { ...base, filePath: '/a.txt', mountPath: '/' });
    expectRecorded('mounts', 'mounts.create.file', created);
    expectRecorded(
      'errors',
      'mounts.create.empty-mountPath',
      await call(sandbox, 'mounts.create', { ...base, filePath: '/b.txt', mountPath: '' }),
    );
    const mountId = field(created.body, 'mountId');
    const updated = await call(sandbox, 'mounts.update', { mountId, content: 'changed', type: 'file', mountPath: '/' });
    expectRecorded('mounts', 'mounts.update.content', updated);
    expect(updated.body).toMatchObject({ content: 'hello' });
    const read = await call(sandbox, `mounts.one?mountId=${mountId}`);
    expectRecorded('mounts', 'mounts.one', read);
    expect(read.body).toMatchObject({ content: 'changed' });
    const list = await call(sandbox, `mounts.listByServiceId?serviceType=compose&serviceId=${composeId}`);
    expectRecorded('mounts', 'mounts.listByServiceId.2', list);
  });

  test('deployments: queued without an id, one row with title and description, only the ten newest kept', async () => {
    // The first boot of a database keeps the queue busy for a while; everything else waits behind it.
    const busy = (await createService(sandbox)).composeId;
    await call(sandbox, 'compose.import', { composeId: busy, base64: await blueprint(sandbox) });
    const { composeId } = await createService(sandbox, 'services:\n  web:\n    image: nginx\n');
    await call(sandbox, 'compose.deploy', { composeId: busy, title: 'busy', description: 'busy' });
    const queued = await call(sandbox, 'compose.deploy', { composeId, title: 'waiting', description: 'op-0' });
    expectRecorded('compose', 'compose.deploy.no-docker', queued);
    expectRecorded('compose', 'compose.redeploy', await call(sandbox, 'compose.redeploy', { composeId, title: 'r' }));
    const queue = await call(sandbox, 'deployment.queueList');
    expectRecorded('deployments', 'deployment.queueList.busy', queue);
    expect(field<{ state: string }[]>(queue, 'body').map((job) => job.state)).toEqual(['waiting', 'waiting', 'active']);
    expect((await call(sandbox, `deployment.allByCompose?composeId=${composeId}`)).body, 'a waiting job has no row').toEqual([]);
    expectRecorded('compose', 'compose.cleanQueues', await call(sandbox, 'compose.cleanQueues', { composeId }));
    expect((await call(sandbox, 'deployment.queueList')).body, 'only the active job stays').toMatchObject([{ data: { titleLog: 'busy' } }]);
    for (let n = 1; n <= 11; n += 1) await call(sandbox, 'compose.deploy', { composeId, title: 't', description: `op-${n}` });
    await deploy(sandbox, composeId, 'last');
    const rows = await call(sandbox, `deployment.allByCompose?composeId=${composeId}`);
    expectRecorded('deployments', 'deployment.allByCompose.afterFail', rows);
    const kept = field<{ description: string; status: string }[]>(rows, 'body');
    expect(kept).toHaveLength(10);
    expect(kept[0]).toMatchObject({ description: 'last', status: 'done' });
    const deploymentId = field(rows.body, 0, 'deploymentId');
    expectRecorded('deployments', 'deployment.allByType', await call(sandbox, `deployment.allByType?id=${composeId}&type=compose`));
    expectRecorded('deployments', 'deployment.readLogs', await call(sandbox, `deployment.readLogs?deploymentId=${deploymentId}&tail=50`));
    expectRecorded('errors', 'deployment.killProcess.running', await call(sandbox, 'deployment.killProcess', { deploymentId }));
    expect((await call(sandbox, `deployment.all?applicationId=${composeId}`)).body).toEqual([]);
    expectRecorded('deployments', 'deployment.removeDeployment', await call(sandbox, 'deployment.removeDeployment', { deploymentId }));
    expectRecorded('compose', 'compose.stop.stub', await call(sandbox, 'compose.stop', { composeId }));
    expectRecorded('compose', 'compose.start.stub', await call(sandbox, 'compose.start', { composeId }));
  });

  test('a deployment fails as recorded on an unknown service, an unknown reference and a source that is not there', async () => {
    const { composeId } = await createService(sandbox, compose);
    await call(sandbox, 'domain.create', { host: 'y.example.com', serviceName: 'nosuch', composeId, domainType: 'compose' });
    const row = await deploy(sandbox, composeId, 'bad-service');
    expect(row).toMatchObject({ status: 'error', errorMessage: null, finishedAt: expect.any(String) });
    const log = field(await call(sandbox, `deployment.readLogs?deploymentId=${String(row.deploymentId)}`), 'text');
    expect(JSON.parse(log)).toMatch(
      /❌ Has occurred an error: Domain "y.example.com" is attached to service "nosuch" which does not exist in the compose\n\nError occurred ❌, check the logs for details\.\n$/,
    );
    const other = await createService(sandbox, compose);
    await call(sandbox, 'compose.update', { composeId: other.composeId, env: `A=${'$'}{{project.MISSING}}` });
    expect(await deploy(sandbox, other.composeId, 'bad-reference')).toMatchObject({ status: 'error' });
    await call(sandbox, 'compose.update', { composeId: other.composeId, env: 'A=1', sourceType: 'github' });
    expect(await deploy(sandbox, other.composeId, 'no-source')).toMatchObject({ status: 'error' });
  });

  test('the converted compose carries the labels of the recorded one', async () => {
    const { composeId, appName } = await createService(sandbox, 'services:\n  web:\n    image: nginx:alpine\n');
    const host = 'x.example.com';
    const domain = { host, https: true, certificateType: 'letsencrypt', port: 80, serviceName: 'web', composeId, domainType: 'compose' };
    const key = field<number>(await call(sandbox, 'domain.create', domain), 'body', 'uniqueConfigKey');
    const router = `${appName}-${key}`;
    expect((await call(sandbox, `compose.getConvertedCompose?composeId=${composeId}`)).body).toBe(`services:
  web:
    image: nginx:alpine
    labels:
      - traefik.docker.network=dokploy-network
      - traefik.http.routers.${router}-web.rule=Host(\`${host}\`)
      - traefik.http.routers.${router}-web.entrypoints=web
      - traefik.http.services.${router}-web.loadbalancer.server.port=80
      - traefik.http.routers.${router}-web.service=${router}-web
      - traefik.http.routers.${router}-web.middlewares=redirect-to-https@file
      - traefik.http.routers.${router}-websecure.rule=Host(\`${host}\`)
      - traefik.http.routers.${router}-websecure.entrypoints=websecure
      - traefik.http.services.${router}-websecure.loadbalancer.server.port=80
      - traefik.http.routers.${router}-websecure.service=${router}-websecure
      - traefik.http.routers.${router}-websecure.tls.certresolver=letsencrypt
      - traefik.enable=true
    networks:
      - dokploy-network
      - default
networks:
  dokploy-network:
    external: true
`);
  });

  test('containers, logs and schedules of a stack', async () => {
    const stack = await deployStack(sandbox);
    const { composeId, appName } = stack;
    const containers = await call(sandbox, `docker.getContainersByAppNameMatch?appName=${appName}&appType=docker-compose`);
    expectRecorded('docker', 'docker.getContainersByAppNameMatch.stub', containers);
    expect(containers.body).toHaveLength(13);
    expectRecorded('docker', 'docker.getContainers.stub', await call(sandbox, 'docker.getContainers'));
    const log = await call(sandbox, `compose.readLogs?composeId=${composeId}&containerId=${appName}-db-1&tail=5&since=10m`);
    expectRecorded('docker', 'compose.readLogs.stub', log);
    const schedule = {
      name: 'exec',
      cronExpression: '0 0 31 2 *',
      scheduleType: 'compose',
      composeId,
      serviceName: 'db',
      shellType: 'bash',
      enabled: false,
    };
    const created = await call(sandbox, 'schedule.create', { ...schedule, command: "psql -U postgres -c 'select 40 + 2, current_user'" });
    expectRecorded('schedules', 'schedule.create.exec', created);
    const scheduleId = field(created.body, 'scheduleId');
    expectRecorded('schedules', 'schedule.list', await call(sandbox, `schedule.list?id=${composeId}&scheduleType=compose`));
    expectRecorded('schedules', 'schedule.one', await call(sandbox, `schedule.one?scheduleId=${scheduleId}`));
    const ran = expectRecorded('schedules', 'schedule.runManually.exec', await call(sandbox, 'schedule.runManually', { scheduleId }));
    expect(ran).toMatchObject({ status: 'done' });
    expectRecorded('schedules', 'schedule.exec.deployments', await call(sandbox, `deployment.allByType?id=${scheduleId}&type=schedule`));
    const output = (await call(sandbox, `deployment.readLogs?deploymentId=${field(ran, 'deploymentId')}`)).body;
    expect(output).toMatch(
      /^Initializing schedule\ndocker exec [0-9a-f]{12} bash -c psql .*\n42\|postgres\n✅ Command executed successfully\n$/,
    );
    expectRecorded('schedules', 'schedule.delete.exec', await call(sandbox, 'schedule.delete', { scheduleId }));
    const other = field((await call(sandbox, 'schedule.create', { ...schedule, command: 'rm -rf /' })).body, 'scheduleId');
    expect((await call(sandbox, 'schedule.runManually', { scheduleId: other })).body).toMatchObject({ status: 'error' });
  });

  test('with docker down the health says so in the recorded shape', async () => {
    sandbox.setFaults(['no-docker']);
    const health = await call(sandbox, 'settings.checkInfrastructureHealth');
    sandbox.setFaults([]);
    expectRecorded('settings', 'settings.checkInfrastructureHealth', health);
  });

  test('the comparison itself sees a missing key, a new key and another type', () => {
    expect(differences({ a: 'string', b: ['number'] }, { a: 1, c: true, b: ['x'] })).toEqual([
      '$.c is new',
      '$.a is a number, not a string',
      '$.b[0] is a string, not a number',
    ]);
    expect(differences({ a: 'string' }, {})).toEqual(['$.a is missing']);
  });

  test('the blueprint has the 61 recorded names in their order', async () => {
    const base64 = await blueprint(sandbox);
    const envs = field<string[]>(await call(sandbox, 'compose.previewTemplate', { base64, appName: 'demo' }), 'body', 'template', 'envs');
    const names = recorded('environment-names').supabase;
    expect(envs.map((line) => line.split('=')[0])).toEqual(names);
    expect(names).toHaveLength(61);
  });
});
