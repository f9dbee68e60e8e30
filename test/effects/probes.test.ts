import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type InstanceVerdict, type ProbeName, verifyInstance } from '../../src/effects/supabase/probes.ts';
import { queryThroughMeta, userData } from '../../src/effects/supabase/sql.ts';
import { createAuthority } from '../helpers/certificates.ts';
import { type Asked, type FakeServer, type Script, startFakeServer } from '../helpers/fake-dokploy.ts';

const ANON = 'anonKeyCanary-aaaaaaaaaaaa';
const SERVICE = 'serviceKeyCanary-bbbbbbbbbb';

const KONG_UNKNOWN = { status: 401, json: { message: 'Invalid authentication credentials' } };
const KONG_ACL = { status: 403, json: { message: 'You cannot consume this service' } };
const NOT_ADMIN = { status: 403, json: { code: 403, error_code: 'not_admin', msg: 'User not allowed' } };
const BAD_JWT = { status: 403, json: { code: 403, error_code: 'bad_jwt', msg: 'invalid JWT: unable to parse or verify signature' } };
const PGRST_SIGNATURE = { status: 401, json: { code: 'PGRST301', message: 'JWSError JWSInvalidSignature' } };

const byKey =
  (service: Script, anon: Script, none: Script = { status: 401, json: { message: 'No API key found in request' } }) =>
  (asked: Asked) => {
    const script = asked.headers.apikey === SERVICE ? service : asked.headers.apikey === ANON ? anon : none;
    return typeof script === 'function' ? script(asked) : script;
  };

let server: FakeServer;
beforeEach(async () => {
  server = await startFakeServer();
  server.on('/auth/v1/admin/users', byKey({ json: { users: [] } }, NOT_ADMIN));
  server.on('/auth/v1/settings', byKey({ json: { external: {} } }, { json: { external: {} } }));
  server.on('/rest/v1/', byKey({ json: { swagger: '2.0' } }, { status: 401, json: {} }));
  server.on('/storage/v1/status', { text: '' });
  server.on('/pg/query', byKey({ json: [{ one: 1 }] }, KONG_ACL));
});
afterEach(() => server.close());

const verify = (change: object = {}) => verifyInstance({ baseUrl: server.url, anonKey: ANON, serviceKey: SERVICE, reach: {}, ...change });

function failed(verdict: InstanceVerdict): Partial<Record<ProbeName, string>> {
  expect(verdict.ok).toBe(verdict.checks.every(({ ok }) => ok));
  return Object.fromEntries(verdict.checks.filter(({ ok }) => !ok).map(({ name, side }) => [name, side]));
}

describe('a live instance', () => {
  it('passes with right keys, and no key stands in what is said', async () => {
    const verdict = await verify();
    expect(verdict.ok).toBe(true);
    expect(verdict.checks).toHaveLength(7);
    expect(verdict.checks.every(({ side }) => side === 'none')).toBe(true);
    expect(JSON.stringify(verdict)).not.toMatch(/Canary/);
  });

  it('fails when the two keys are the same', async () => {
    const verdict = await verify({ anonKey: SERVICE });
    expect(failed(verdict)).toEqual({ 'anon-key-is-not-admin': 'gateway', 'anon-key-runs-no-sql': 'gateway' });
  });

  it('tells a gateway that does not know the key', async () => {
    server.on('/auth/v1/admin/users', byKey(KONG_UNKNOWN, NOT_ADMIN));
    server.on('/rest/v1/', byKey(KONG_UNKNOWN, KONG_UNKNOWN));
    expect(failed(await verify())).toEqual({ 'service-key-is-admin': 'gateway', 'service-key-reads-rest': 'gateway' });
  });

  it('does not take an unknown anon key for one that is refused for its role', async () => {
    server.on('/auth/v1/admin/users', byKey({ json: { users: [] } }, KONG_UNKNOWN));
    expect(failed(await verify())).toEqual({ 'anon-key-is-not-admin': 'gateway' });
  });

  it('tells a wrong signature from a wrong gateway, for either key', async () => {
    server.on('/rest/v1/', byKey(PGRST_SIGNATURE, PGRST_SIGNATURE));
    server.on('/auth/v1/admin/users', byKey(BAD_JWT, BAD_JWT));
    expect(failed(await verify())).toEqual({
      'service-key-is-admin': 'signature',
      'anon-key-is-not-admin': 'signature',
      'service-key-reads-rest': 'signature',
    });
  });

  it('tells a key without the service role', async () => {
    server.on('/auth/v1/admin/users', byKey(NOT_ADMIN, NOT_ADMIN));
    const verdict = await verify();
    expect(failed(verdict)).toEqual({ 'service-key-is-admin': 'signature' });
    expect(verdict.checks[0]?.say).toContain('role service_role');
  });

  it('tells a service behind the gateway that is down, and does not count its silence as a refusal', async () => {
    const down = { status: 503, json: { message: 'name resolution failed' } };
    server.on('/pg/query', down);
    server.on('/storage/v1/status', { status: 502, text: 'bad gateway' });
    expect(failed(await verify())).toEqual({
      'storage-answers': 'upstream',
      'service-key-runs-sql': 'upstream',
      'anon-key-runs-no-sql': 'upstream',
    });
  });

  it('does not take a web page or other rows for an answer', async () => {
    server.on('/storage/v1/status', { text: '<html>Welcome</html>' });
    server.on('/rest/v1/', { text: '<html>Welcome</html>' });
    server.on('/pg/query', byKey({ json: [] }, KONG_ACL));
    expect(Object.keys(failed(await verify()))).toEqual(['service-key-reads-rest', 'storage-answers', 'service-key-runs-sql']);
  });

  it('does not follow a redirect with a key', async () => {
    server.on('/rest/v1/', { status: 308, headers: { location: 'https://other.test/' } });
    expect(failed(await verify())).toEqual({ 'service-key-reads-rest': 'gateway' });
  });

  it('says the domain is not routed when the proxy does not know it', async () => {
    for (const path of ['/auth/v1/admin/users', '/auth/v1/settings', '/rest/v1/', '/storage/v1/status', '/pg/query'])
      server.on(path, { status: 404, text: '404 page not found\n' });
    const verdict = await verify();
    expect(verdict.checks.every(({ ok, side, say }) => !ok && side === 'gateway' && say.includes('domain is not routed'))).toBe(true);
  });

  it('says dns when the name does not resolve', async () => {
    const verdict = await verify({ baseUrl: 'http://nowhere.invalid' });
    expect(new Set(Object.values(failed(verdict)))).toEqual(new Set(['dns']));
  });

  it('sends no key over a connection that is not trusted', async () => {
    const secure = await startFakeServer(createAuthority().issue({ names: ['db.test'] }));
    const verdict = await verify({ baseUrl: 'https://db.test', reach: { resolve: [`db.test:443:127.0.0.1:${secure.port}`] } });
    expect(new Set(Object.values(failed(verdict)))).toEqual(new Set(['tls']));
    expect(secure.asked).toHaveLength(0);
    await secure.close();
  });

  it('stops at the signal', async () => {
    await expect(verify({ signal: AbortSignal.abort(new Error('stop')) })).rejects.toMatchObject({ code: 'ABORTED' });
  });
});

describe('SQL through the gateway', () => {
  const access = () => ({ baseUrl: server.url, serviceKey: SERVICE, reach: {} });

  it('answers rows', async () => {
    expect(await queryThroughMeta(access(), 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(server.asked[0]).toMatchObject({
      json: { query: 'select 1 as one' },
      headers: { apikey: SERVICE, authorization: `Bearer ${SERVICE}` },
    });
  });

  it.each<[Script, string, string]>([
    [KONG_UNKNOWN, 'SUPABASE_KEY_REFUSED', 'never'],
    [KONG_ACL, 'SUPABASE_KEY_REFUSED', 'never'],
    [{ status: 400, json: { message: 'relation "x" does not exist', code: '42P01' } }, 'SQL_FAILED', 'never'],
    [{ status: 503, text: 'starting' }, 'SUPABASE_SQL_UNAVAILABLE', 'later'],
    [{ text: '<html>' }, 'SUPABASE_SQL_UNAVAILABLE', 'later'],
    [{ reset: true }, 'CONNECTION_RESET', 'later'],
  ])('turns %j into %s', async (script, code, retry) => {
    server.on('/pg/query', script);
    await expect(queryThroughMeta(access(), 'select 1')).rejects.toMatchObject({ code, retry, applied: 'no' });
  });

  it('keeps the SQLSTATE', async () => {
    server.on('/pg/query', { status: 400, json: { message: `no ${SERVICE}`, code: '42501' } });
    const error = await queryThroughMeta(access(), 'select 1').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ details: { sqlState: '42501' } });
    expect(String(error)).not.toContain(SERVICE);
  });

  it('reads the counts of user data, and never takes a missing one for zero', async () => {
    server.on(
      '/pg/query',
      { json: [{ tables: '2', users: '1', objects: '0' }] },
      { json: [] },
      { json: [{ tables: '2', users: null, objects: '0' }] },
    );
    expect(await userData(access())).toEqual({ tables: 2, users: 1, objects: 0 });
    await expect(userData(access())).rejects.toMatchObject({ code: 'SUPABASE_SQL_UNAVAILABLE' });
    await expect(userData(access())).rejects.toMatchObject({ code: 'SUPABASE_SQL_UNAVAILABLE' });
  });
});
