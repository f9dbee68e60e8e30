/** `targets add` with --ca, --header and --resolve, the generation of a target, and projects of the cloud; by the real CLI against real listeners. */

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { gatewayOf } from '../../src/effects/supabase/gateway-kind.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { accessToken, conforms, type FakeManagement, managementDocument, projectRef, startManagement } from '../helpers/fake-management.ts';
import { withRegistry } from '../helpers/registered.ts';
import { deployStack, openSandbox, type Stack } from '../sandbox/client.ts';

let place: ReturnType<typeof temporaryHome>;
let box: Awaited<ReturnType<typeof openSandbox>>;
let stack: Stack;
const servers: { close(): unknown; closeAllConnections(): void }[] = [];
beforeAll(async () => {
  place = temporaryHome();
  box = await openSandbox();
  stack = await deployStack(box.sandbox);
});
const clouds: FakeManagement[] = [];
afterEach(() => {
  for (const cloud of clouds.splice(0)) cloud.close();
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});
afterAll(async () => {
  await box.close();
  place.remove();
});

const secretArgs = ['serviceRoleKey=env:SRK', 'pgMetaCryptoKey=env:CRYPTO', 'postgresPassword=env:PW'].flatMap((each) => [
  '--secret',
  each,
]);
const env = () => ({
  SRK: stack.env['SERVICE_ROLE_KEY'] ?? '',
  CRYPTO: stack.env['PG_META_CRYPTO_KEY'] ?? '',
  PW: stack.env['POSTGRES_PASSWORD'] ?? '',
});
const wayOf = (answer: Record<string, unknown>, rung: string) =>
  (answer['ways'] as Record<string, unknown>[]).find((way) => way['rung'] === rung);

describe('an instance behind a private authority and a name that does not resolve', () => {
  test('is reached with --ca and --resolve, and each of them is needed', async () => {
    const url = ['--url', `https://${stack.host}`];
    const ca = ['--ca', box.sandbox.caFile];
    const resolve = box.sandbox.resolve.flatMap((entry) => ['--resolve', entry]);
    for (const [name, more, code] of [
      ['whole', [...ca, ...resolve], undefined],
      ['without-ca', resolve, /certificate/i],
      ['without-resolve', ca, /does not resolve|HOST_NOT_FOUND/],
    ] as const) {
      const added = await capstan(place.home, ['targets', 'add', name, ...url, ...more, ...secretArgs, '--json'], env());
      expect(added, added.stdout + added.stderr).toMatchObject({ exit: 0 });
      const tested = await capstan(place.home, ['targets', 'test', name, '--json']);
      const meta = wayOf(jsonOf(tested), 'meta');
      if (code === undefined) expect(meta).toMatchObject({ ok: true, role: 'postgres', superuser: false });
      else expect(meta).toMatchObject({ ok: false, say: expect.stringMatching(code) });
      for (const value of Object.values(env())) expect(added.stdout + tested.stdout + tested.stderr).not.toContain(value);
    }
    const whole = jsonOf(await capstan(place.home, ['targets', 'test', 'whole', '--json']));
    expect(whole['generation']).toMatchObject({
      gateway: { value: 'kong', because: 'it names itself Kong' },
      metaRole: { value: 'supabase_admin' },
      postgres: { value: expect.any(Number) },
      apiUrlHasSuffix: { value: 'unknown', because: expect.stringMatching(/only the SAML metadata.*not known here/) },
      newKeys: { value: 'unknown', because: expect.stringMatching(/publishes no signing key.*not known here/) },
    });
    const bad = await capstan(place.home, ['targets', 'add', 'bad', ...url, '--resolve', 'nonsense', '--json']);
    expect(bad).toMatchObject({ exit: 1, stdout: expect.stringContaining('RESOLVE_INVALID') });
  });

  test('on its Dokploy the generation comes from the environment that is deployed there', async () => {
    await withRegistry(place.home, async ({ registry, vault }) => {
      const key = vault.stageSecret('dokploy:home', 'key', box.sandbox.apiKey);
      const options = { ca: box.sandbox.ca, resolve: box.sandbox.resolve };
      await registry.addDokploy({ name: 'home', url: box.sandbox.url, keySecret: `secret:${key.id}`, options }, [key]);
      const { projectId, environmentId, composeId, appName, host } = stack;
      const dokploy = { name: 'home', projectId, environmentId, composeId, appName };
      await registry.addTarget(
        { name: 'shop', kind: 'dokploy', tags: [], record: { url: `https://${host}`, dokploy, secrets: {}, facts: {} } },
        [],
      );
    });
    expect(jsonOf(await capstan(place.home, ['targets', 'test', 'shop', '--json']))['generation']).toMatchObject({
      gateway: { value: 'kong' },
      apiUrlHasSuffix: { value: false, because: expect.stringMatching(/environment of its service/) },
      analytics: { value: true },
      newKeys: { value: false },
    });
  });
});

test('a header of the owner goes with every request, and its value is shown nowhere', async () => {
  const seen: IncomingMessage['headers'][] = [];
  const server = createHttpServer((request, response) => {
    seen.push(request.headers);
    const passes = request.headers['cf-access-client-secret'] === 'header-canary-4711';
    response.writeHead(passes ? (request.url === '/pg/query' ? 200 : 401) : 403, { 'content-type': 'application/json', server: 'envoy' });
    response.end(
      passes ? JSON.stringify([{ role: 'postgres', superuser: false, major: 17, analytics: false }]) : '{"message":"behind a door"}',
    );
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const header = ['--header', 'cf-access-client-secret=env:DOOR', '--secret', 'serviceRoleKey=env:SRK'];
  const variables = { DOOR: 'header-canary-4711', SRK: 'service-key-canary-0815' };
  const added = await capstan(place.home, ['targets', 'add', 'door', '--url', url, ...header, '--json'], variables);
  expect(added, added.stdout + added.stderr).toMatchObject({ exit: 0 });
  const tested = await capstan(place.home, ['targets', 'test', 'door', '--json']);
  expect(wayOf(jsonOf(tested), 'meta')).toMatchObject({ ok: true, role: 'postgres', postgres: 17 });
  expect(jsonOf(tested)['generation']).toMatchObject({ gateway: { value: 'envoy' } });
  expect(seen.length).toBeGreaterThan(1);
  expect(seen.every((headers) => headers['cf-access-client-secret'] === 'header-canary-4711')).toBe(true);
  const shown = await capstan(place.home, ['targets', 'show', 'door', '--json']);
  for (const { stdout, stderr } of [added, tested, shown])
    for (const value of Object.values(variables)) expect(stdout + stderr).not.toContain(value);
  const without = await capstan(
    place.home,
    ['targets', 'add', 'no-door', '--url', url, '--secret', 'serviceRoleKey=env:SRK', '--json'],
    variables,
  );
  expect(without).toMatchObject({ exit: 0 });
  expect(wayOf(jsonOf(await capstan(place.home, ['targets', 'test', 'no-door', '--json'])), 'meta')).toMatchObject({
    ok: false,
    code: 'SUPABASE_KEY_REFUSED',
  });
});

test.each([
  ['kong', 401, { server: 'kong/3.9.1' }, '{"message":"No API key found in request"}'],
  ['kong', 401, {}, '{"message":"No API key found in request"}'],
  ['kong', 404, { via: 'kong/2.8.1' }, ''],
  ['envoy', 403, { server: 'envoy' }, 'RBAC: access denied'],
  ['envoy', 403, {}, 'RBAC: access denied'],
  ['cloud', 401, { 'sb-project-ref': 'abc', server: 'cloudflare' }, '{"message":"No API key found in request"}'],
  ['unknown', 502, { server: 'nginx' }, 'Bad Gateway'],
  ['unknown', 404, {}, '404 page not found'],
] as const)('the gateway %s is told by its answer (%i)', (value, status, headers, text) => {
  expect(gatewayOf({ status, headers, text }).value).toBe(value);
});

test.each([
  // As since v0.7: auth is named with its path, the key set holds the public half, the gateway takes the key of the new form.
  ['new', '/auth/v1', [{ kty: 'EC', kid: 'a' }], { apiUrlHasSuffix: true, newKeys: true }],
  ['old', '', [], { apiUrlHasSuffix: false, newKeys: 'unknown' }],
])('what auth says of itself without an environment: an instance of the %s form', async (form, path, keys, expected) => {
  const asked: [string, string | undefined][] = [];
  const server = createHttpServer((request, response) => {
    const key = request.headers['apikey'];
    asked.push([request.url ?? '', typeof key === 'string' ? key : undefined]);
    const saml = `<EntityDescriptor entityID="https://shop.example.com${path}/sso/saml/metadata"></EntityDescriptor>`;
    const answers: Record<string, [number, string]> = {
      '/auth/v1/.well-known/jwks.json': [200, JSON.stringify({ keys })],
      '/auth/v1/settings': [key === 'sb_publishable_canary-4711_x' && form === 'new' ? 200 : 401, '{}'],
      // Before v0.7 the gateway had that route at its root alone.
      [form === 'new' ? '/auth/v1/sso/saml/metadata' : '/sso/saml/metadata']: [200, saml],
    };
    const [status, body] = answers[request.url ?? ''] ?? [401, '{"message":"No API key found in request"}'];
    response.writeHead(status).end(body);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const given = form === 'new' ? ['--secret', 'publishableKey=env:PUB'] : [];
  const added = await capstan(place.home, ['targets', 'add', `form-${form}`, '--url', url, ...given], {
    PUB: 'sb_publishable_canary-4711_x',
  });
  expect(added).toMatchObject({ exit: 0 });
  const tested = await capstan(place.home, ['targets', 'test', `form-${form}`, '--json']);
  const { apiUrlHasSuffix, newKeys } = jsonOf(tested)['generation'] as Record<string, { value: unknown; because: string }>;
  expect({ apiUrlHasSuffix: apiUrlHasSuffix?.value, newKeys: newKeys?.value }).toEqual(expected);
  // A key goes where one is asked for, and is told nowhere.
  const withKey = asked.filter(([, key]) => key !== undefined).map(([at]) => at);
  expect(withKey.sort()).toEqual(form === 'new' ? ['/auth/v1/settings', '/auth/v1/sso/saml/metadata'] : []);
  expect(tested.stdout + tested.stderr + added.stdout).not.toContain('canary-4711');
});

describe('a project of the cloud, against a fake that keeps to the document of the Management API', () => {
  const ref = projectRef;
  const project = {
    id: ref,
    ref,
    organization_id: 'tsrqponmlkjihgfedcba',
    organization_slug: 'tsrqponmlkjihgfedcba',
    name: 'shop',
    region: 'eu-central-1',
    created_at: '2026-05-01T10:00:00Z',
    status: 'ACTIVE_HEALTHY',
    database: { host: `db.${ref}.supabase.co`, version: '17.6.1.136', postgres_engine: '17', release_channel: 'ga' },
  };
  const pooler = {
    identifier: ref,
    database_type: 'PRIMARY',
    is_using_scram_auth: true,
    db_user: `postgres.${ref}`,
    db_host: 'aws-1-eu-central-1.pooler.supabase.com',
    db_port: 6543,
    db_name: 'postgres',
    connection_string: `postgresql://postgres.${ref}:[YOUR-PASSWORD]@aws-1-eu-central-1.pooler.supabase.com:6543/postgres`,
    connectionString: `postgresql://postgres.${ref}:[YOUR-PASSWORD]@aws-1-eu-central-1.pooler.supabase.com:6543/postgres`,
    default_pool_size: 15,
    max_client_conn: null,
    pool_mode: 'transaction',
  };

  async function startCloud(given: Record<string, unknown>) {
    const cloud = await startManagement({ answers: given });
    clouds.push(cloud);
    const caFile = join(place.home, 'cloud-ca.pem');
    writeFileSync(caFile, cloud.ca);
    return { asked: cloud.asked, args: ['--ca', caFile, ...cloud.resolve.flatMap((each) => ['--resolve', each])] };
  }
  const answers = { '': project, '/config/database/pooler': [pooler] };

  test('the fake’s answers are of the shape that the document says', () => {
    expect(conforms('V1ProjectWithDatabaseResponse', project)).toBe(true);
    expect(conforms('SupavisorConfigResponse', pooler)).toBe(true);
    expect(conforms('SupavisorConfigResponse', { ...pooler, pool_mode: 'statement' })).toBe(false);
    for (const path of Object.keys(answers)) expect(Object.keys(managementDocument.paths)).toContain(`/v1/projects/{ref}${path}`);
  });

  test('its pooler is asked for and never composed; the token is kept and shown nowhere', async () => {
    const { asked, args } = await startCloud(answers);
    const given = ['--secret', 'accessToken=env:PAT', '--secret', 'postgresPassword=env:PW'];
    const added = await capstan(place.home, ['targets', 'add', 'cloud', '--project', ref, ...args, ...given, '--json'], {
      PAT: accessToken,
      PW: 'cloud-password-1',
    });
    expect(added, added.stdout + added.stderr).toMatchObject({ exit: 0 });
    expect(asked.sort()).toEqual([`GET /v1/projects/${ref}`, `GET /v1/projects/${ref}/config/database/pooler`]);
    const shown = await capstan(place.home, ['targets', 'show', 'cloud', '--json']);
    expect(jsonOf(shown)).toMatchObject({
      kind: 'cloud',
      record: {
        url: `https://${ref}.supabase.co`,
        facts: {
          generation: { gateway: 'cloud', postgresMajor: 17 },
          sql: {
            addresses: [
              { host: `db.${ref}.supabase.co`, mode: 'direct', port: 5432 },
              {
                host: 'aws-1-eu-central-1.pooler.supabase.com',
                mode: 'transaction',
                port: 6543,
                user: `postgres.${ref}`,
                role: 'postgres',
              },
              { host: 'aws-1-eu-central-1.pooler.supabase.com', mode: 'session', port: 5432, user: `postgres.${ref}`, role: 'postgres' },
            ],
          },
        },
      },
    });
    expect(added.stdout + added.stderr + shown.stdout).not.toContain(accessToken);
    expect(added.stdout + added.stderr + shown.stdout).not.toContain('cloud-password-1');
  });

  test('a refused token, an unknown project and an answer of another shape are told apart, and nothing is stored', async () => {
    for (const [name, token_, given, code] of [
      ['refused', 'sbp_wrong', answers, 'CLOUD_TOKEN_REFUSED'],
      ['unknown', accessToken, {}, 'CLOUD_PROJECT_UNKNOWN'],
      ['odd', accessToken, { ...answers, '': { surprise: true } }, 'CLOUD_UNAVAILABLE'],
    ] as const) {
      const { args } = await startCloud(given);
      const added = await capstan(
        place.home,
        ['targets', 'add', name, '--project', ref, ...args, '--secret', 'accessToken=env:PAT', '--json'],
        { PAT: token_ },
      );
      expect(added).toMatchObject({ exit: 1, stdout: expect.stringContaining(code) });
      expect((await capstan(place.home, ['targets', 'show', name])).exit).toBe(1);
    }
  });
});
