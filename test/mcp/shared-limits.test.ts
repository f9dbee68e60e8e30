/** Two servers on one home: limits are the principal's, wherever he calls; and what is told of a run is told to who may see it. */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyHttp } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createRateGuard } from '../../src/mcp/rates.ts';
import { createRates } from '../../src/store/rates.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { leaseTokens } from '../../src/token-bucket.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { type HttpServer, startRelayHttp } from '../helpers/http-server.ts';
import { connect, type TestClient } from '../helpers/mcp-clients.ts';
import type { RelayHttpOptions } from '../helpers/relay-http-server.ts';
import { furnish } from '../helpers/tokens.ts';

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let servers: HttpServer[];
let ends: (() => Promise<unknown>)[];
beforeEach(async () => {
  place = temporaryHome();
  world = await startWorld();
  servers = [];
  ends = [];
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  await Promise.all(servers.map((server) => server.stop()));
  await world.close();
  place.remove();
});

async function start(options: RelayHttpOptions = {}): Promise<HttpServer> {
  const server = await startRelayHttp(place.home, world.url, options);
  servers.push(server);
  return server;
}

async function as(token: string | undefined, server: HttpServer): Promise<TestClient> {
  const client = await connect('modern', { at: { url: server.url, ...(token === undefined ? {} : { token }) } });
  ends.push(() => client.close());
  return client;
}

test('calls to two servers of one home count together, for each principal and each tool by itself', async () => {
  const tokens = await furnish(place.home, { ann: { role: 'operator' }, bob: { role: 'operator' } });
  const [one, two] = [await start({ perMinute: 30 }), await start({ perMinute: 30 })];
  const clients = [await as(tokens['ann'], one), await as(tokens['ann'], two)];
  const began = Date.now();
  let answered = 0;
  const codes = new Set<string>();
  for (let n = 0; n < 80; n++) {
    const { isError, content } = (await clients[n % 2]?.raw('list_runs', {})) ?? {};
    if (isError) codes.add(JSON.parse(content?.[0]?.text ?? '{}').code);
    else answered += 1;
  }
  const refilled = Math.ceil(((Date.now() - began) * 30) / 60_000);
  expect([...codes]).toEqual(['RATE_LIMITED']);
  expect(answered).toBeGreaterThanOrEqual(28); // a lease of each may be cut off by its end
  expect(answered).toBeLessThanOrEqual(30 + refilled);
  // Another tool and another principal have their own.
  expect(await clients[1]?.raw('list_workflows', {})).not.toHaveProperty('isError', true);
  expect(await (await as(tokens['bob'], two)).raw('list_runs', {})).not.toHaveProperty('isError', true);
});

test('two guards over one store let through what one would, and one whose store fails limits by itself', async () => {
  const desk = await openRelayDesk(place.home, world.url);
  const connection = openDatabase(desk.home.database);
  let at = 1_000_000;
  const now = () => at;
  const shared = async () => createRates(connection, now);
  const tool = {
    name: 'list_runs',
    annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  };
  const passed = async (guards: ReturnType<typeof createRateGuard>[], calls: number) => {
    const took = Array.from({ length: calls }, async (_, n) => guards[n % guards.length]?.take('token:ann', tool));
    return (await Promise.allSettled(took)).filter(({ status }) => status === 'fulfilled').length;
  };
  try {
    const guards = [createRateGuard({ perMinute: 60, now, shared }), createRateGuard({ perMinute: 60, now, shared })];
    expect(await passed(guards, 200)).toBe(60);
    at += 10_000;
    expect(await passed(guards, 50)).toBe(10);
    const broken = async () => ({
      lease: async () => {
        throw new Error('the disk is full');
      },
    });
    expect(await passed([createRateGuard({ perMinute: 60, now, shared: broken })], 200)).toBe(60);
  } finally {
    connection.close();
    desk.close();
  }
});

test('a lease is whole tokens, never credit, and says when there will be one', () => {
  const rate = { perSecond: 2, burst: 10 };
  expect(leaseTokens({ tokens: 10, at: 0 }, rate, 0, 4)).toEqual({ bucket: { tokens: 6, at: 0 }, granted: 4, waitMs: 0 });
  expect(leaseTokens({ tokens: 3.5, at: 0 }, rate, 0, 4)).toEqual({ bucket: { tokens: 0.5, at: 0 }, granted: 3, waitMs: 0 });
  expect(leaseTokens({ tokens: 0.5, at: 0 }, rate, 0, 4)).toMatchObject({ granted: 0, waitMs: 250 });
  expect(leaseTokens({ tokens: 0, at: 0 }, rate, 60_000, 99)).toMatchObject({ granted: 10, bucket: { tokens: 0 } });
  expect(leaseTokens({ tokens: 0, at: 5_000 }, rate, 1_000, 1)).toMatchObject({ granted: 0, bucket: { at: 5_000 } }); // a clock that went back
});

test('a listener hears of runs that he may see, and of no others, though he names them', async () => {
  const tokens = await furnish(place.home, { ann: { role: 'operator' }, bob: { role: 'operator' } });
  const server = await start();
  const ann = await as(tokens['ann'], server);
  const bob = await as(tokens['bob'], server);
  const foreign = String((await ann.call('start_workflow', { workflow: 'relay', name: 'of-ann' }))['resource']);
  const own = String((await bob.call('start_workflow', { workflow: 'relay', name: 'of-bob' }))['resource']);
  const listener = new Client({ name: 'listener', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  const requestInit = { headers: { authorization: `Bearer ${tokens['bob']}` } };
  await listener.connect(new StreamableHTTPClientTransport(new URL(server.url), { requestInit }));
  ends.push(() => listener.close());
  const heard: string[] = [];
  listener.setNotificationHandler('notifications/resources/updated', ({ params }) => {
    heard.push(params.uri);
  });
  const subscription = await listener.listen({ resourceSubscriptions: [foreign, `${foreign}/timeline`, own] });
  ends.push(() => subscription.close());
  await ann.call('advance_run', { run: 'of-ann', event: 'go', waitMs: 20_000 });
  await bob.call('advance_run', { run: 'of-bob', event: 'go', waitMs: 20_000 });
  await expect.poll(() => heard.length, { timeout: 10_000 }).toBeGreaterThan(0);
  expect(new Set(heard)).toEqual(new Set([own]));
  const resumed = String((await ann.call('inspect_run', { run: 'of-ann' })).status);
  expect(resumed).toBe('waiting'); // it did change: there was something to hear
});

test('a run of somebody else can be neither subscribed to nor read as a resource', async () => {
  const tokens = await furnish(place.home, { ann: { role: 'operator' }, bob: { role: 'operator' } });
  const server = await start();
  const foreign = String(
    (await (await as(tokens['ann'], server)).call('start_workflow', { workflow: 'relay', name: 'of-ann' }))['resource'],
  );
  const requestInit = { headers: { authorization: `Bearer ${tokens['bob']}` } };
  const legacy = new LegacyClient({ name: 'bob', version: '1' });
  await legacy.connect(new LegacyHttp(new URL(server.url), { requestInit }));
  ends.push(() => legacy.close());
  const modern = new Client({ name: 'bob', version: '1' }, { versionNegotiation: { mode: 'auto' } });
  await modern.connect(new StreamableHTTPClientTransport(new URL(server.url), { requestInit }));
  ends.push(() => modern.close());
  for (const uri of [foreign, `${foreign}/timeline`, `${foreign}/diagram`, 'capstan://runs/of-ann']) {
    await expect(legacy.subscribeResource({ uri })).rejects.toThrow(/There is no run/);
    await expect(legacy.readResource({ uri })).rejects.toThrow(/RUN_UNKNOWN/);
    await expect(modern.readResource({ uri })).rejects.toThrow(/RUN_UNKNOWN/);
  }
});
