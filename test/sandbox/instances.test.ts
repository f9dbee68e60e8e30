/** Every instance that a sandbox can start with: it stands there deployed, and the doctor finds in it what it is named for. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { diagnose } from '../../src/doctor/diagnose.ts';
import { gatherFacts } from '../../src/effects/doctor/gather.ts';
import { hmacSha256 } from '../../src/effects/doctor/texts.ts';
import { createDokployClient, type DokployClient } from '../../src/effects/dokploy/client.ts';
import { createLimiter } from '../../src/effects/dokploy/rate-limit.ts';
import { instances } from '../../src/sandbox/instances/catalogue.ts';
import { hostOf } from '../../src/sandbox/instances/place.ts';
import type { Sandbox } from '../../src/sandbox/start.ts';
import { codeOf } from '../helpers/wizard-stage.ts';
import { call, deploy, field, openSandbox } from './client.ts';

let opened: Awaited<ReturnType<typeof openSandbox>>;
let sandbox: Sandbox;
let client: DokployClient;
beforeAll(async () => {
  opened = await openSandbox({ instances: Object.keys(instances) });
  sandbox = opened.sandbox;
  client = createDokployClient(
    { name: 'twin', url: sandbox.url, apiKey: sandbox.apiKey, reach: reach() },
    { limiter: createLimiter({ perSecond: 1_000, burst: 1_000 }) },
  );
}, 180_000);
afterAll(() => opened.close(), 60_000);

const reach = () => ({ ca: sandbox.ca, resolve: sandbox.resolve });
const composeOf = (name: string) => sandbox.state().composes.find((row) => row.appName.startsWith(`${name}-supabase-`))?.composeId ?? '';

async function examined(name: string) {
  const facts = await gatherFacts({ client, composeId: composeOf(name), reach: reach(), now: Date.now, handedOver: {} });
  return diagnose(facts, { now: Date.now(), hmac: hmacSha256 });
}

const bad = (findings: { severity: string; code: string }[]) =>
  findings.filter(({ severity }) => severity === 'critical' || severity === 'error').map(({ code }) => code);

const expected: Record<keyof typeof instances, { generation: string; there: string[]; bad?: string[] }> = {
  'gen-a': { generation: 'A', there: ['KEY_PUBLIC', 'SECRET_PUBLIC', 'URL_NOT_HTTPS', 'PORT_PUBLISHED'] },
  'gen-b': { generation: 'B', there: ['KEYS_IDENTICAL', 'KEY_ROLE_MISSING', 'KEY_ISSUER', 'LIVE_SIGNATURE', 'PORT_PUBLISHED'] },
  'gen-b-split-second': { generation: 'B', there: ['KEYS_SAME_BUT_IAT', 'KEY_ROLE_MISSING', 'LIVE_SIGNATURE'] },
  'gen-c': { generation: 'C', there: ['PLACEHOLDER'], bad: [] },
  'http-urls': { generation: 'C', there: ['URL_NOT_HTTPS', 'URL_ROUTE_SCHEME'], bad: ['URL_NOT_HTTPS', 'URL_ROUTE_SCHEME'] },
  'http-route': { generation: 'C', there: ['URL_ROUTE_SCHEME', 'DOMAIN_HTTP'], bad: ['URL_ROUTE_SCHEME', 'DOMAIN_HTTP'] },
  'bad-smtp': { generation: 'C', there: ['SMTP_PLACEHOLDER'], bad: [] },
  'changed-password': { generation: 'C', there: ['LIVE_UPSTREAM', 'POSTGRES_PASSWORD_CHANGED'] },
  'old-pooler': { generation: 'C', there: ['POOLER_TENANT_PLACEHOLDER', 'POOLER_SETTING_IGNORED'], bad: [] },
  'changed-secret': { generation: 'C', there: ['KEY_SIGNATURE', 'LIVE_SIGNATURE'] },
  'not-deployed': { generation: 'C', there: ['LIVE_GATEWAY'], bad: ['LIVE_GATEWAY'] },
  'stale-jwks': { generation: 'C', there: ['JWT_KEYS_SECRET', 'JWT_JWKS_SECRET'], bad: ['JWT_KEYS_SECRET', 'JWT_JWKS_SECRET'] },
  'realtime-tenant': { generation: 'C', there: ['REALTIME_TENANT'], bad: [] },
  crlf: { generation: 'C', there: ['PLACEHOLDER'], bad: [] },
};

test.each(Object.entries(expected))('%s is found as what it is', async (name, { generation, there, bad: only }) => {
  const found = await examined(name);
  expect(found.findings.map(({ code }) => code)).toEqual(expect.arrayContaining(there));
  expect(found.generation.id).toBe(generation);
  if (only) expect(new Set(bad(found.findings))).toEqual(new Set(only));
  else expect(bad(found.findings).length).toBeGreaterThan(0);
});

test('placing leaves no line in the journal but the reads of this test', () => {
  expect(sandbox.journal().filter((entry) => entry.applied)).toEqual([]);
});

test('a restart keeps the environment of the last deployment; a deployment takes the new one, and only what reads it is a new container', async () => {
  const composeId = composeOf('not-deployed');
  const { appName } = await client.composeOne(composeId);
  const ids = async () => {
    const found = await client.containers(appName);
    if (found.state === 'unknown') throw new Error('no containers');
    return new Map(found.rows.map((row) => [row.service, row.containerId]));
  };
  const first = await ids();
  await client.stop(composeId);
  await client.start(composeId);
  expect(await ids()).toEqual(first);
  expect(new Set(bad((await examined('not-deployed')).findings))).toEqual(new Set(['LIVE_GATEWAY']));
  await deploy(sandbox, composeId, 'now');
  expect(bad((await examined('not-deployed')).findings)).toEqual([]);
  const then = await ids();
  const renewed = [...then].filter(([service, id]) => first.get(service) !== id).map(([service]) => service);
  expect(renewed.sort()).toEqual(['functions', 'kong', 'realtime', 'storage', 'studio']);
});

test('a container that was stopped is listed as exited and its route is gone, until it is started or deployed again', async () => {
  const composeId = composeOf('gen-c');
  const { appName } = await client.composeOne(composeId);
  const kong = async () => {
    const found = await client.containers(appName);
    return found.state === 'known' ? found.rows.find(({ service }) => service === 'kong') : undefined;
  };
  const id = (await kong())?.containerId ?? '';
  await client.switchContainer(id, 'exited');
  expect(await kong()).toMatchObject({ containerId: id, state: 'exited', exitCode: 0 });
  expect(bad((await examined('gen-c')).findings)).toContain('LIVE_GATEWAY');
  await client.switchContainer(id, 'running');
  expect(await kong()).toMatchObject({ containerId: id, state: 'running' });
  await client.switchContainer(id, 'exited');
  await deploy(sandbox, composeId, 'again');
  expect(await kong()).toMatchObject({ containerId: id, state: 'running' });
  expect(bad((await examined('gen-c')).findings)).not.toContain('LIVE_GATEWAY');
});

test('the text of an environment is kept as its owner wrote it', async () => {
  const { env } = await client.composeOne(composeOf('crlf'));
  expect(env).toMatch(/^# notes\r\n\r\nSUPABASE_HOST=/);
  expect(env?.endsWith('\n')).toBe(false);
});

test('an unknown instance is refused before anything is started', async () => {
  expect(await codeOf(openSandbox({ instances: ['gen-z'] }))).toBe('SANDBOX_INSTANCE_UNKNOWN');
});

test('each instance has a host of its own', async () => {
  const row = field<{ host: string }[]>(await call(sandbox, `domain.byComposeId?composeId=${composeOf('gen-a')}`), 'body');
  expect(row.map(({ host }) => host)).toEqual([hostOf('gen-a')]);
});
