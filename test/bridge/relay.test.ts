/** The relay's own text as a process of its own: what it lets through, and what not. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { networkOf } from '../../src/effects/bridge/network.ts';
import { relayCompose, relayProtocol, relaySource, relayTimeHeader } from '../../src/effects/bridge/relay.ts';
import { makeBridgeKeys, signToken } from '../../src/effects/bridge/token.ts';
import { createRelayBox, type Relay, relayHost } from '../helpers/relay-box.ts';

const box = createRelayBox();
afterEach(box.endAll);

const upgrade = (authorization: string | undefined, protocol: string = relayProtocol) =>
  Buffer.from(
    `GET / HTTP/1.1\r\nhost: ${relayHost}\r\nconnection: Upgrade\r\nupgrade: ${protocol}\r\n${authorization === undefined ? '' : `authorization: ${authorization}\r\n`}\r\n`,
  );

/** Sends bytes as they are; the status of the answer, its head, and the stream where it was switched. */
async function send(port: number, bytes: Buffer): Promise<{ status: number; head: string; socket: Socket }> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  let head = '';
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]; // a socket without encoding gives buffers
    head += chunk.toString('latin1');
    if (head.includes('\r\n\r\n')) return { status: Number(head.split(' ')[1]), head, socket };
  }
}
const bearer = ({ privateKey, host }: Pick<Relay, 'privateKey' | 'host'>, at = Date.now()) => `Bearer ${signToken(privateKey, host, at)}`;
const ask = (relay: Relay, at?: number) => send(relay.port, upgrade(bearer(relay, at)));

test('bytes go both ways for whoever signs with its key, and for nobody else', async () => {
  const { to, sockets } = await box.echo();
  const relay = await box.startRelay(to);
  const [scheme = '', token = ''] = bearer(relay).split(' ');
  const [body = '', signature = ''] = token.split('.');
  const later = { ...JSON.parse(Buffer.from(body, 'base64url').toString()), nonce: 'another' };
  const altered = `${Buffer.from(JSON.stringify(later)).toString('base64url')}.${signature}`;
  const refused = {
    none: undefined,
    empty: '',
    'no scheme': token,
    'another scheme': `Basic ${token}`,
    'the public half of nothing': 'Bearer a.b',
    'no signature': `${scheme} ${body}`,
    'an empty signature': `${scheme} ${body}.`,
    'a third part': `${scheme} ${token}.${signature}`,
    'an altered body': `${scheme} ${altered}`,
    'an altered signature': `${scheme} ${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    'a foreign key': bearer({ ...relay, privateKey: makeBridgeKeys().privateKey }),
    'the name of another bridge': bearer({ ...relay, host: 'other.relay.test' }),
  };
  for (const [what, authorization] of Object.entries(refused)) {
    const { status, head } = await send(relay.port, upgrade(authorization));
    expect({ what, status, told: head.includes(relayTimeHeader) }).toEqual({ what, status: 401, told: false });
  }
  expect((await send(relay.port, upgrade(bearer(relay), 'websocket'))).status).toBe(400);
  expect(sockets).toHaveLength(0);
  const { status, socket } = await ask(relay);
  expect(status).toBe(101);
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 256));
  let back = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    back = Buffer.concat([back, chunk]);
  });
  socket.write(bytes);
  await expect.poll(() => back.length).toBe(bytes.length);
  expect(back.equals(bytes)).toBe(true);
  socket.destroy();
  await expect.poll(() => sockets.every(({ destroyed }) => destroyed)).toBe(true);
});

test('what was recorded opens nothing again: not beside the stream, not after it, and not at a relay that was started anew', async () => {
  const { to, sockets } = await box.echo();
  const keys = makeBridgeKeys();
  const relay = await box.startRelay(to, { keys });
  const recorded = upgrade(bearer(relay));
  const first = await send(relay.port, recorded);
  expect(first.status).toBe(101);
  expect((await send(relay.port, recorded)).status).toBe(409);
  first.socket.destroy();
  await expect.poll(() => sockets.every(({ destroyed }) => destroyed)).toBe(true);
  expect((await send(relay.port, recorded)).status).toBe(409);
  const again = await box.startRelay(to, { keys });
  expect((await send(again.port, recorded)).status).toBe(401);
  expect((await ask(again)).status).toBe(101);
  await expect.poll(() => sockets.length).toBe(2);
});

test('a token of another time is refused with the time there, and one signed by that time is taken', async () => {
  const { to, sockets } = await box.echo();
  const relay = await box.startRelay(to);
  for (const at of [Date.now() - 3_600_000, Date.now() - 61_000, Date.now() + 61_500, Date.now() + 3_600_000]) {
    const { status, head } = await ask(relay, at);
    expect(status).toBe(401);
    const there = Number(new RegExp(`${relayTimeHeader}: (\\d+)`).exec(head)?.[1]);
    expect(Math.abs(there - Date.now())).toBeLessThan(1_000);
    expect((await ask(relay, there)).status).toBe(101);
  }
  await expect.poll(() => sockets.length).toBe(4);
});

test('eight sessions at most, a database that is not there is said, and a plain request gets nothing', async () => {
  const { to } = await box.echo();
  const relay = await box.startRelay(to);
  const held = await Promise.all(Array.from({ length: 8 }, () => ask(relay)));
  expect(held.map(({ status }) => status)).toEqual(Array(8).fill(101));
  expect((await ask(relay)).status).toBe(429);
  held[0]?.socket.destroy();
  await expect.poll(async () => (await ask(relay)).status).toBe(101);
  expect((await fetch(`http://127.0.0.1:${relay.port}/`)).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${relay.port}/health`)).status).toBe(200);
  const nowhere = await box.startRelay('127.0.0.1:1');
  expect((await ask(nowhere)).status).toBe(424);
});

test('what it remembers is bounded: with 4096 tokens that have not expired nothing further is let in', async () => {
  const relay = await box.startRelay('127.0.0.1:1');
  const statuses = new Map<number, number>();
  const askEighth = async () => {
    for (let asked = 0; asked < 4_096 / 8; asked += 1) {
      const { status, socket } = await ask(relay);
      socket.destroy();
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 8 }, askEighth));
  expect([...statuses.values()].reduce((sum, count) => sum + count, 0)).toBe(4_096);
  expect(statuses.get(424)).toBeGreaterThan(2_000);
  expect((await ask(relay)).status).toBe(429);
  expect((await ask(relay, Date.now() - 3_600_000)).head).toContain(relayTimeHeader);
}, 30_000);

test('it ends by itself at its hour', async () => {
  const { to } = await box.echo();
  const { child } = await box.startRelay(to, { until: Date.now() + 700 });
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
});

test('what is deployed runs without root, rights, files and ports, and holds the public key only', () => {
  const { publicKey, privateKey } = makeBridgeKeys();
  const text = relayCompose({ network: 'shop_default', host: relayHost, publicKey, until: 1, databasePort: 5432 });
  const { services, networks } = parse(text);
  expect(Object.keys(services)).toEqual(['bridge']);
  expect(services.bridge).toMatchObject({
    user: '65534:65534',
    read_only: true,
    cap_drop: ['ALL'],
    security_opt: ['no-new-privileges:true'],
    networks: ['target'],
    command: ['node', '-e', relaySource],
  });
  expect(Object.keys(services.bridge)).not.toEqual(expect.arrayContaining(['ports']));
  expect(Object.keys(services.bridge)).not.toEqual(expect.arrayContaining(['volumes']));
  expect(networks).toEqual({ target: { external: true, name: 'shop_default' } });
  expect(text).not.toMatch(/[$`]/);
  expect(text).toContain(publicKey);
  expect(text).not.toContain(privateKey);
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
