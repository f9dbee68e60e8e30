/** SQL through the cloud's Management API, against a stand-in that keeps to its document and runs it on a real Postgres. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openSession, type SqlTarget } from '../../src/effects/postgres/open.ts';
import type { Purpose } from '../../src/effects/postgres/session.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { startServer, type TestServer } from '../helpers/databases.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { errorOf } from '../helpers/dokploy-lab.ts';
import { accessToken, conforms, type FakeManagement, projectRef, startManagement } from '../helpers/fake-management.ts';
import { shopSql } from '../helpers/hostile-schema.ts';

const general = '/database/query';
const readOnly = '/database/query/read-only';
let server: TestServer;
let cloud: FakeManagement;
let target: SqlTarget;
beforeAll(async () => {
  server = await startServer(17);
  await (await server.admin()).query(shopSql);
  cloud = await startManagement({ server });
  target = targetOf(cloud);
});
afterEach(() => {
  for (const path of [general, readOnly]) cloud.answer(path, undefined);
});
afterAll(async () => {
  cloud.close();
  await server.stop();
});

function targetOf({ ca, resolve }: FakeManagement, token = accessToken): SqlTarget {
  return {
    name: 'cloud',
    reach: { ca, resolve, headers: { 'x-door': 'door-canary-4711' } },
    addresses: [],
    management: { ref: projectRef, token },
  };
}
const open = (purpose: Purpose = 'model-read') => openSession(target, purpose);

test('rows and parameters go through as they are, read by the role that only reads, and every request is of the document’s shape', async () => {
  const [asked, bodies] = [cloud.asked.length, cloud.bodies.length];
  const session = await open();
  expect(session).toMatchObject({ rung: 'management', role: 'supabase_read_only_user', superuser: false, serverMajor: 17 });
  expect(session.reasons.at(-1)).toBe('Used: The Management API of the cloud, reading as supabase_read_only_user.');
  const said = `it's "quoted" $1 \\ {{x}} ü\n;--`;
  const { rows } = await session.query('select $1::text as said, $2::int + 1 as more, $3::text is null as nothing', [said, 41, null]);
  expect(rows).toEqual([{ said, more: 42, nothing: true }]);
  expect(await errorOf(session.query('select 1; select 2'))).toMatchObject({ code: 'SQL_FAILED', details: { sqlState: '42601' } });
  expect(await errorOf(session.query('insert into public.base values (1)'))).toMatchObject({ details: { sqlState: '42501' } });
  expect(await errorOf(session.query('select nope from public.base'))).toMatchObject({
    code: 'SQL_FAILED',
    details: { sqlState: '42703' },
  });
  expect(new Set(cloud.asked.slice(asked))).toEqual(new Set([`POST /v1/projects/${projectRef}${general}`]));
  // What the owner gave for the hosts of the instance stays away from the API.
  expect(cloud.headers.filter((each) => 'x-door' in each)).toEqual([]);
  for (const body of cloud.bodies.slice(bodies)) {
    expect(conforms('V1RunQueryBody', body)).toBe(true);
    expect(body).toMatchObject({ read_only: true });
  }
});

test.each<Purpose>(['model-write', 'ddl', 'admin', 'dump'])(
  'nothing of the purpose %s goes this way, and nothing is asked',
  async (purpose) => {
    const asked = cloud.asked.length;
    const refused = await errorOf(open(purpose));
    expect(refused).toMatchObject({ code: 'SQL_NO_WAY' });
    if (purpose !== 'dump') expect(refused.message).toContain('it is only read by');
    expect(cloud.asked.length).toBe(asked);
  },
);

test('a project without an access token says so', async () => {
  expect((await errorOf(openSession({ ...target, management: { ref: projectRef } }, 'read'))).message).toContain('needs an access token');
});

describe('what the API refuses', () => {
  test.each([
    [401, 'CLOUD_TOKEN_REFUSED', 'never'],
    [403, 'CLOUD_TOKEN_REFUSED', 'never'],
    [404, 'CLOUD_PROJECT_UNKNOWN', 'never'],
    [429, 'CLOUD_UNAVAILABLE', 'later'],
    [500, 'CLOUD_UNAVAILABLE', 'later'],
    [502, 'CLOUD_UNAVAILABLE', 'later'],
  ] as const)('status %i is %s', async (status, code, retry) => {
    for (const path of [general, readOnly]) cloud.answer(path, { status, body: { message: `token ${accessToken}` } });
    const error = await errorOf(open());
    expect(error).toMatchObject({ code, retry });
    expect(JSON.stringify([error.message, error.details, error.fix])).not.toContain(accessToken);
  });

  test.each([403, 404])(
    'where the general endpoint answers %i the one for reading is asked, and the session stays with it',
    async (status) => {
      cloud.answer(general, { status });
      const session = await open();
      const asked = cloud.asked.length;
      expect((await session.query('select count(*)::int as n from public.base')).rows).toEqual([{ n: 0 }]);
      expect(cloud.asked.slice(asked)).toEqual([`POST /v1/projects/${projectRef}${readOnly}`]);
    },
  );

  test.each([
    ['Failed to run sql query: must be owner of table base', 'SQL_FAILED'],
    ['Failed to run sql query: Connection terminated due to connection timeout', 'CLOUD_UNAVAILABLE'],
    ['Failed to run sql query: ERROR:  57014: canceling statement due to statement timeout\nCONTEXT: x', 'SQL_TIMEOUT'],
    ['something else', 'CLOUD_UNAVAILABLE'],
  ])('%s is %s', async (message, code) => {
    const session = await open();
    cloud.answer(general, { status: 400, body: { message } });
    expect(await errorOf(session.query('select 1'))).toMatchObject({ code });
  });

  test('an answer that is no list of rows is no empty result', async () => {
    const session = await open();
    for (const body of [undefined, { rows: [] }, 'SELECT 1']) {
      cloud.answer(general, { status: 201, body });
      expect(await errorOf(session.query('select 1'))).toMatchObject({ code: 'CLOUD_UNAVAILABLE' });
    }
  });

  test('a statement that takes too long ends the waiting, and the database ends it at its own limit', async () => {
    const session = await open();
    const error = await errorOf(session.query('select pg_sleep(60)', [], { timeoutMs: 500 }));
    expect(error).toMatchObject({ code: 'SQL_TIMEOUT', message: expect.stringContaining('may go on until') });
    expect(await errorOf(session.query('select pg_sleep(60)', [], { timeoutMs: 20_000 }))).toMatchObject({
      code: 'SQL_TIMEOUT',
      message: expect.stringContaining('its own limit'),
    });
  });
});

test('a session that could write is left before anything but our question was sent', async () => {
  const loose = await startManagement({ server, overlooksReadOnly: true });
  try {
    expect(await errorOf(openSession(targetOf(loose), 'model-read'))).toMatchObject({ code: 'CLOUD_SQL_WRITES' });
    expect(loose.bodies).toHaveLength(1);
  } finally {
    loose.close();
  }
});

test('a project is read with a token alone: test, sql, schema, types; the token is shown nowhere', async () => {
  const place = temporaryHome();
  const folder = mkdtempSync(join(tmpdir(), 'capstan-cloud-'));
  try {
    const ca = join(folder, 'ca.pem');
    writeFileSync(ca, cloud.ca);
    const resolve = cloud.resolve.flatMap((each) => ['--resolve', each]);
    const connection = ['--url', `https://${projectRef}.supabase.co`, '--kind', 'cloud', '--secret', 'accessToken=env:PAT'];
    const keys = [
      { name: 'anon', type: 'legacy', api_key: 'cloud-key-canary-0815' },
      { name: 'default', type: 'publishable', api_key: 'sb_publishable_canary-0815' },
    ];
    expect(keys.map((key) => conforms('ApiKeyResponse', key))).toEqual([true, true]);
    cloud.answer('/api-keys?reveal=false', { status: 200, body: keys });
    const outputs: string[] = [];
    const run = async (...args: string[]) => {
      const done = await capstan(place.home, args, { PAT: accessToken });
      outputs.push(done.stdout, done.stderr);
      expect({ args, exit: done.exit, stderr: done.exit === 0 ? '' : done.stderr + done.stdout }).toMatchObject({ exit: 0 });
      return done;
    };
    await run('targets', 'add', 'cloud', ...connection, '--ca', ca, ...resolve);
    const tested = jsonOf(await run('targets', 'test', 'cloud', '--json'));
    expect(tested).toMatchObject({
      reachable: true,
      generation: { postgres: { value: 17 }, newKeys: { value: true, because: 'the Management API lists its keys' } },
    });
    expect((tested['ways'] as { rung: string; ok: boolean }[]).at(-1)).toMatchObject({ rung: 'management', ok: true });
    expect(jsonOf(await run('sql', 'cloud', 'select count(*)::int as n from public.orders', '--json'))).toMatchObject({
      rows: [{ n: 0 }],
      via: { rung: 'management', role: 'supabase_read_only_user' },
    });
    expect((await run('schema', '--target', 'cloud', '--json')).stdout).toContain('customers');
    for (const kind of ['stats', 'connections']) await run('monitor', kind, '--target', 'cloud', '--json');
    expect((await run('types', '--target', 'cloud')).stdout).toContain('customers: {');
    expect(outputs.join('')).not.toContain(accessToken);
    expect(outputs.join('')).not.toContain('canary-0815');
  } finally {
    place.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}, 60_000);
