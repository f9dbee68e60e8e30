/** The resource server's half of OAuth against an authorization server that signs for real. */
import { SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { capstan } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { type HttpServer, startHttpServer } from '../helpers/http-server.ts';
import { type Issuer, startIssuer } from '../helpers/issuer.ts';
import { connect, mainFile } from '../helpers/mcp-clients.ts';

const resource = 'https://capstan.example.com/mcp';
let place: ReturnType<typeof temporaryHome>;
let issuer: Issuer;
let server: HttpServer;
beforeAll(async () => {
  place = temporaryHome();
  issuer = await startIssuer(resource);
  server = await startHttpServer([mainFile, 'serve', '--http', '--port', '0', '--url', resource, '--issuer', issuer.url], {
    CAPSTAN_HOME: place.home,
  });
});
afterAll(async () => {
  await server.stop();
  await issuer.close();
  place.remove();
});

const post = (token: string | undefined) =>
  fetch(server.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    body: '{}',
  });

test('without a token a client is told where to get one, and the document says so (RFC 9728)', async () => {
  const refused = await post(undefined);
  expect(refused.status).toBe(401);
  const address = 'https://capstan.example.com/.well-known/oauth-protected-resource/mcp';
  expect(refused.headers.get('www-authenticate')).toContain(`resource_metadata="${address}"`);
  const document = await fetch(`${server.base}${new URL(address).pathname}`);
  expect(await document.json()).toEqual({
    resource,
    authorization_servers: [issuer.url],
    scopes_supported: ['capstan:viewer', 'capstan:operator', 'capstan:approver'],
    bearer_methods_supported: ['header'],
    resource_name: 'Capstan',
  });
});

test('an access token for us lets in, as who it is and with what it may', async () => {
  const viewer = await connect('modern', { at: { url: server.url, token: await issuer.token({ scope: 'openid capstan:viewer' }) } });
  expect((await viewer.raw('list_runs', {})).structuredContent).toEqual({ runs: [] });
  expect(await viewer.refused('start_workflow', { workflow: 'setup-supabase' })).toMatchObject({ code: 'READ_ONLY' });
  const scope = 'capstan:operator capstan:target:shop';
  const operator = await connect('legacy', { at: { url: server.url, token: await issuer.token({ scope, sub: 'sub-2' }) } });
  expect(await operator.refused('diagnose_target', { target: 'other' })).toMatchObject({ code: 'TARGET_OUT_OF_REACH' });
  expect(await operator.refused('diagnose_target', { target: 'shop' })).toMatchObject({ code: 'TARGET_UNKNOWN' });
  await Promise.all([viewer.close(), operator.close()]);
});

test.each([
  ['made for another resource', { aud: 'https://other.example.com' }, {}],
  ['made for the origin only', { aud: 'https://capstan.example.com' }, {}],
  ['without an audience', { aud: undefined }, {}],
  ['of another issuer', { iss: 'https://issuer.example.com' }, {}],
  ['without a subject', { sub: undefined }, {}],
  ['without an end', { exp: undefined }, {}],
  ['past its end', {}, { expired: true }],
  ['not valid yet', { nbf: Math.floor(Date.now() / 1000) + 600 }, {}],
  ['signed by another key', {}, { strange: true }],
  ['without a role', { scope: 'openid profile' }, {}],
  ['with a role of its own', { scope: 'capstan:owner' }, {}],
])('an access token %s lets nobody in', async (_what, claims, sign) => {
  expect((await post(await issuer.token({ scope: 'capstan:operator', ...claims }, sign))).status).toBe(401);
});

test('a token that says itself how it is signed is not believed', async () => {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: issuer.url, aud: resource, sub: 'x', exp: 4_000_000_000, scope: 'capstan:approver' };
  expect((await post(`${part({ alg: 'none' })}.${part(claims)}.`)).status).toBe(401);
  const shared = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'one' }).sign(new TextEncoder().encode('a'.repeat(32)));
  expect((await post(shared)).status).toBe(401);
});

test('a kept token counts beside it', async () => {
  const { stdout } = await capstan(place.home, ['token', 'add', 'robot', '--role', 'viewer', '--json']);
  const client = await connect('modern', { at: { url: server.url, token: JSON.parse(stdout).token } });
  expect((await client.raw('list_runs', {})).structuredContent).toEqual({ runs: [] });
  await client.close();
});

test('an issuer that does not say who it is keeps the server from starting', async () => {
  const args = ['serve', '--http', '--port', '0', '--url', resource];
  for (const wrong of [`${issuer.url}/elsewhere`, 'http://127.0.0.1:1'])
    expect(await capstan(place.home, [...args, '--issuer', wrong])).toMatchObject({
      exit: 1,
      stderr: expect.stringContaining('ISSUER_UNUSABLE'),
    });
});
