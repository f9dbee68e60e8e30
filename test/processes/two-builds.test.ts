/** Two versions of the product on one home at the same time (engine.md D3, V2). */
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { readMigrations } from '../../src/store/sqlite/migrate.ts';
import { type Build, makeBuild } from '../helpers/builds.ts';
import { createChildren } from '../helpers/children.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { openedAs, type SteeredOptions, steer } from '../helpers/steer.ts';

const children = createChildren();
const builds: Build[] = [];
let world: Awaited<ReturnType<typeof startWorld>>;
let place: ReturnType<typeof temporaryHome>;
beforeEach(async () => {
  world = await startWorld();
  place = temporaryHome();
});
afterEach(async () => {
  await children.endAll();
  for (const build of builds.splice(0)) build.remove();
  await world.close();
  place.remove();
});

const open = (options: Partial<SteeredOptions> = {}) => steer(children, { home: place.home, world: world.url, ...options });
const later = (change: Parameters<typeof makeBuild>[0]): string => {
  const build = makeBuild(change);
  builds.push(build);
  return build.steeredDesk;
};
const applied = () => world.state().journal.map((entry) => `${entry.op} ${entry.name}`);
const whole = ['apply first', 'apply second', 'apply third'];

test('after an upgrade the older process stops at its next write and cannot start again; its run is finished by the newer one', async () => {
  const older = await open();
  const { runId } = (await older.do({ do: 'start', name: 'before' })) as { runId: string };
  await older.do({ do: 'go', run: runId });
  const newer = await open({ program: later({ migration: 'create table later (n integer)' }) });
  expect(openedAs(newer)).toBe('opened');
  const refused = await older.ask({ do: 'start', name: 'too-late' });
  expect(refused).toMatchObject({ refused: { code: 'UPGRADED_RESTART', fix: expect.stringMatching(/newer version/) } });
  expect(await older.codeOf({ do: 'go', run: runId })).not.toBe('accepted');
  const again = await open();
  expect(again.opened).toMatchObject({ refused: { code: 'SCHEMA_NEWER', fix: expect.stringMatching(/newer version/) } });
  const working = await open({ program: later({ migration: 'create table later (n integer)' }), work: true });
  expect(await working.do({ do: 'wait', run: runId })).toMatchObject({ state: 'resting', status: 'waiting' });
  expect(applied()).toEqual(whole);
  expect(await newer.codeOf({ do: 'start', name: 'too-late' }), 'the newer one writes on').toBe('accepted');
});

/** The world behind a door that keeps the second write's request until it is let in. */
async function slowWorld() {
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const body = Buffer.concat(chunks).toString();
      if (request.url === '/apply' && body.includes('"second"')) await new Promise<void>((resolve) => waiting.push(resolve));
      const answer = await fetch(`${world.url}${request.url}`, { method: 'POST', body });
      response.writeHead(answer.status).end(await answer.text());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { url: `http://127.0.0.1:${address.port}`, waiting };
}

/** An upgrade that comes while the older process waits for the answer of the second write. */
async function upgradeInFlight() {
  const slow = await slowWorld();
  const older = await open({ world: slow.url, work: true });
  const { runId } = (await older.do({ do: 'start', name: 'meanwhile' })) as { runId: string };
  await older.do({ do: 'go', run: runId });
  await expect.poll(() => slow.waiting.length, { timeout: 10_000, interval: 5 }).toBe(1);
  const newer = await open({ program: later({ migration: 'create table later (n integer)' }), work: true });
  expect(openedAs(newer)).toBe('opened');
  slow.waiting[0]?.();
  await expect.poll(applied, { timeout: 10_000, interval: 5 }).toContain('apply second');
  return { older, newer, runId };
}

test('an effect that the older process carries out during the upgrade is finished once by the newer one, when the older has ended', async () => {
  const { older, newer, runId } = await upgradeInFlight();
  older.kill('SIGTERM');
  await older.ended;
  expect(await newer.do({ do: 'wait', run: runId })).toMatchObject({ state: 'resting', status: 'waiting' });
  expect(applied()).toEqual(whole);
});

test('an older process that lives on after the upgrade, as a server in an open client does, does not keep its run from going on', async () => {
  const { newer, runId } = await upgradeInFlight();
  expect(await newer.do({ do: 'wait', run: runId })).toMatchObject({ state: 'resting', status: 'waiting' });
  expect(applied()).toEqual(whole);
});

test('an upgrade waits for a write that is under way', async () => {
  const first = await open();
  await first.do({ do: 'start', name: 'kept' });
  const writer = new Database(join(place.home, 'capstan.db'));
  writer.exec('begin immediate');
  const opening = open({ program: later({ migration: 'create table later (n integer)' }) });
  const copy = `capstan.db.before-${readMigrations().length + 1}`;
  await expect.poll(() => existsSync(join(place.home, copy)), { timeout: 10_000, interval: 5 }).toBe(true);
  const done = wait(500).then(() => writer.close()); // longer than the driver itself waits
  expect((await opening).opened).toEqual({ ok: { worker: 'rest' } });
  await done;
});

test('a process claims only runs whose exact definition it has (V2)', async () => {
  const other = later({ revision: 2 });
  const [resting, strange] = [await open(), await open({ program: other })];
  const { runId: foreign } = (await strange.do({ do: 'start', name: 'foreign' })) as { runId: string };
  await strange.do({ do: 'go', run: foreign });
  const { runId: own } = (await resting.do({ do: 'start', name: 'own' })) as { runId: string };
  await resting.do({ do: 'go', run: own });
  const working = await open({ work: true });
  // The foreign effect has waited longer, and still only the own one is taken.
  expect(await working.do({ do: 'wait', run: own })).toMatchObject({ state: 'resting' });
  expect(await working.do({ do: 'show', run: foreign })).toMatchObject({ state: 'one', status: 'working' });
  const { rows } = (await working.do({ do: 'effects', run: foreign })) as { rows: object[] };
  expect(rows).toMatchObject([{ status: 'intent', attempt: 0, worker: null, outside: 'untouched' }]);
  expect(world.state().journal.every((entry) => entry.key.startsWith(own))).toBe(true);
  const able = await open({ program: other, work: true });
  expect(await able.do({ do: 'wait', run: foreign })).toMatchObject({ state: 'resting' });
  expect(world.state().journal).toHaveLength(6);
});

test('an older process does not answer for a run of another definition: it shows it and refuses to advance it (V3)', async () => {
  const strange = await open({ program: later({ revision: 2 }) });
  const { runId } = (await strange.do({ do: 'start', name: 'foreign' })) as { runId: string };
  const own = await open();
  expect(await own.do({ do: 'show', run: runId })).toMatchObject({ state: 'asking', waitingFor: [] });
  expect(await own.codeOf({ do: 'go', run: runId })).toBe('DEFINITION_CHANGED');
  expect(await strange.codeOf({ do: 'go', run: runId })).toBe('accepted');
});
