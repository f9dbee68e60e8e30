/** engine.md A2: an agent's token counts only where the owner switched it on, once, for what was asked, and never for production. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { type HttpServer, startRelayHttp } from '../helpers/http-server.ts';
import { connect, type Era, eras, type TestClient, type View } from '../helpers/mcp-clients.ts';
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

async function start(options: RelayHttpOptions = { approvalTokens: true }, targets: Record<string, string[]> = {}) {
  const people = { ann: { role: 'operator' }, app: { role: 'approver' }, eve: { role: 'approver' }, vera: { role: 'viewer' } } as const;
  tokens = await furnish(place.home, people, targets);
  server = await startRelayHttp(place.home, world.url, options);
}

async function as(name: string, era: Era = 'modern') {
  const client = await connect(era, { at: { url: server.url, token: tokens[name] ?? name } });
  clients.push(client);
  return client;
}

const sealed = () => world.state().journal.filter((entry) => entry.name === 'seal').length;

/** A run that rests where `finish` needs a person, as this client is told after it asked. */
async function asked(client: TestClient, name: string, input: Record<string, unknown> = {}): Promise<View> {
  await client.call('start_workflow', { workflow: 'relay', name, input });
  await client.call('advance_run', { run: name, event: 'go', waitMs: 20_000 });
  return client.call('advance_run', { run: name, event: 'finish' });
}

function tokenIn(view: View): string {
  const call = view.next['call'] as { tool: string; arguments: { run: string; token: string } } | undefined;
  expect(call?.tool).toBe('approve_run');
  expect(view.next.who).toBe('human');
  return call?.arguments.token ?? '';
}

async function audited(): Promise<{ principal: string; level: string | null; action: string; outcome: string }[]> {
  const { audit } = await import('../../src/store/sqlite/schema.ts');
  const { openDatabase } = await import('../../src/store/sqlite/database.ts');
  const connection = openDatabase(join(place.home, 'capstan.db'));
  const rows = await connection.read((db) => db.select().from(audit).all());
  connection.close();
  return rows
    .filter((row) => row.level === 'agent-vouched')
    .map(({ principal, level, action, outcome }) => ({ principal, level, action, outcome }));
}

test.each(eras)('switched on, the token approves what was asked, once, and the audit names the lowest level (%s)', async (era) => {
  await start();
  const app = await as('app', era);
  expect((await app.tools()).at(-2)?.name).toBe('approve_run'); // the last one is the test's own
  const waits = await asked(app, 'shop');
  const token = tokenIn(waits);
  expect(waits.next.say).toContain('agent-vouched');
  const done = await app.call('approve_run', { run: 'shop', token, waitMs: 20_000 });
  expect(done).toMatchObject({ status: 'done', approvedAs: { level: 'agent-vouched' } });
  expect(sealed()).toBe(1);
  expect(await app.refused('approve_run', { run: 'shop', token })).toMatchObject({ code: 'APPROVAL_STALE' });
  expect(sealed()).toBe(1);
  expect(await audited()).toEqual([
    { principal: 'token:app', level: 'agent-vouched', action: 'approve advance finish', outcome: 'accepted' },
    { principal: 'token:app', level: 'agent-vouched', action: expect.stringMatching(/^approve /), outcome: 'APPROVAL_STALE' },
  ]);
});

test('not switched on, there is no tool and no token, and the engine takes none', async () => {
  await start({});
  const app = await as('app');
  expect((await app.tools()).map(({ name }) => name)).not.toContain('approve_run');
  const { runId, next } = await asked(app, 'shop');
  expect(JSON.stringify(next)).not.toMatch(/yes_|approve_run/);
  const [open, closed] = await Promise.all(
    [true, false].map((on) => openRelayDesk(place.home, world.url, undefined, undefined, undefined, on)),
  );
  try {
    const [row] = (await open?.engine.pendingApprovals(runId)) ?? [];
    const token = (await open?.engine.approvalToken(row?.id ?? '', 'token:app')) ?? '';
    expect(token).toMatch(/^yes_/);
    expect(await closed?.engine.approvalToken(row?.id ?? '', 'token:app')).toBeUndefined();
    const by = { principal: 'token:app', door: 'mcp-http', level: 'agent-vouched' as const, vouch: { token, run: runId } };
    await expect(closed?.engine.approve(row?.id ?? '', by)).rejects.toMatchObject({ code: 'APPROVAL_TOKENS_OFF' });
  } finally {
    open?.close();
    closed?.close();
  }
  expect(sealed()).toBe(0);
});

test('a token that was granted before the owner switched tokens off allows nothing any more', async () => {
  await start();
  const { runId } = await asked(await as('app'), 'shop');
  const [open, closed] = await Promise.all(
    [true, false].map((on) => openRelayDesk(place.home, world.url, undefined, undefined, undefined, on)),
  );
  try {
    const [row] = (await open?.engine.pendingApprovals(runId)) ?? [];
    if (!open || !closed || !row) throw new Error('no desk or no request');
    const token = (await open.engine.approvalToken(row.id, 'token:app')) ?? '';
    const { createApprovals } = await import('../../src/engine/approvals.ts');
    const { createCrypto } = await import('../../src/store/crypto.ts');
    const { openKey, prepareHome } = await import('../../src/store/home.ts');
    const crypto = createCrypto(openKey(prepareHome(place.home), undefined), Date.now);
    const { systemClock: clock } = await import('../../src/clock.ts');
    const approvals = createApprovals({
      store: open.store,
      crypto,
      clock,
      catalog: open.catalog,
      approver: open.approver,
      approvalTokens: true,
    });
    await approvals.grant(row.id, { principal: 'token:app', level: 'agent-vouched', vouch: { token, run: runId } });
    const late = closed.engine.advance({ run: runId, event: 'finish', approval: row.id }, { principal: 'token:app', door: 'mcp-http' });
    await expect(late).rejects.toMatchObject({ code: 'APPROVAL_TOKENS_OFF' });
  } finally {
    open?.close();
    closed?.close();
  }
  expect(sealed()).toBe(0);
});

test("forged, foreign and another run's tokens are refused, and every refusal is audited", async () => {
  await start();
  const app = await as('app');
  const one = await asked(app, 'one');
  const two = await asked(app, 'two');
  const token = tokenIn(one);
  const [, id = '', signature = ''] = token.split('_');
  const flipped = `yes_${id}_${signature.slice(0, -1)}${signature.endsWith('0') ? '1' : '0'}`;
  expect(await app.refused('approve_run', { run: 'one', token: flipped })).toMatchObject({ code: 'APPROVAL_FORGED' });
  expect(await app.refused('approve_run', { run: 'two', token })).toMatchObject({ code: 'APPROVAL_FORGED' });
  expect(await app.refused('approve_run', { run: 'one', token: 'yes' })).toMatchObject({ code: 'APPROVAL_UNKNOWN' });
  const mixed = `yes_${tokenIn(two).split('_')[1]}_${signature}`;
  expect(await app.refused('approve_run', { run: 'two', token: mixed })).toMatchObject({ code: 'APPROVAL_FORGED' });
  // Another approver sees the run; the token that was shown to the first is none of his.
  const eve = await as('eve');
  expect(await eve.refused('approve_run', { run: 'one', token })).toMatchObject({ code: 'APPROVAL_FORGED' });
  expect(await (await as('ann')).refused('approve_run', { run: 'one', token })).toMatchObject({ code: 'APPROVER_NEEDED' });
  expect(await (await as('vera')).refused('approve_run', { run: 'one', token })).toMatchObject({ code: 'READ_ONLY' });
  expect(sealed()).toBe(0);
  expect((await audited()).map(({ principal, outcome }) => `${principal} ${outcome}`)).toEqual([
    'token:app APPROVAL_FORGED',
    'token:app APPROVAL_FORGED',
    'token:app APPROVAL_UNKNOWN',
    'token:app APPROVAL_FORGED',
    'token:eve APPROVAL_FORGED',
  ]);
});

test('a token is stale once its run has moved, and a rollback asks for one of its own', async () => {
  await start();
  const app = await as('app');
  const token = tokenIn(await asked(app, 'shop'));
  await app.call('advance_run', { run: 'shop', event: 'again', waitMs: 20_000 });
  expect(await app.refused('approve_run', { run: 'shop', token })).toMatchObject({ code: 'APPROVAL_STALE' });
  const undo = tokenIn(await app.call('rollback_run', { run: 'shop', to: 0 }));
  expect(Object.keys(world.state().standing).length).toBeGreaterThan(0);
  expect(await app.call('approve_run', { run: 'shop', token: undo, waitMs: 30_000 })).toMatchObject({ status: 'cancelled' });
  expect(world.state().standing).toEqual({});
});

test('production gets no token: not by its tag, not without the tag among the sealed ones, not by a tag that the input only names', async () => {
  await start({ approvalTokens: true, sealedTags: ['locked'] }, { shop: ['production'], vault: ['locked'], plain: [] });
  const app = await as('app');
  for (const [name, lock] of [
    ['a', 'target:shop'],
    ['b', 'target:vault'],
    ['c', 'production'],
    ['d', 'locked'],
  ] as const) {
    const { runId, next } = await asked(app, name, { lock });
    expect(JSON.stringify(next)).not.toContain('yes_');
    const desk = await openRelayDesk(place.home, world.url, undefined, undefined, ['locked'], true);
    const [row] = await desk.engine.pendingApprovals(runId);
    const by = { principal: 'token:app', door: 'mcp-http', level: 'agent-vouched' as const, vouch: { token: 'x', run: runId } };
    await expect(desk.engine.approve(row?.id ?? '', by)).rejects.toMatchObject({ code: 'APPROVAL_NEEDS_PERSON' });
    desk.close();
  }
  expect(tokenIn(await asked(app, 'e', { lock: 'target:plain' }))).toMatch(/^yes_/);
  expect(sealed()).toBe(0);
});

test('--deny-destructive and an operator get neither token nor approval', async () => {
  await start({ approvalTokens: true, limits: { denyDestructive: true } });
  const app = await as('app');
  await app.call('start_workflow', { workflow: 'relay', name: 'shop' });
  await app.call('advance_run', { run: 'shop', event: 'go', waitMs: 20_000 });
  expect(await app.refused('advance_run', { run: 'shop', event: 'finish' })).toMatchObject({ code: 'DESTRUCTIVE_DENIED' });
  expect(await app.refused('approve_run', { run: 'shop', token: 'yes_x' })).toMatchObject({ code: 'DESTRUCTIVE_DENIED' });
});

test('the token stands in no file of the home, no resource and nothing that the server says', async () => {
  await start();
  const app = await as('app');
  const token = tokenIn(await asked(app, 'shop'));
  const signature = token.split('_')[2] ?? '';
  expect(signature).toHaveLength(64);
  await app.refused('approve_run', { run: 'shop', token: `${token.slice(0, -2)}zz` });
  const { content } = await app.raw('inspect_run', { run: 'shop', view: 'timeline' });
  const inAnswers = JSON.stringify(content.map(({ text }) => text.replaceAll(`"token":"${token}"`, '')));
  expect(inAnswers).not.toContain(signature);
  await app.call('approve_run', { run: 'shop', token, waitMs: 20_000 });
  await server.stop();
  const files = readdirSync(place.home, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  expect(files.map(({ name }) => name)).toContain('capstan.db');
  for (const { parentPath, name } of files) expect(readFileSync(join(parentPath, name)).includes(signature), name).toBe(false);
  expect(server.stderr()).not.toContain(signature);
});
