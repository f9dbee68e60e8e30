/** The relay's own text as a process of its own, as the stock node image runs it: what it lets through, and what not. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { networkOf } from '../../src/effects/bridge/network.ts';
import { relayCompose, relaySource } from '../../src/effects/bridge/relay.ts';

const token = 'a-token-of-this-test';
const children: ChildProcess[] = [];
const servers: Server[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null) continue;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
  for (const server of servers.splice(0)) server.close();
});

async function startRelay(to: string, until = Date.now() + 60_000): Promise<{ port: number; child: ChildProcess }> {
  const { command, environment } = parse(
    relayCompose({ network: 'n', tokenSha256: createHash('sha256').update(token).digest('hex'), until, databasePort: 5432 }),
  ).services.bridge;
  expect(command).toEqual(['node', '-e', relaySource]);
  const child = spawn(process.execPath, command.slice(1), {
    env: { ...environment, TO: to, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return { port: Number(String(line).split(' ')[1]), child };
}

async function echo(): Promise<{ to: string; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  return { to: `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, sockets };
}

/** The status of the answer, and the stream where it was switched. */
function ask(port: number, headers: Record<string, string>): Promise<{ status: number; socket?: Socket }> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1',
      port,
      headers: { connection: 'Upgrade', upgrade: 'capstan-bridge', ...headers },
      agent: false,
    });
    request.on('upgrade', ({ statusCode }, socket) => resolve({ status: statusCode ?? 0, socket: socket as Socket })); // over TCP it is one
    request.on('response', (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode ?? 0 });
    });
    request.on('error', reject);
    request.end();
  });
}
const right = { authorization: `Bearer ${token}` };

test('bytes go both ways for whoever knows the token, and for nobody else', async () => {
  const { to, sockets } = await echo();
  const { port } = await startRelay(to);
  for (const headers of [{}, { authorization: 'Bearer wrong' }, { authorization: `Basic ${token}` }, { authorization: '' }])
    expect((await ask(port, headers as Record<string, string>)).status).toBe(401);
  expect((await ask(port, { ...right, upgrade: 'websocket' })).status).toBe(400);
  expect(sockets).toHaveLength(0);
  const { status, socket } = await ask(port, right);
  expect(status).toBe(101);
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 256));
  let back = Buffer.alloc(0);
  socket?.on('data', (chunk: Buffer) => {
    back = Buffer.concat([back, chunk]);
  });
  socket?.write(bytes);
  await expect.poll(() => back.length).toBe(bytes.length);
  expect(back.equals(bytes)).toBe(true);
  socket?.destroy();
  await expect.poll(() => sockets.every(({ destroyed }) => destroyed)).toBe(true);
});

test('eight sessions at most, a database that is not there is said, and a plain request gets nothing', async () => {
  const { to } = await echo();
  const { port } = await startRelay(to);
  const held = await Promise.all(Array.from({ length: 8 }, () => ask(port, right)));
  expect(held.map(({ status }) => status)).toEqual(Array(8).fill(101));
  expect((await ask(port, right)).status).toBe(503);
  held[0]?.socket?.destroy();
  await expect.poll(async () => (await ask(port, right)).status).toBe(101);
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200);
  const nowhere = await startRelay('127.0.0.1:1');
  expect((await ask(nowhere.port, right)).status).toBe(502);
});

test('it ends by itself at its hour', async () => {
  const { to } = await echo();
  const { child } = await startRelay(to, Date.now() + 700);
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
});

test('what is deployed runs without root, rights, files and ports, and holds no token', () => {
  const text = relayCompose({ network: 'shop_default', tokenSha256: 'f'.repeat(64), until: 1, databasePort: 5432 });
  const { services, networks } = parse(text);
  expect(Object.keys(services)).toEqual(['bridge']);
  expect(services.bridge).toMatchObject({
    user: '65534:65534',
    read_only: true,
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    networks: ['target'],
  });
  expect(Object.keys(services.bridge)).not.toEqual(expect.arrayContaining(['ports']));
  expect(Object.keys(services.bridge)).not.toEqual(expect.arrayContaining(['volumes']));
  expect(networks).toEqual({ target: { external: true, name: 'shop_default' } });
  expect(text).not.toContain('$');
  expect(text).not.toContain(token);
});

describe('the network of the database', () => {
  test.each([
    ['services: { db: {} }', 'shop_default'],
    ['services: { db: { networks: [inner] } }\nnetworks: { inner: {} }', 'shop_inner'],
    ['services: { db: { networks: { inner: { aliases: [x] } } } }\nnetworks: { inner: { name: named } }', 'named'],
    ['services: { db: { networks: [dokploy-network] } }\nnetworks: { dokploy-network: { external: true } }', 'dokploy-network'],
    ['services: { db: { networks: [a, b] } }\nnetworks: { a: { external: true, name: other }, b: {} }', 'other'],
  ])('of %s is %s', (text, network) => {
    expect(networkOf(text, 'shop')).toBe(network);
  });
  test.each(['services: { web: {} }', 'services: { db: { network_mode: host } }', 'x: [', ''])('of %s cannot be told', (text) => {
    expect(() => networkOf(text, 'shop')).toThrowError(expect.objectContaining({ code: 'BRIDGE_NETWORK_UNKNOWN' }));
  });
});
