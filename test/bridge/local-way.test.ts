/** A bridge as a unix socket of this machine, against the real relay behind TLS. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type LocalWay, openLocalWay } from '../../src/effects/bridge/local-way.ts';
import { createRelayBox } from '../helpers/relay-box.ts';

const box = createRelayBox();
const ways: LocalWay[] = [];
afterEach(async () => {
  for (const way of ways.splice(0)) await way.close();
  await box.endAll();
});

async function standing() {
  const { to, sockets } = await box.echo();
  const { port, privateKey, child } = await box.startRelay(to);
  const { url, reach } = await box.behindTls(port);
  const way = await openLocalWay({ url, privateKey }, reach);
  ways.push(way);
  return { way, child, sockets };
}
const socketOf = ({ host, port }: LocalWay) => join(host, `.s.PGSQL.${port}`);

async function stream(way: LocalWay): Promise<Socket> {
  const socket = connect(socketOf(way));
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}
async function said(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [chunk] = await once(socket, 'data');
  return String(chunk);
}

test('each connection is one stream, in a folder that only this user may enter, and all of it ends with the way', async () => {
  const { way, sockets } = await standing();
  expect(statSync(way.host).mode & 0o777).toBe(0o700);
  expect(sockets).toHaveLength(0);
  const [one, two] = [await stream(way), await stream(way)];
  expect(await Promise.all([said(one, 'one'), said(two, 'two')])).toEqual(['one', 'two']);
  one.end();
  await once(one, 'close');
  await expect.poll(() => sockets.filter(({ destroyed }) => destroyed)).toHaveLength(1);
  expect(await said(two, 'still')).toBe('still');
  expect(await way.whyBroken()).toBeUndefined();
  const ended = once(two, 'close');
  await way.close();
  await ended;
  await expect.poll(() => sockets.every(({ destroyed }) => destroyed)).toBe(true);
  expect(existsSync(way.host)).toBe(false);
  await way.close();
});

test('what the database ended is no fault of the bridge', async () => {
  const { way, sockets } = await standing();
  const one = await stream(way);
  await said(one, 'one');
  sockets[0]?.destroy();
  await once(one, 'close');
  expect(await way.whyBroken()).toBeUndefined();
});

test('a relay that dies in the middle is told as that, and what it did is in doubt', async () => {
  const { way, child } = await standing();
  const one = await stream(way);
  await said(one, 'one');
  child.kill('SIGKILL');
  await once(one, 'close');
  expect(await way.whyBroken()).toMatchObject({ code: 'BRIDGE_BROKE_OFF', retry: 'later', applied: 'unknown' });
});

test('a relay that is not there is told by its own code, and nothing is in doubt', async () => {
  const { way, child } = await standing();
  child.kill('SIGKILL');
  await once(child, 'exit');
  const one = await stream(way);
  await once(one, 'close');
  expect(await way.whyBroken()).toMatchObject({ code: 'CONNECTION_RESET', applied: 'no' });
});

test('what a killed process left is removed by the next one, and what another one uses is not', async () => {
  const { way } = await standing();
  const left = mkdtempSync(join(tmpdir(), 'capstan-bridge-'));
  const listens = `require('node:net').createServer().listen(${JSON.stringify(join(left, '.s.PGSQL.5432'))}, () => console.log('up'))`;
  const child = spawn(process.execPath, ['-e', listens], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const beside = await standing();
  expect([left, way.host, beside.way.host].map((path) => existsSync(path))).toEqual([true, true, true]);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(existsSync(left)).toBe(true);
  await standing();
  expect([left, way.host, beside.way.host].map((path) => existsSync(path))).toEqual([false, true, true]);
});
