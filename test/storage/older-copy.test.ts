/** The ledger goes back in time while the world went on: a copy is put back, or the end of the WAL is gone. Nothing may be applied twice. */
import { existsSync, readFileSync, renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createChildren } from '../helpers/children.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { openedAs, type SteeredOptions, steer } from '../helpers/steer.ts';

const children = createChildren();
let world: Awaited<ReturnType<typeof startWorld>>;
let place: ReturnType<typeof temporaryHome>;
let path: string;
beforeEach(async () => {
  world = await startWorld();
  place = temporaryHome();
  path = join(place.home, 'capstan.db');
});
afterEach(async () => {
  await children.endAll();
  await world.close();
  place.remove();
});

const open = (options: Partial<SteeredOptions> = {}) => steer(children, { home: place.home, world: world.url, ...options });
const applied = () => world.state().journal.map((entry) => `${entry.op} ${entry.name}`);
const whole = ['apply first', 'apply second', 'apply third'];

function copyLedger(): void {
  const database = new Database(path);
  database.prepare('vacuum into ?').run(`${path}.copy`);
  database.close();
}

function putCopyBack(): void {
  for (const ending of ['-wal', '-shm']) rmSync(`${path}${ending}`, { force: true });
  renameSync(`${path}.copy`, path);
}

/** Runs the relay to its rest and ends; `copyAt` says before which effect's doing the ledger is copied. */
async function runAndGoBack(copyAt: 'asking' | 'second'): Promise<void> {
  const first = await open();
  await first.do({ do: 'start', name: 'old' });
  if (copyAt === 'asking') copyLedger();
  await first.do({ do: 'go', run: 'old' });
  await first.do({ do: 'stop' });
  await first.ended;
  if (copyAt === 'second') {
    const killed = await open({ work: true, dieAt: ['after-launch', 'second'] });
    expect(await killed.ended).toMatchObject({ signal: 'SIGKILL' });
    copyLedger();
  }
  const working = await open({ work: true });
  expect(await working.do({ do: 'wait', run: 'old' })).toMatchObject({ state: 'resting' });
  await working.do({ do: 'stop' });
  await working.ended;
  expect(applied()).toEqual(whole);
  putCopyBack();
}

test('a copy with the effect in doubt: the probe finds it, and what followed is found too', async () => {
  await runAndGoBack('second');
  const again = await open({ work: true });
  expect(await again.do({ do: 'wait', run: 'old' })).toMatchObject({ state: 'resting', status: 'waiting' });
  expect(applied()).toEqual(whole);
});

test('a copy from before the effects: none is applied a second time', async () => {
  await runAndGoBack('asking');
  const again = await open({ work: true });
  await again.do({ do: 'go', run: 'old' });
  expect(await again.do({ do: 'wait', run: 'old' })).toMatchObject({ state: 'resting', status: 'waiting' });
  expect(applied()).toEqual(whole);
});

test('a process that is running when a copy is put back writes nothing any more and says so; the next one goes on', async () => {
  const running = await open({ work: true });
  await running.do({ do: 'start', name: 'old' });
  copyLedger();
  putCopyBack();
  expect(await running.ask({ do: 'start', name: 'lost' })).toMatchObject({
    refused: { code: 'STORE_REPLACED', message: expect.stringContaining(path), fix: expect.stringContaining('Restart') },
  });
  const again = await open({ work: true });
  await again.do({ do: 'go', run: 'old' });
  expect(await again.do({ do: 'wait', run: 'old' })).toMatchObject({ state: 'resting', status: 'waiting' });
  expect(await again.codeOf({ do: 'show', run: 'lost' })).toBe('RUN_UNKNOWN');
  expect(await running.codeOf({ do: 'go', run: 'old' })).toBe('STORE_REPLACED');
  expect(applied()).toEqual(whole);
});

/** A killed process leaves its WAL; how much of it is left is what the case is about. */
async function cutWal(left: (size: number) => number): Promise<void> {
  const first = await open({ work: true });
  await first.do({ do: 'start', name: 'old' });
  await first.do({ do: 'go', run: 'old' });
  expect(await first.do({ do: 'wait', run: 'old' })).toMatchObject({ state: 'resting' });
  first.kill('SIGKILL');
  await first.ended;
  const size = statSync(`${path}-wal`).size;
  expect(size).toBeGreaterThan(100_000);
  truncateSync(`${path}-wal`, left(size));
}

test.each([
  ['to half of it, inside a page', (size: number) => Math.floor(size / 2) + 17],
  ['to its header', () => 32],
  ['to nothing', () => 0],
])('a WAL that is cut %s leaves a whole ledger of an earlier time or says that it is damaged', async (_, left) => {
  await cutWal(left);
  const again = await open();
  if (openedAs(again) === 'opened') {
    const kept = new Database(path, { readonly: true });
    expect(kept.pragma('integrity_check', { simple: true })).toBe('ok');
    expect(kept.pragma('foreign_key_check')).toEqual([]);
    kept.close();
    expect(await again.codeOf({ do: 'start', name: 'more' })).toBe('accepted');
  } else expect(openedAs(again)).toMatch(/^(STORE|KEY)_/);
  expect(existsSync(path) && readFileSync(path).length > 0).toBe(true);
});

test.each([
  ['a page of it', (size: number) => size - 5_000],
  ['half of it', (size: number) => Math.floor(size / 2) + 17],
])('after a WAL lost %s the run goes on and nothing is applied twice', async (_, left) => {
  await cutWal(left);
  const again = await open({ work: true });
  expect(openedAs(again)).toBe('opened');
  if ((await again.do({ do: 'wait', run: 'old' }))['state'] === 'asking') await again.do({ do: 'go', run: 'old' });
  expect(await again.do({ do: 'wait', run: 'old' })).toMatchObject({ state: 'resting', status: 'waiting' });
  expect(applied()).toEqual(whole);
});
