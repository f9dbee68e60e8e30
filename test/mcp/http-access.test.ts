/** Who may do what over HTTP: judged by what a client of that token gets, and by the world that runs change. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { type HttpServer, startRelayHttp } from '../helpers/http-server.ts';
import { connect, type Era, eras, type PersonAnswers, type TestClient } from '../helpers/mcp-clients.ts';
import type { RelayHttpOptions } from '../helpers/relay-http-server.ts';
import { furnish } from '../helpers/tokens.ts';

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let server: HttpServer;
let clients: TestClient[];
let tokens: Record<string, string>;
beforeEach(async () => {
  place = temporaryHome();
  world = await startWorld();
  clients = [];
});
afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await server.stop();
  await world.close();
  place.remove();
});

async function start(people: Parameters<typeof furnish>[1], targets: Record<string, string[]> = {}, options: RelayHttpOptions = {}) {
  tokens = await furnish(place.home, people, targets);
  server = await startRelayHttp(place.home, world.url, options);
}

async function as(name: string, { era = 'modern', person }: { era?: Era; person?: (message: string) => PersonAnswers } = {}) {
  const client = await connect(era, { at: { url: server.url, token: tokens[name] ?? name }, ...(person ? { person } : {}) });
  clients.push(client);
  return client;
}

const sealed = () => world.state().journal.filter((entry) => entry.name === 'seal').length;
const namesIn = async (client: TestClient) => {
  const { runs } = (await client.raw('list_runs', {})).structuredContent ?? {};
  return Array.isArray(runs) ? runs.map((run: { name: string }) => run.name) : [];
};
const everyone = { ann: { role: 'operator' }, bob: { role: 'operator' }, vera: { role: 'viewer' }, app: { role: 'approver' } } as const;

test.each(eras)('a run belongs to the token that started it: for another operator it does not exist (%s)', async (era) => {
  await start(everyone);
  const ann = await as('ann', { era });
  const { runId } = await ann.call('start_workflow', { workflow: 'relay', name: 'mine' });
  const bob = await as('bob', { era });
  for (const run of [runId, 'mine', runId.slice(0, 10)]) {
    for (const [tool, more] of [
      ['inspect_run', {}],
      ['inspect_run', { view: 'timeline' }],
      ['inspect_run', { view: 'effects' }],
      ['inspect_run', { view: 'plan' }],
      ['advance_run', { event: 'go' }],
      ['rollback_run', { to: 0, dryRun: true }],
      ['rollback_run', { to: 0 }],
      ['cancel_run', {}],
    ] as const) {
      const refusal = await bob.refused(tool, { run, ...more });
      expect(refusal).toMatchObject({ code: 'RUN_UNKNOWN' });
      expect(JSON.stringify(refusal)).not.toContain(run === runId ? 'mine' : runId);
    }
  }
  expect(await namesIn(bob)).toEqual([]);
  expect(await namesIn(ann)).toEqual(['mine']);
  expect(await ann.call('inspect_run', { run: 'mine' })).toMatchObject({ version: 1, status: 'waiting' });
});

test('whom a run waits for is told by name only to those who may see that run', async () => {
  await start(everyone);
  const [ann, bob] = [await as('ann'), await as('bob')];
  await ann.call('start_workflow', { workflow: 'relay', name: 'mine', input: { lock: 'world' } });
  await ann.call('advance_run', { run: 'mine', event: 'go' });
  await expect.poll(async () => (await ann.call('inspect_run', { run: 'mine', waitMs: 1_000 })).state).toBe('resting');
  await bob.call('start_workflow', { workflow: 'relay', name: 'other', input: { lock: 'world' } });
  await bob.call('advance_run', { run: 'other', event: 'go' });
  await expect.poll(async () => (await bob.call('inspect_run', { run: 'other' })).status).toBe('blocked');
  const seen = await bob.call('inspect_run', { run: 'other' });
  expect(seen.next.say).toContain('another run holds world');
  expect(JSON.stringify(seen)).not.toContain('mine');
});

test('names and request keys of different tokens do not meet', async () => {
  await start(everyone);
  const [ann, bob] = [await as('ann'), await as('bob')];
  const one = await ann.call('start_workflow', { workflow: 'relay', name: 'same', requestKey: 'k' });
  const two = await bob.call('start_workflow', { workflow: 'relay', name: 'same', requestKey: 'k' });
  expect(two.runId).not.toBe(one.runId);
  expect(two.replayed).toBeUndefined();
  expect(await ann.call('inspect_run', { run: 'same' })).toMatchObject({ runId: one.runId });
  expect(await bob.call('inspect_run', { run: 'same' })).toMatchObject({ runId: two.runId });
});

test('a shared run is seen and moved by whom it is shared with, and by nobody else', async () => {
  await start(everyone);
  const { runId } = await (await as('ann')).call('start_workflow', { workflow: 'relay', name: 'ours' });
  const desk = await openRelayDesk(place.home, world.url);
  await desk.runAccess.share(runId, 'token:bob');
  desk.close();
  expect(await (await as('bob')).call('advance_run', { run: 'ours', event: 'go', waitMs: 20_000 })).toMatchObject({ state: 'resting' });
  expect(await (await as('vera')).refused('inspect_run', { run: 'ours' })).toMatchObject({ code: 'RUN_UNKNOWN' });
});

test('a viewer looks and changes nothing', async () => {
  await start(everyone);
  const { runId } = await (await as('ann')).call('start_workflow', { workflow: 'relay' });
  const desk = await openRelayDesk(place.home, world.url);
  await desk.runAccess.share(runId, '*');
  desk.close();
  const vera = await as('vera');
  expect(await vera.call('inspect_run', { run: runId })).toMatchObject({ status: 'waiting' });
  for (const [tool, args] of [
    ['start_workflow', { workflow: 'relay' }],
    ['advance_run', { run: runId, event: 'go' }],
    ['rollback_run', { run: runId, to: 0 }],
    ['cancel_run', { run: runId }],
  ] as const)
    expect(await vera.refused(tool, args)).toMatchObject({ code: 'READ_ONLY' });
  expect(world.state().journal).toEqual([]);
  expect(await vera.call('inspect_run', { run: runId })).toMatchObject({ version: 1 });
});

test.each(eras)("an operator's own client is not asked; an approver answers for the same event (%s)", async (era) => {
  await start(everyone);
  let asked = 0;
  const person = () => {
    asked += 1;
    return 'accept' as const;
  };
  const ann = await as('ann', { era, person });
  const { runId } = await ann.call('start_workflow', { workflow: 'relay', name: 'seal-it' });
  await ann.call('advance_run', { run: runId, event: 'go', waitMs: 20_000 });
  const waits = await ann.call('advance_run', { run: runId, event: 'finish', requestKey: 'f' });
  expect(waits).toMatchObject({ state: 'resting', status: 'waiting', next: { who: 'human' } });
  expect([asked, sealed()]).toEqual([0, 0]);
  const app = await as('app', { era, person });
  expect(await app.call('advance_run', { run: 'seal-it', event: 'finish', waitMs: 20_000 })).toMatchObject({ status: 'done' });
  expect([asked, sealed()]).toEqual([1, 1]);
  expect(await ann.call('advance_run', { run: runId, event: 'finish', requestKey: 'f' })).toMatchObject({ status: 'done', replayed: true });
  const desk = await openRelayDesk(place.home, world.url);
  expect((await desk.store.approvals(runId)).at(-1)).toMatchObject({
    requestedBy: 'token:ann',
    grantedBy: 'token:app',
    level: 'client-vouched',
  });
  desk.close();
});

test('on a production target no client answers: only a seal does', async () => {
  await start({ app: { role: 'approver' } }, { prod: ['production'] });
  const app = await as('app', { person: () => 'accept' });
  const { runId } = await app.call('start_workflow', { workflow: 'relay', input: { lock: 'prod' } });
  await app.call('advance_run', { run: runId, event: 'go', waitMs: 20_000 });
  expect(await app.call('advance_run', { run: runId, event: 'finish' })).toMatchObject({ state: 'resting', next: { who: 'human' } });
  expect(sealed()).toBe(0);
});

test('where the owner takes no seals for production, the approver is still not the starter', async () => {
  await start({ app: { role: 'approver' }, second: { role: 'approver' } }, { prod: ['production'] }, { sealedTags: [] });
  const person = () => 'accept' as const;
  const app = await as('app', { person });
  const { runId } = await app.call('start_workflow', { workflow: 'relay', input: { lock: 'prod' } });
  await app.call('advance_run', { run: runId, event: 'go', waitMs: 20_000 });
  const own = await app.call('advance_run', { run: runId, event: 'finish' });
  expect(own).toMatchObject({ state: 'resting', next: { who: 'human', say: expect.stringContaining('somebody else') } });
  expect(sealed()).toBe(0);
  const second = await as('second', { person });
  expect(await second.call('advance_run', { run: runId, event: 'finish', waitMs: 20_000 })).toMatchObject({ status: 'done' });
  expect(sealed()).toBe(1);
});

test('a token for some targets sees those, runs about those, and starts nothing elsewhere', async () => {
  await start({ ann: { role: 'operator', targets: ['a'] }, app: { role: 'approver', targets: ['b'] } }, { a: [], b: [] });
  const ann = await as('ann');
  expect((await ann.raw('list_targets', {})).structuredContent).toMatchObject({ targets: [{ name: 'a' }], dokploys: [] });
  const { runId } = await ann.call('start_workflow', { workflow: 'relay', input: { lock: 'a' }, name: 'about-a' });
  for (const input of [{ lock: 'b' }, {}]) {
    expect(await ann.refused('start_workflow', { workflow: 'relay', input })).toMatchObject({ code: 'TARGET_OUT_OF_REACH' });
  }
  for (const target of ['b', 'never-heard-of']) {
    expect(await ann.refused('diagnose_target', { target })).toMatchObject({ code: 'TARGET_OUT_OF_REACH' });
  }
  expect(await ann.refused('advance_run', { run: runId, event: 'go', payload: { note: 'b' } })).toMatchObject({
    code: 'TARGET_OUT_OF_REACH',
  });
  const app = await as('app');
  expect(await app.refused('inspect_run', { run: runId })).toMatchObject({ code: 'RUN_UNKNOWN' });
  expect(await namesIn(app)).toEqual([]);
  expect(await namesIn(ann)).toEqual(['about-a']);
});

test.each([
  ['no token', undefined],
  ['another word than Bearer', 'Basic abc'],
  ['nonsense', 'Bearer nonsense'],
  ['a token that was never made', `Bearer capstan_${'0'.repeat(12)}_${'A'.repeat(43)}`],
  ['a token with another secret', 'right id'],
  ['a revoked token', 'revoked'],
  ['an expired token', 'expired'],
  ['two tokens', 'two'],
])('%s is not let in, and all are told the same', async (_what, header) => {
  await start({ ann: { role: 'operator' }, gone: { role: 'operator' }, old: { role: 'operator', expiresAt: Date.now() - 1 } });
  const desk = await openRelayDesk(place.home, world.url);
  await desk.tokens.revoke('gone');
  desk.close();
  const made: Record<string, string> = {
    'right id': `Bearer ${tokens['ann']?.slice(0, -1)}${tokens['ann']?.endsWith('A') ? 'B' : 'A'}`,
    revoked: `Bearer ${tokens['gone']}`,
    expired: `Bearer ${tokens['old']}`,
    two: `Bearer ${tokens['ann']}, Bearer ${tokens['ann']}`,
  };
  const authorization = header === undefined ? undefined : (made[header] ?? header);
  for (const path of ['/mcp', '/metrics']) {
    const answer = await fetch(`${server.base}${path}`, {
      method: path === '/mcp' ? 'POST' : 'GET',
      headers: { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) },
      ...(path === '/mcp' ? { body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }) } : {}),
    });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    expect(await answer.json()).toEqual({ jsonrpc: '2.0', error: { code: -32_001, message: 'A valid bearer token is needed.' }, id: null });
  }
});

test('a session of one token is none of another: it cannot be read, used or ended', async () => {
  await start(everyone);
  const send = (name: string, body: object | undefined, session?: string, method = 'POST') =>
    fetch(server.url, {
      method,
      headers: {
        authorization: `Bearer ${tokens[name]}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(session === undefined ? {} : { 'mcp-session-id': session }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify({ jsonrpc: '2.0', ...body }) }),
    });
  const hello = {
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
  };
  const session = (await send('ann', hello)).headers.get('mcp-session-id') ?? '';
  expect(session).toMatch(/^[0-9a-f-]{36}$/);
  for (const answer of [
    await send('bob', { id: 2, method: 'tools/list' }, session),
    await send('bob', undefined, session, 'GET'),
    await send('bob', undefined, session, 'DELETE'),
    await send('ann', { id: 2, method: 'tools/list' }, crypto.randomUUID()),
  ])
    expect(answer.status).toBe(404);
  expect((await send('ann', { id: 3, method: 'tools/list' }, session)).status).toBe(200);
});

test('a token that is revoked is worth nothing from then on, in open sessions too', async () => {
  await start(everyone);
  const ann = await as('ann', { era: 'legacy' });
  await ann.call('start_workflow', { workflow: 'relay' });
  const desk = await openRelayDesk(place.home, world.url);
  await desk.tokens.revoke('ann');
  desk.close();
  await expect(ann.raw('list_runs', {})).rejects.toThrow();
});

test('one who calls too often is told so, by tool; others and other tools go on', async () => {
  await start(everyone, {}, { perMinute: 3 });
  const [ann, bob] = [await as('ann'), await as('bob')];
  for (let n = 0; n < 3; n++) await ann.raw('list_runs', {});
  expect(await ann.refused('list_runs', {})).toMatchObject({ code: 'RATE_LIMITED', details: { waitMs: expect.any(Number) } });
  expect((await ann.raw('list_workflows', {})).isError).toBeUndefined();
  expect((await bob.raw('list_runs', {})).isError).toBeUndefined();
});
