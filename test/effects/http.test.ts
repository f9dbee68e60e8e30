import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHttp } from '../../src/effects/http/http.ts';
import { overrideOf, parseResolve } from '../../src/effects/http/reach.ts';
import { AppError } from '../../src/errors.ts';
import { type Authority, createAuthority } from '../helpers/certificates.ts';
import { type FakeServer, startFakeServer } from '../helpers/fake-dokploy.ts';

async function errorOf(work: Promise<unknown>): Promise<AppError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw new Error(`expected an AppError, got ${String(error)}`);
  return error;
}

describe('requests', () => {
  let server: FakeServer;
  beforeAll(async () => {
    server = await startFakeServer();
  });
  afterAll(() => server.close());

  it('answers every status with headers and text, and follows no redirect', async () => {
    server.on('/moved', { status: 302, headers: { location: '/elsewhere' }, text: 'go on' });
    const answer = await createHttp({}).request({ method: 'GET', url: `${server.url}/moved` });
    expect(answer).toMatchObject({ status: 302, text: 'go on' });
    expect(answer.headers.location).toBe('/elsewhere');
    expect(server.asked.some(({ path }) => path === '/elsewhere')).toBe(false);
  });

  it('sends the stored extra headers and JSON, once, without asking for compression', async () => {
    server.on('/echo', { status: 500, json: {} });
    await createHttp({ headers: { 'x-extra': 'yes' } }).request({ method: 'POST', url: `${server.url}/echo`, json: { a: true } });
    const asked = server.asked.filter(({ path }) => path === '/echo');
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ json: { a: true }, headers: { 'x-extra': 'yes' } });
    expect(asked[0]?.headers['accept-encoding']).toBeUndefined();
  });

  it('goes where --resolve says while Host stays the original name', async () => {
    server.on('/named', { text: 'here' });
    const http = createHttp({ resolve: [`dokploy.test:3000:127.0.0.1:${server.port}`] });
    expect((await http.request({ method: 'GET', url: 'http://dokploy.test:3000/named' })).text).toBe('here');
    expect(server.asked.at(-1)?.headers.host).toBe('dokploy.test:3000');
  });

  it.each([
    ['GET', undefined, 'no'],
    ['POST', undefined, 'unknown'],
    ['POST', true, 'no'],
  ] as const)('says what a time-out of %s (readOnly %s) leaves: %s', async (method, readOnly, applied) => {
    server.on('/hang', { hang: true });
    const request = { method, url: `${server.url}/hang`, ...(readOnly ? { readOnly } : {}) };
    const error = await errorOf(createHttp({}, { timeoutMs: 150 }).request(request));
    expect(error).toMatchObject({ code: 'REQUEST_TIMEOUT', retry: 'later', applied });
  });

  it('leaves doubt when a POST is reset after it was sent', async () => {
    server.on('/reset', { reset: true });
    const error = await errorOf(createHttp({}).request({ method: 'POST', url: `${server.url}/reset`, json: {} }));
    expect(error).toMatchObject({ code: 'CONNECTION_RESET', retry: 'later', applied: 'unknown' });
  });

  it('stops at the signal, and says whether the request was out', async () => {
    server.on('/hang', { hang: true });
    const control = new AbortController();
    const before = server.asked.length;
    const pending = errorOf(createHttp({}, { signal: control.signal }).request({ method: 'POST', url: `${server.url}/hang`, json: {} }));
    await expect.poll(() => server.asked.length).toBe(before + 1);
    control.abort(new Error('stop'));
    expect(await pending).toMatchObject({ code: 'ABORTED', applied: 'unknown', retry: 'later' });
    const never = await errorOf(createHttp({}, { signal: control.signal }).request({ method: 'POST', url: `${server.url}/hang` }));
    expect(never).toMatchObject({ code: 'ABORTED', applied: 'no' });
    expect(server.asked.length).toBe(before + 1);
  });

  it('cuts off an answer above the limit', async () => {
    server.on('/big', { text: 'x'.repeat(300_000) });
    const error = await errorOf(createHttp({}).request({ method: 'GET', url: `${server.url}/big`, maxBytes: 100_000 }));
    expect(error.code).toBe('ANSWER_TOO_LARGE');
  });

  it('says refused when nothing listens, and that nothing was applied', async () => {
    const port = await unusedPort();
    const error = await errorOf(createHttp({}).request({ method: 'POST', url: `http://127.0.0.1:${port}/`, json: {} }));
    expect(error).toMatchObject({ code: 'CONNECTION_REFUSED', retry: 'later', applied: 'no' });
  });

  it('says that a name does not resolve', async () => {
    const error = await errorOf(createHttp({}).request({ method: 'POST', url: 'http://nowhere.invalid/', json: {} }));
    expect(error).toMatchObject({ code: 'HOST_NOT_FOUND', retry: 'later', applied: 'no' });
    expect(error.message).toContain('nowhere.invalid');
  });

  it.each([
    'http://169.254.169.254/',
    'http://0xa9fea9fe/',
    'http://[::ffff:169.254.169.254]/',
    'http://metadata.google.internal/',
    'http://[fd00:ec2::254]/',
  ])('refuses the metadata address %s always', async (url) => {
    expect(await errorOf(createHttp({}).request({ method: 'GET', url }))).toMatchObject({ code: 'ADDRESS_REFUSED', retry: 'never' });
  });

  it('refuses private addresses on request, also behind a name, but follows the owner’s override', async () => {
    server.on('/ok', { text: 'ok' });
    const strict = createHttp({}, { refusePrivate: true });
    expect((await errorOf(strict.request({ method: 'GET', url: `${server.url}/ok` }))).code).toBe('ADDRESS_REFUSED');
    const named = await errorOf(strict.request({ method: 'GET', url: `http://localhost:${server.port}/ok` }));
    expect(named.code).toBe('ADDRESS_REFUSED');
    const allowed = createHttp({ resolve: [`inner.test:80:127.0.0.1:${server.port}`] }, { refusePrivate: true });
    expect((await allowed.request({ method: 'GET', url: 'http://inner.test/ok' })).status).toBe(200);
  });
});

describe('TLS', () => {
  let authority: Authority;
  const servers: FakeServer[] = [];
  beforeAll(async () => {
    authority = createAuthority();
  });
  afterAll(() => Promise.all(servers.map((server) => server.close())));

  async function serve(options: Parameters<Authority['issue']>[0]): Promise<string> {
    const server = await startFakeServer(authority.issue(options));
    server.on('/', { text: 'secure' });
    servers.push(server);
    return `db.test:443:127.0.0.1:${server.port}`;
  }

  it('trusts the extra CA for the original name behind an override', async () => {
    const resolve = [await serve({ names: ['db.test'] })];
    const answer = await createHttp({ ca: authority.ca, resolve }).request({ method: 'GET', url: 'https://db.test/' });
    expect(answer.text).toBe('secure');
    expect(servers.at(-1)?.asked[0]?.headers.host).toBe('db.test');
  });

  it.each([
    ['TLS_SELF_SIGNED', { names: ['db.test'], selfSigned: true }, true],
    ['TLS_WRONG_NAME', { names: ['other.test'] }, true],
    ['TLS_EXPIRED', { names: ['db.test'], days: -0.5 }, true],
    ['TLS_UNKNOWN_CA', { names: ['db.test'] }, false],
  ] as const)('refuses with %s before anything is sent', async (code, options, withCa) => {
    const resolve = [await serve({ ...options, names: [...options.names] })];
    const reach = withCa ? { ca: authority.ca, resolve } : { resolve };
    const error = await errorOf(createHttp(reach).request({ method: 'POST', url: 'https://db.test/', json: { secret: 1 } }));
    expect(error).toMatchObject({ code, retry: 'never', applied: 'no' });
    expect(servers.at(-1)?.asked).toHaveLength(0);
  });

  it('says when the port does not speak TLS', async () => {
    const plain = await startFakeServer();
    servers.push(plain);
    const error = await errorOf(createHttp({}).request({ method: 'GET', url: `https://127.0.0.1:${plain.port}/` }));
    expect(error).toMatchObject({ code: 'TLS_FAILED', applied: 'no' });
  });
});

describe('resolve entries', () => {
  it.each([
    ['a.test:443:203.0.113.7', { host: 'a.test', port: 443, address: '203.0.113.7', toPort: 443 }],
    ['*:80:127.0.0.1:8080', { host: '*', port: 80, address: '127.0.0.1', toPort: 8080 }],
    ['A.Test:443:[2001:db8::1]:8443', { host: 'a.test', port: 443, address: '2001:db8::1', toPort: 8443 }],
  ])('parses %s', (text, entry) => {
    expect(parseResolve(text)).toEqual(entry);
  });

  it.each(['', 'a.test:443', 'a.test:0:127.0.0.1', 'a.test:443:localhost', 'a.test:99999:127.0.0.1', 'a b:1:127.0.0.1', 'a:443:999.1.1.1'])(
    'refuses %s',
    (text) => {
      expect(() => parseResolve(text)).toThrow(expect.objectContaining({ code: 'RESOLVE_INVALID' }));
    },
  );

  it('refuses a metadata address as the place to go', () => {
    expect(() => parseResolve('a.test:80:169.254.169.254')).toThrow(expect.objectContaining({ code: 'ADDRESS_REFUSED' }));
  });

  it('prefers the exact host to the star and needs the port to match', () => {
    const reach = { resolve: ['*:443:127.0.0.1:1', 'a.test:443:127.0.0.2:2'] };
    expect(overrideOf(reach, 'A.test', 443)).toEqual({ address: '127.0.0.2', port: 2 });
    expect(overrideOf(reach, 'b.test', 443)).toEqual({ address: '127.0.0.1', port: 1 });
    expect(overrideOf(reach, 'a.test', 80)).toBeNull();
  });
});

async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
