/** A home that cannot be written: each case has a code and a next step, and everything is there again when it can be. */
import { chmodSync, chownSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createChildren } from '../helpers/children.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { openedAs, steer } from '../helpers/steer.ts';

const isRoot = process.getuid?.() === 0;
/** Nobody; root may write everything, so as root the process under test is another user. */
const nobody = isRoot ? { uid: 65_534, gid: 65_534 } : {};
const children = createChildren();
let place: ReturnType<typeof temporaryHome>;
const open = () => steer(children, { home: place.home, world: 'http://127.0.0.1:1', ...nobody });

beforeEach(async () => {
  place = temporaryHome();
  if (isRoot) chownSync(place.home, 65_534, 65_534);
  const first = await open();
  expect(first.opened).toEqual({ ok: { worker: 'rest' } });
  await first.do({ do: 'start', name: 'kept' });
  await first.do({ do: 'stop' });
  await first.ended;
});
afterEach(async () => {
  await children.endAll();
  place.remove();
});

async function expectAllThere(): Promise<void> {
  const again = await open();
  expect(openedAs(again)).toBe('opened');
  expect(await again.do({ do: 'show', run: 'kept' })).toMatchObject({ state: 'asking', status: 'waiting' });
  expect(await again.codeOf({ do: 'start', name: 'more' })).toBe('accepted');
}

const posix = test.skipIf(process.platform === 'win32');

posix('a read-only database file is said so and left as it is', async () => {
  const path = join(place.home, 'capstan.db');
  const bytes = readFileSync(path);
  chmodSync(path, 0o444);
  expect((await open()).opened).toMatchObject({ refused: { code: 'STORE_UNREADABLE', fix: expect.stringMatching(/owner and mode/) } });
  expect(readFileSync(path).equals(bytes)).toBe(true);
  for (const name of readdirSync(place.home).filter((file) => file.startsWith('capstan.db'))) chmodSync(join(place.home, name), 0o600);
  await expectAllThere();
});

posix('a read-only folder of workers is said so', async () => {
  chmodSync(join(place.home, 'workers'), 0o500);
  expect((await open()).opened).toMatchObject({ refused: { code: 'STORE_UNREADABLE', fix: expect.stringMatching(/owner and mode/) } });
  chmodSync(join(place.home, 'workers'), 0o700);
  await expectAllThere();
});

test.skipIf(!isRoot)("a read-only folder of somebody else's is said so (set up by root only)", async () => {
  chownSync(place.home, 0, 0);
  chmodSync(place.home, 0o555);
  expect((await open()).opened).toMatchObject({ refused: { code: 'HOME_UNUSABLE', fix: expect.stringMatching(/CAPSTAN_HOME/) } });
  chownSync(place.home, 65_534, 65_534);
  await expectAllThere();
});

posix("a folder that only its owner's mode made read-only is put right, since it is ours", async () => {
  chmodSync(place.home, 0o500);
  await expectAllThere();
});
