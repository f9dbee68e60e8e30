/** What a stranger or a broken client sends: it is refused, and the server answers the next one. Real processes, raw sockets. */
import { connect as connectTcp, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { maxBodyBytes } from '../../src/mcp/http/routes.ts';
import { capstan } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { type HttpServer, startHttpServer, startRelayHttp } from '../helpers/http-server.ts';
import { connect, mainFile } from '../helpers/mcp-clients.ts';
import { furnish } from '../helpers/tokens.ts';

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let server: HttpServer;
beforeAll(async () => {
  place = temporaryHome();
  world = await startWorld();
  server = await startRelayHttp(place.home, world.url);
});
afterEach(async () => {
  expect((await fetch(`${server.base}/healthz`)).status).toBe(200);
  expect(server.child.exitCode).toBeNull();
});
afterAll(async () => {
  await server.stop();
  await world.close();
  place.remove();
});

const json = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
const envelope = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
const callBody = (name: string, args: unknown) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name, arguments: args, _meta: envelope },
});
const modernHeaders = (method: string, name: string) => ({
  ...json,
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': method,
  'mcp-name': name,
});
const call = async (name: string, args: unknown) => {
  const answer = await fetch(server.url, {
    method: 'POST',
    headers: modernHeaders('tools/call', name),
    body: JSON.stringify(callBody(name, args)),
  });
  return { status: answer.status, text: await answer.text() };
};

/** Everything that a raw socket hears until the other side closes it. */
function talk(send: (socket: Socket) => void): Promise<{ heard: string; ms: number }> {
  const began = Date.now();
  return new Promise((resolve) => {
    let heard = '';
    const socket = connectTcp(Number(new URL(server.url).port), '127.0.0.1', () => send(socket));
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    socket.on('error', () => undefined); // a reset is a way to close
    socket.on('close', () => resolve({ heard, ms: Date.now() - began }));
  });
}

const port = () => new URL(server.url).port;

test.each([
  ['evil.example', 403],
  ['localhost.evil.example', 403],
  ['127.0.0.1.evil.example', 403],
  ['evil.example:PORT', 403],
  ['169.254.169.254', 403],
  ['0.0.0.0:PORT', 403],
  ['', 403],
  ['localhost:PORT', 200],
  ['127.0.0.1:PORT', 200],
  ['[::1]:PORT', 200],
])('a request for the host %j is answered with %i, on every path', async (host, status) => {
  for (const path of ['/healthz', '/metrics', '/readyz']) {
    const { heard } = await talk((socket) =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host.replace('PORT', port())}\r\nConnection: close\r\n\r\n`),
    );
    // Node itself refuses a request without a host.
    expect(heard.split(' ')[1]).toBe(host === '' && heard.includes(' 400 ') ? '400' : String(status));
  }
});

test.each([
  ['https://evil.example', 403],
  ['http://localhost.evil.example', 403],
  ['null', 403],
  ['file://', 403],
  ['http://localhost:3000', 200],
  ['http://127.0.0.1', 200],
])('a page of %s gets %i', async (origin, status) => {
  const answer = await fetch(server.url, {
    method: 'POST',
    headers: { ...modernHeaders('tools/list', ''), origin },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: envelope } }),
  });
  expect(answer.status).toBe(status);
  expect(answer.headers.get('access-control-allow-origin')).toBeNull();
});

test('a page of another origin is not even allowed to ask: no answer to a preflight allows it anything', async () => {
  const answer = await fetch(server.url, {
    method: 'OPTIONS',
    headers: { origin: 'http://localhost:3000', 'access-control-request-method': 'POST' },
  });
  expect(answer.ok).toBe(false);
  expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([]);
});

test('an address that others can reach is refused without a token, and without a name', async () => {
  const home = temporaryHome();
  expect(await capstan(home.home, ['serve', '--http', '--host', '0.0.0.0', '--port', '0', '--allow-host', 'x.example'])).toMatchObject({
    exit: 1,
    stderr: expect.stringContaining('TOKEN_NEEDED'),
  });
  expect(await capstan(home.home, ['serve', '--http', '--port', '0', '--url', 'https://x.example/mcp'])).toMatchObject({
    exit: 1,
    stderr: expect.stringContaining('TOKEN_NEEDED'),
  });
  for (const flags of [
    ['--host', '0.0.0.0'],
    ['--issuer', 'https://issuer.example'],
    ['--url', 'http://x.example/mcp'],
    ['--allow-host', 'https://x.example'],
    ['--port', '70000'],
  ])
    expect(await capstan(home.home, ['serve', '--http', ...flags])).toMatchObject({ exit: 2 });
  expect(await capstan(home.home, ['serve', '--port', '1'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('needs --http') });
  home.remove();
});

test('a real server with a token lets nobody in without it, and leaves with 0 within 2 s', async () => {
  const home = temporaryHome();
  const made = await capstan(home.home, ['token', 'add', 'ci', '--role', 'operator']);
  const token = made.stdout.trim();
  expect(token).toMatch(/^capstan_[0-9a-f]{12}_[\w-]{43}$/);
  const listed = await capstan(home.home, ['token', 'list', '--json']);
  expect(listed.stdout).not.toContain(token.slice(-43));
  const real = await startHttpServer([mainFile, 'serve', '--http', '--port', '0'], { CAPSTAN_HOME: home.home });
  expect((await fetch(real.url, { method: 'POST', headers: json, body: '{}' })).status).toBe(401);
  expect((await fetch(`${real.base}/metrics`)).status).toBe(401);
  const metrics = await fetch(`${real.base}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  expect(await metrics.text()).toContain('capstan_runs{status="waiting"} 0');
  expect(await (await fetch(`${real.base}/readyz`)).text()).toBe('ready\n');
  const client = await connect('legacy', { at: { url: real.url, token } });
  expect((await client.raw('list_runs', {})).structuredContent).toEqual({ runs: [] });
  const began = Date.now();
  expect(await real.stop()).toBe(0);
  expect(Date.now() - began).toBeLessThan(2_000);
  await client.close();
  expect(await capstan(home.home, ['token', 'revoke', 'ci'])).toMatchObject({ exit: 0 });
  expect(await capstan(home.home, ['token', 'revoke', 'ci'])).toMatchObject({ exit: 1, stderr: expect.stringContaining('TOKEN_UNKNOWN') });
  expect(real.stderr() + (await capstan(home.home, ['audit', '--json'])).stdout).not.toContain(token);
  home.remove();
});

test('a body that is too large is refused, whether its size is said or not', async () => {
  const large = 'x'.repeat(maxBodyBytes + 1);
  expect((await fetch(server.url, { method: 'POST', headers: json, body: large })).status).toBe(413);
  const streamed = await talk((socket) => {
    socket.write(`POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const piece = 'x'.repeat(65_536);
    for (let n = 0; n < 20; n++) socket.write(`10000\r\n${piece}\r\n`);
    socket.write('0\r\n\r\n');
  });
  expect(streamed.heard).toContain(' 413 ');
  const headers = await talk((socket) => socket.write(`GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${'y'.repeat(40_000)}\r\n\r\n`));
  expect(headers.heard).toContain(' 431 ');
});

test('heads and bodies that come drop by drop are cut off', { timeout: 60_000 }, async () => {
  const drip = (start: string) =>
    talk((socket) => {
      socket.write(start);
      const timer = setInterval(() => socket.write('a'), 400);
      socket.on('close', () => clearInterval(timer));
    });
  const [head, body] = await Promise.all([
    drip('GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: '),
    drip('POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n'),
  ]);
  expect([head.ms < 15_000, body.ms < 25_000]).toEqual([true, true]);
});

test('1,000 connections at once, and 1,000 calls at once, leave the server answering', { timeout: 60_000 }, async () => {
  const sockets = await Promise.all(
    Array.from(
      { length: 1_000 },
      () =>
        new Promise<Socket>((resolve, reject) => {
          const socket = connectTcp(Number(port()), '127.0.0.1', () => resolve(socket)).on('error', reject);
        }),
    ),
  );
  expect((await call('list_runs', {})).status).toBe(200);
  const answers = await Promise.all(Array.from({ length: 1_000 }, () => call('list_workflows', {})));
  const counts = { ok: 0, refused: 0 };
  for (const { status, text } of answers) {
    if (status === 200 && text.includes('structuredContent')) counts.ok += 1;
    else if (status === 429 || text.includes('RATE_LIMITED')) counts.refused += 1;
  }
  expect(counts.ok + counts.refused).toBe(1_000);
  expect(counts.ok).toBeGreaterThan(200);
  for (const socket of sockets) socket.destroy();
});

const refusedWell = (status: number, text: string) => {
  expect([200, 202, 400, 404, 405, 406, 413, 415, 429]).toContain(status);
  // Neither a stack nor a path of this machine.
  expect(text).not.toMatch(/\n\s+at |node_modules|\/src\/|\.ts:\d/);
};

test('malformed JSON-RPC of every kind is refused, and nothing breaks', { timeout: 60_000 }, async () => {
  const methods = fc.oneof(
    fc.constantFrom(
      'tools/call',
      'tools/list',
      'initialize',
      'ping',
      'server/discover',
      'subscriptions/listen/x',
      'resources/read',
      'prompts/get',
      'completion/complete',
      'logging/setLevel',
      'notifications/cancelled',
      'notifications/initialized',
      '__proto__',
      'constructor',
    ),
    fc.string(),
  );
  const params = fc.oneof(
    fc.jsonValue(),
    fc.record({
      name: fc.oneof(fc.constantFrom('list_runs', 'advance_run', 'start_workflow'), fc.string()),
      arguments: fc.jsonValue(),
      _meta: fc.oneof(fc.constant(envelope), fc.jsonValue()),
    }),
  );
  const message = fc.record(
    {
      jsonrpc: fc.oneof(fc.constant('2.0'), fc.jsonValue()),
      id: fc.oneof(fc.integer(), fc.string(), fc.jsonValue()),
      method: fc.oneof(methods, fc.jsonValue()),
      params,
      result: fc.jsonValue(),
      error: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const body = fc.oneof(
    message.map((value) => JSON.stringify(value)),
    fc.array(message, { maxLength: 4 }).map((value) => JSON.stringify(value)),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '',
      'null',
      '[]',
      '{',
      '"',
      '[['.repeat(50_000),
      `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"__proto__":{"polluted":true}}}',
    ),
  );
  const headers = fc.record(
    {
      'mcp-protocol-version': fc.constantFrom('2026-07-28', '2025-11-25', '2025-06-18', '1999-01-01', 'x'),
      'mcp-method': fc.constantFrom('tools/call', 'tools/list', 'x'),
      'mcp-name': fc.constantFrom('list_runs', 'x', '=?base64?!!?='),
      'mcp-session-id': fc.constantFrom('x', '../../etc/passwd', 'a'.repeat(500)),
      'content-type': fc.constantFrom('application/json', 'text/plain', 'application/json; charset=x', 'multipart/form-data'),
      accept: fc.constantFrom('application/json, text/event-stream', '*/*', 'text/html'),
    },
    { requiredKeys: ['content-type', 'accept'] },
  );
  await fc.assert(
    fc.asyncProperty(body, headers, fc.constantFrom('POST', 'PUT', 'DELETE', 'GET', 'PATCH'), async (text, more, method) => {
      const answer = await fetch(server.url, {
        method,
        headers: more,
        ...(method === 'GET' ? {} : { body: text }),
        signal: AbortSignal.timeout(10_000),
      });
      refusedWell(answer.status, await answer.text());
    }),
    { numRuns: 300 },
  );
  expect(Object.prototype).not.toHaveProperty('polluted');
});

test('bytes that are no HTTP are answered or cut off', async () => {
  for (const bytes of [
    '\u0000\u0001\u0002',
    'GET',
    'GET /mcp HTTP/9.9\r\n\r\n',
    'POST /mcp HTTP/1.1\r\nContent-Length: -1\r\n\r\n',
    'POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nabcde',
  ]) {
    const { heard } = await talk((socket) => {
      socket.write(bytes);
      socket.end();
    });
    expect(heard === '' || heard.startsWith('HTTP/1.1 4')).toBe(true);
  }
});

test('paths that look like others lead nowhere', async () => {
  for (const path of ['/', '/mcp/', '/mcp/../healthz/x', '/MCP', '/..%2f..%2fetc/passwd', '/.well-known/oauth-protected-resource', '//mcp'])
    expect([404, 405]).toContain((await fetch(`${server.base}${path}`, { method: 'POST', headers: json, body: '{}' })).status);
});

test('no handle can be guessed: neither by parts, nor by patterns of SQL or paths', async () => {
  const client = await connect('modern', { at: { url: server.url } });
  const { runId } = await client.call('start_workflow', { workflow: 'relay', name: 'hidden' });
  for (const run of [
    '%',
    '_'.repeat(36),
    runId.slice(0, 3),
    `${runId.slice(0, 8)}%`,
    "' or 1=1 --",
    '../hidden',
    'hidden/',
    'HIDDEN',
    '*',
    '\u0000',
    runId.slice(8),
    crypto.randomUUID(),
  ])
    expect(await client.refused('inspect_run', { run })).toMatchObject({ code: 'RUN_UNKNOWN' });
  await client.close();
});

test('over the network no variable and no file is read but from a folder of the owner', async () => {
  const home = temporaryHome();
  const { mkdirSync, symlinkSync, writeFileSync } = await import('node:fs');
  const { join } = await import('node:path');
  const folder = join(home.home, 'given');
  mkdirSync(folder);
  writeFileSync(join(folder, 'pass'), 'a-secret-in-the-folder');
  writeFileSync(join(home.home, 'outside'), 'a-secret-outside');
  symlinkSync(join(home.home, 'outside'), join(folder, 'link'));
  const { ann } = await furnish(join(home.home, 'capstan'), { ann: { role: 'operator' } });
  const guarded = await startRelayHttp(join(home.home, 'capstan'), world.url, { limits: { secretFolders: [folder] } });
  const client = await connect('modern', { at: { url: guarded.url, token: ann ?? '' } });
  const { runId } = await client.call('start_workflow', { workflow: 'relay' });
  const send = (note: string) => client.raw('advance_run', { run: runId, event: 'go', payload: { note }, expectedVersion: 99 });
  for (const note of [
    'env:PATH',
    'file:/etc/passwd',
    'file:/proc/self/environ',
    `file:${folder}/../outside`,
    `file:${folder}/link`,
    `file:${folder}/missing`,
    'file:pass',
    `file:${folder}`,
    `file:${home.home}/capstan/key.json`,
  ])
    expect((await send(note)).content[0]?.text).toContain('REFERENCE_REFUSED');
  expect((await send(`file:${folder}/pass`)).content[0]?.text).toContain('RUN_MOVED');
  await client.close();
  await guarded.stop();
  home.remove();
});
