/** The same functions against the sandbox, whose behaviour is calibrated on recordings of a real Dokploy. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDokployClient, type DokployClient } from '../../src/effects/dokploy/client.ts';
import { countServices, missingPermissions } from '../../src/effects/dokploy/projects.ts';
import { createLimiter } from '../../src/effects/dokploy/rate-limit.ts';
import type { Reach } from '../../src/effects/handler.ts';
import { verifyInstance } from '../../src/effects/supabase/probes.ts';
import { queryThroughMeta, userData } from '../../src/effects/supabase/sql.ts';
import { fetchTemplate, type Template } from '../../src/effects/template/fetch.ts';
import { inspectCertificate } from '../../src/effects/tls/certificate.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';

const HOST = 'db.example.test';
let folder: string;
let sandbox: Sandbox;
let client: DokployClient;
let reach: Reach;
let template: Template;
let made: { projectId: string; composeId: string; appName: string };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'capstan-hands-'));
  sandbox = await startSandbox({ dataDir: folder });
  reach = { ca: sandbox.ca, resolve: sandbox.resolve };
  client = createDokployClient({ name: 'lab', url: sandbox.url, apiKey: sandbox.apiKey, reach }, { limiter: createLimiter() });
});
afterAll(async () => {
  await sandbox.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The environment of the service as Dokploy keeps it. */
async function variable(name: string): Promise<string> {
  const { env } = await client.composeOne(made.composeId);
  const line = (env ?? '').split('\n').find((each) => each.startsWith(`${name}=`));
  if (line === undefined) throw new Error(`${name} is not set`);
  return line.slice(name.length + 1).replace(/^"(.*)"$/, '$1');
}

describe('on the sandbox', () => {
  it('the six cheap reads answer', async () => {
    expect(await client.health()).toBe(true);
    expect((await client.version()).capabilities.previewTemplate).toBe(true);
    await client.webServerSettings();
    expect((await client.infrastructureHealth()).traefik.status).toBe('healthy');
    expect(await client.servers()).toEqual([]);
    expect(await client.projects()).toEqual([]);
    const permissions = await client.permissions();
    expect(permissions.state === 'known' && missingPermissions(permissions.areas)).toEqual([]);
  });

  it('a project and a raw service are made, imported, written and routed, each as read back', async () => {
    template = await fetchTemplate({ baseUrl: sandbox.templateBaseUrl, id: 'supabase' });
    const { project, environment } = await client.createProject({ name: 'demo', description: 'capstan r:1:p' });
    const service = await client.createCompose({
      name: 'demo',
      environmentId: environment.environmentId,
      appName: 'demo',
      description: 'capstan r:1:c',
    });
    expect(service.sourceType).toBe('raw');
    made = { projectId: project.projectId, composeId: service.composeId, appName: service.appName };
    expect((await client.previewTemplate(template, service.appName)).template.domains).toHaveLength(1);
    const imported = await client.importTemplate(made.composeId, template);
    const [domain] = imported.domains;
    if (!domain) throw new Error('the blueprint has a domain');
    await client.saveEnvironment(made.composeId, `${imported.env}\n# kept`);
    await client.updateDomain({
      domainId: domain.domainId,
      host: HOST,
      https: true,
      certificateType: 'letsencrypt',
      port: 8000,
      serviceName: 'kong',
    });
    expect(await client.domains(made.composeId)).toMatchObject([{ host: HOST, https: true }]);
    expect(await client.loadServices(made.composeId)).toContain('kong');
    expect(await client.mounts(made.composeId)).toHaveLength(imported.mounts.length);
    expect(countServices(await client.project(made.projectId))).toBe(1);
  });

  it('a deployment is found by its id until it is done, and its containers are healthy', async () => {
    expect(await client.findDeployment(made.composeId, 'r:1:d')).toEqual({ where: 'nowhere' });
    await client.deploy({ composeId: made.composeId, title: 'Capstan', description: 'capstan r:1:d' });
    const status = async () => {
      const found = await client.findDeployment(made.composeId, 'r:1:d');
      return found.where === 'row' ? found.row.status : found.where;
    };
    await expect.poll(status, { timeout: 20_000, interval: 100 }).toBe('done');
    const { deploymentId } = (await client.deployments(made.composeId))[0] ?? {};
    expect(await client.deploymentLog(String(deploymentId))).toContain('Docker Compose Deployed');
    const health = async () => {
      const containers = await client.containers(made.appName);
      return (
        containers.state === 'known' && containers.rows.every((row) => row.service !== null && ['healthy', 'none'].includes(row.health))
      );
    };
    await expect.poll(health, { timeout: 20_000, interval: 100 }).toBe(true);
  });

  it('the instance shows a valid certificate and passes every probe, and fails with swapped keys', async () => {
    expect(await inspectCertificate(HOST, 443, reach)).toMatchObject({ state: 'valid', subject: HOST });
    const keys = { anonKey: await variable('ANON_KEY'), serviceKey: await variable('SERVICE_ROLE_KEY') };
    const verdict = await verifyInstance({ baseUrl: `https://${HOST}`, ...keys, reach });
    expect(verdict.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(verdict.ok).toBe(true);
    const swapped = await verifyInstance({ baseUrl: `https://${HOST}`, anonKey: keys.serviceKey, serviceKey: keys.anonKey, reach });
    expect(swapped.checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual([
      'service-key-is-admin',
      'anon-key-is-not-admin',
      'service-key-runs-sql',
      'anon-key-runs-no-sql',
    ]);
  });

  it('user data is counted where it stands, in a real Postgres', async () => {
    const access = { baseUrl: `https://${HOST}`, serviceKey: await variable('SERVICE_ROLE_KEY'), reach };
    expect(await userData(access)).toEqual({ tables: 0, users: 0, objects: 0 });
    await queryThroughMeta(
      access,
      'create table public.notes (id int); create schema app; create table app.more (id int); create view public.v as select 1 as x',
    );
    expect(await userData(access)).toEqual({ tables: 2, users: 0, objects: 0 });
    await expect(queryThroughMeta(access, 'select * from public.missing')).rejects.toMatchObject({
      code: 'SQL_FAILED',
      details: { sqlState: '42P01' },
    });
  });

  it('a job that Dokploy dropped is nowhere, an empty container list is unknown', async () => {
    sandbox.setFaults(['drop-job', 'no-docker']);
    await client.deploy({ composeId: made.composeId, title: 'Capstan', description: 'capstan r:2:d' });
    expect(await client.findDeployment(made.composeId, 'r:2:d')).toEqual({ where: 'nowhere' });
    expect(await client.containers(made.appName)).toMatchObject({ state: 'unknown' });
    sandbox.setFaults([]);
  });

  it('a write that was applied and answered with 500 leaves doubt, one that was refused before does too, and a proxy’s 429 does not', async () => {
    const write = () => client.createProject({ name: 'twice' });
    for (const fault of ['500-after:1', '500-before:1']) {
      sandbox.setFaults([fault]);
      await expect(write()).rejects.toMatchObject({ code: 'DOKPLOY_FAILED', retry: 'later', applied: 'unknown' });
    }
    sandbox.setFaults(['429:1']);
    await expect(write()).rejects.toMatchObject({ code: 'DOKPLOY_RATE_LIMITED', retry: 'later', applied: 'no' });
    sandbox.setFaults([]);
    const twice = (await client.projects()).filter(({ name }) => name === 'twice');
    expect(twice).toHaveLength(1);
    for (const { projectId } of twice) await client.removeProject(projectId);
  });

  it('everything goes again, read back', async () => {
    await client.stop(made.composeId);
    await client.deleteCompose({ composeId: made.composeId, deleteVolumes: true });
    await expect(client.composeOne(made.composeId)).rejects.toMatchObject({ code: 'DOKPLOY_NOT_FOUND' });
    await client.removeProject(made.projectId);
    expect(await client.projects()).toEqual([]);
  });

  it('an old version and a used-up key are told', async () => {
    sandbox.setFaults(['old-version']);
    await expect(client.version()).rejects.toMatchObject({ code: 'DOKPLOY_TOO_OLD' });
    sandbox.setFaults(['expired-key']);
    await expect(client.projects()).rejects.toMatchObject({ code: 'DOKPLOY_KEY_RATE_LIMITED', retry: 'never' });
    sandbox.setFaults([]);
  });
});
