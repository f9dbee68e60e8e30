import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fetchTemplate } from '../../src/effects/template/fetch.ts';
import { type FakeServer, startFakeServer } from '../helpers/fake-dokploy.ts';

const TOML = '[variables]\nmain_domain = "db.example.com"\n';
const COMPOSE = 'services:\n  db:\n    image: supabase/postgres:17.6.1.136 # ä\n';
const AT = '/mirror/blueprints/supabase';

let server: FakeServer;
beforeEach(async () => {
  server = await startFakeServer();
  server.on(`${AT}/template.toml`, { text: TOML });
  server.on(`${AT}/docker-compose.yml`, { text: COMPOSE });
});
afterEach(() => server.close());

const fetchIt = (change: object = {}) => fetchTemplate({ baseUrl: `${server.url}/mirror/`, id: 'supabase', ...change });

describe('a template', () => {
  it('is fetched with a fingerprint over both files', async () => {
    const sha256 = createHash('sha256')
      .update(`${Buffer.byteLength(TOML)}:${TOML}${Buffer.byteLength(COMPOSE)}:${COMPOSE}`)
      .digest('hex');
    expect(await fetchIt()).toEqual({ toml: TOML, compose: COMPOSE, sha256 });
  });

  it('is fetched through a redirect of the same origin, with the stored headers', async () => {
    server.on(`${AT}/template.toml`, { status: 302, headers: { location: '/moved.toml' } });
    server.on('/moved.toml', { text: TOML });
    expect((await fetchIt({ reach: { headers: { 'x-proxy': 'p' } } })).toml).toBe(TOML);
    expect(server.asked.find(({ path }) => path === '/moved.toml')?.headers['x-proxy']).toBe('p');
  });

  it('is refused behind a redirect to a private or metadata address', async () => {
    const other = await startFakeServer();
    other.on('/x.toml', { text: TOML });
    for (const location of [`${other.url}/x.toml`, `http://localhost:${other.port}/x.toml`, 'http://169.254.169.254/latest']) {
      server.on(`${AT}/template.toml`, { status: 301, headers: { location } });
      await expect(fetchIt()).rejects.toMatchObject({
        code: 'TEMPLATE_UNREACHABLE',
        retry: 'never',
        details: { reason: 'ADDRESS_REFUSED' },
      });
    }
    expect(other.asked).toHaveLength(0);
    await other.close();
  });

  it('keeps the stored headers from another origin, also one that the owner allowed', async () => {
    const other = await startFakeServer();
    other.on('/x.toml', { text: TOML });
    server.on(`${AT}/template.toml`, { status: 301, headers: { location: 'http://cdn.test/x.toml' } });
    await fetchIt({ reach: { headers: { 'x-proxy': 'p' }, resolve: [`cdn.test:80:127.0.0.1:${other.port}`] } });
    expect(other.asked).toHaveLength(1);
    expect(other.asked[0]?.headers['x-proxy']).toBeUndefined();
    await other.close();
  });

  it('is unreachable, with the address, when it is missing, moved in circles or into nonsense, or the server is down', async () => {
    server.on(`${AT}/template.toml`, { status: 404, text: 'no' });
    await expect(fetchIt()).rejects.toMatchObject({
      code: 'TEMPLATE_UNREACHABLE',
      retry: 'never',
      message: expect.stringContaining(`${server.url}${AT}/template.toml`),
    });
    server.on(`${AT}/template.toml`, { status: 503 });
    await expect(fetchIt()).rejects.toMatchObject({ code: 'TEMPLATE_UNREACHABLE', retry: 'later' });
    server.on(`${AT}/template.toml`, { status: 302, headers: { location: `${AT}/template.toml` } });
    await expect(fetchIt()).rejects.toMatchObject({ code: 'TEMPLATE_UNREACHABLE', message: expect.stringContaining('too many redirects') });
    server.on(`${AT}/template.toml`, { status: 302, headers: { location: 'file:///etc/passwd' } });
    await expect(fetchIt()).rejects.toMatchObject({ code: 'TEMPLATE_UNREACHABLE' });
    await server.close();
    await expect(fetchIt()).rejects.toMatchObject({
      code: 'TEMPLATE_UNREACHABLE',
      retry: 'later',
      fix: expect.stringContaining('template base URL'),
    });
  });

  it('is refused above one megabyte', async () => {
    server.on(`${AT}/docker-compose.yml`, { text: `${COMPOSE}#${'x'.repeat(1_100_000)}` });
    await expect(fetchIt()).rejects.toMatchObject({ code: 'TEMPLATE_UNREACHABLE', details: { reason: 'ANSWER_TOO_LARGE' } });
  });

  it.each([
    ['a web page', '<html>Not here</html>', COMPOSE],
    ['a compose file without services', TOML, 'version: "3"\n'],
    ['broken YAML', TOML, 'services: [\n'],
  ])('is invalid as %s', async (_name, toml, compose) => {
    server.on(`${AT}/template.toml`, { text: toml });
    server.on(`${AT}/docker-compose.yml`, { text: compose });
    await expect(fetchIt()).rejects.toMatchObject({ code: 'TEMPLATE_INVALID', retry: 'never' });
  });

  it('has a plain id and a plain address', async () => {
    await expect(fetchIt({ id: '../x' })).rejects.toThrow(TypeError);
    await expect(fetchIt({ baseUrl: 'http://u:p@x.test' })).rejects.toMatchObject({ code: 'URL_INVALID' });
    await expect(fetchIt({ signal: AbortSignal.abort(new Error('x')) })).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
