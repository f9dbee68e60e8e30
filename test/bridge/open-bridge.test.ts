/** The near end of a bridge against the real relay behind TLS: its tokens, and clocks that differ. */
import { afterEach, expect, test } from 'vitest';
import { openBridge } from '../../src/effects/bridge/open-bridge.ts';
import { makeBridgeKeys } from '../../src/effects/bridge/token.ts';
import { errorOf } from '../helpers/dokploy-lab.ts';
import { createRelayBox } from '../helpers/relay-box.ts';

const box = createRelayBox();
afterEach(box.endAll);

async function standing(keys = makeBridgeKeys()) {
  const { to, sockets } = await box.echo();
  const { port, privateKey } = await box.startRelay(to, { keys });
  const { url, reach, record } = await box.behindTls(port);
  return { way: { url, privateKey }, reach, record, sockets };
}
const tokensIn = (record: readonly Buffer[]) => record.map((bytes) => /Bearer (\S+)/.exec(bytes.toString('latin1'))?.[1]);

test('each stream has a token of its own', async () => {
  const { way, reach, record, sockets } = await standing();
  const streams = [await openBridge(way, reach), await openBridge(way, reach)];
  await expect.poll(() => sockets.length).toBe(2);
  expect(new Set(tokensIn(record)).size).toBe(2);
  for (const stream of streams) stream.destroy();
});

test.each([-9 * 60_000, 9 * 60_000])('a clock that is %i ms off is made up for', async (offMs) => {
  const { way, reach, record, sockets } = await standing();
  const stream = await openBridge(way, reach, () => Date.now() + offMs);
  await expect.poll(() => ({ streams: sockets.length, asked: record.length })).toEqual({ streams: 1, asked: 2 });
  stream.destroy();
});

test.each([
  [-11 * 60_000, 'ahead of'],
  [11 * 60_000, 'behind'],
])('a clock that is %i ms off is said', async (offMs, words) => {
  const { way, reach, sockets } = await standing();
  const error = await errorOf(openBridge(way, reach, () => Date.now() + offMs));
  expect(error).toMatchObject({ code: 'BRIDGE_CLOCKS_APART', message: expect.stringMatching(new RegExp(`6(59|60|61) seconds ${words}`)) });
  expect(sockets).toHaveLength(0);
});

test('another key is refused, and the ninth stream is told that eight stand', async () => {
  const { way, reach, sockets } = await standing();
  const foreign = { ...way, privateKey: makeBridgeKeys().privateKey };
  expect(await errorOf(openBridge(foreign, reach))).toMatchObject({ code: 'BRIDGE_TOKEN_REFUSED' });
  const streams = await Promise.all(Array.from({ length: 8 }, () => openBridge(way, reach)));
  expect(await errorOf(openBridge(way, reach))).toMatchObject({ code: 'BRIDGE_BUSY', retry: 'later' });
  for (const stream of streams) stream.destroy();
  await expect.poll(() => sockets.length).toBe(8);
});

test('nothing is sent to an address without https', async () => {
  expect(await errorOf(openBridge({ url: 'http://bridge.relay.test', privateKey: '' }, {}))).toMatchObject({ code: 'BRIDGE_NOT_SECURE' });
});
