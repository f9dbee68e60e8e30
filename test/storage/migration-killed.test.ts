/** A migration that is killed in the middle (engine.md D3). */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readMigrations } from '../../src/store/sqlite/migrate.ts';
import { type Build, makeBuild } from '../helpers/builds.ts';
import { createChildren } from '../helpers/children.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { openedAs, steer } from '../helpers/steer.ts';

const children = createChildren();
let place: ReturnType<typeof temporaryHome>;
let build: Build | undefined;
beforeEach(() => {
  place = temporaryHome();
});
afterEach(async () => {
  await children.endAll();
  build?.remove();
  build = undefined;
  place.remove();
});

const open = (program?: string) => steer(children, { home: place.home, world: 'http://127.0.0.1:1', ...(program ? { program } : {}) });

/** True while a transaction holds the database: the migration is in the middle of its statements. */
function isLocked(path: string): boolean {
  const database = new Database(path, { timeout: 0 });
  try {
    database.exec('begin immediate');
    database.exec('rollback');
    return false;
  } catch {
    return true;
  } finally {
    database.close();
  }
}

const stopped = async (desk: Awaited<ReturnType<typeof open>>) => {
  await desk.do({ do: 'stop' });
  await desk.ended;
};

/** A home with one run in it, whose upgrade was killed inside the migration's statements. */
async function killedInside(): Promise<void> {
  const first = await open();
  await first.do({ do: 'start', name: 'kept' });
  await stopped(first);
  const migration = children.start('migration-process', [place.home]);
  await expect.poll(() => isLocked(join(place.home, 'capstan.db')), { timeout: 10_000, interval: 50 }).toBe(true);
  migration.kill('SIGKILL');
  expect(await migration.ended).toEqual({ code: null, signal: 'SIGKILL' });
}

test('the version before it finds everything as it was', async () => {
  await killedInside();
  const again = await open();
  expect(openedAs(again)).toBe('opened');
  expect(await again.do({ do: 'show', run: 'kept' })).toMatchObject({ name: 'kept', state: 'asking', status: 'waiting' });
  expect(await again.codeOf({ do: 'start', name: 'more' })).toBe('accepted');
});

test('the newer version migrates again, whole, and keeps a copy of the time before', async () => {
  await killedInside();
  build = makeBuild({ migration: 'create table later (n integer)' });
  const newer = await open(build.steeredDesk);
  expect(newer.opened).toEqual({ ok: { worker: 'rest' } });
  expect(await newer.do({ do: 'show', run: 'kept' })).toMatchObject({ name: 'kept', state: 'asking' });
  await stopped(newer);
  const copy = new Database(join(place.home, `capstan.db.before-${readMigrations().length + 1}`), { readonly: true });
  expect(copy.pragma('integrity_check', { simple: true })).toBe('ok');
  expect(copy.prepare('select name from runs').all()).toEqual([{ name: 'kept' }]);
  copy.close();
});
