/** Real processes, real SIGKILL, synchronous FULL: the world's own journal says what was applied (engine.md, head). */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { compiledHelper } from '../helpers/build.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';

let world: Awaited<ReturnType<typeof startWorld>>;
let place: ReturnType<typeof temporaryHome>;
beforeEach(async () => {
  world = await startWorld();
  place = temporaryHome();
});
afterEach(async () => {
  await world.close();
  place.remove();
});

type End = {
  signal: string | null;
  code: number | null;
  answer: { state: string; status: string; ids: string[]; refusal?: string } | undefined;
  stderr: string;
};

const runRelay = (point: string, effect: string, mode = 'drive'): Promise<End> =>
  new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [compiledHelper('relay-process'), place.home, world.url, point, effect, mode],
      (_, stdout, stderr) => {
        resolve({ signal: child.signalCode, code: child.exitCode, answer: stdout === '' ? undefined : JSON.parse(stdout), stderr });
      },
    );
  });

const points = ['before-intent', 'after-intent', 'before-launch', 'after-launch', 'after-run', 'after-outcome'];
const effects = ['first', 'second', 'third'];

test.each(points.flatMap((point) => effects.map((effect) => [point, effect])))(
  'killed %s of %s, the next process goes on and nothing is applied twice',
  async (point, effect) => {
    const killed = await runRelay(point, effect);
    expect(killed.signal).toBe('SIGKILL');
    const resumed = await runRelay('none', '');
    expect(resumed).toMatchObject({ code: 0, answer: { state: 'resting', status: 'waiting' } });
    expect(world.state().journal.map((entry) => `${entry.op} ${entry.name}`)).toEqual(['apply first', 'apply second', 'apply third']);
  },
);

test.each([
  ['before-undo', 'second'],
  ['after-undo', 'second'],
  ['after-undo', 'first'],
])('killed %s of %s inside a rollback, the next process finishes it', async (point, effect) => {
  expect((await runRelay('none', '')).answer?.state).toBe('resting');
  expect((await runRelay(point, effect, 'rollback')).signal).toBe('SIGKILL');
  const resumed = await runRelay('none', '', 'rollback');
  expect(resumed).toMatchObject({ code: 0, answer: { state: 'asking', status: 'waiting', ids: [] } });
  expect(world.state().standing).toEqual({});
  expect(
    world
      .state()
      .journal.filter((entry) => entry.op === 'undo')
      .map((entry) => entry.name),
  ).toEqual(['third', 'second', 'first']);
});

test('eight first starts at once leave one key, one schema and one run for one request key', async () => {
  const ends = await Promise.all(Array.from({ length: 8 }, () => runRelay('none', '')));
  expect(ends.map((end) => end.stderr)).toEqual(Array(8).fill(''));
  expect(ends.map((end) => end.code)).toEqual(Array(8).fill(0));
  const refusals = ends.flatMap((end) => end.answer?.refusal ?? []);
  expect(refusals.every((code) => code === 'RUN_MOVED' || code === 'EVENT_NOT_ACCEPTED')).toBe(true);
  expect(ends.every((end) => end.answer?.state === 'resting')).toBe(true);
  expect(readdirSync(place.home).filter((name) => name.startsWith('key.json'))).toEqual(['key.json']);
  const database = new Database(join(place.home, 'capstan.db'), { readonly: true });
  expect(database.prepare("select (select count(*) from runs) runs, (select count(*) from meta where key = 'key_id') keys").get()).toEqual({
    runs: 1,
    keys: 1,
  });
  database.close();
  expect(
    world
      .state()
      .journal.map((entry) => entry.name)
      .sort(),
  ).toEqual(['first', 'second', 'third']);
});
