import { afterEach, beforeEach, expect, test } from 'vitest';
import { createRates } from '../../src/store/rates.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';

let place: ReturnType<typeof temporaryHome>;
let now = 1_000_000;
beforeEach(async () => {
  now = 1_000_000;
  place = temporaryHome();
  (await openRelayDesk(place.home, 'http://127.0.0.1:1')).close();
});
afterEach(() => place.remove());

const rate = { perSecond: 10, burst: 20 };
const open = () => createRates(openDatabase(`${place.home}/capstan.db`), () => now);

test('two processes together keep to the burst and then to the rate (E11)', async () => {
  const [one, two] = [open(), open()];
  const waits: number[] = [];
  for (let i = 0; i < 15; i++) waits.push(await one.take('home', rate), await two.take('home', rate));
  expect(waits.slice(0, 20)).toEqual(Array(20).fill(0));
  expect(waits.slice(20)).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]);
  now += 2_000;
  expect(await one.take('home', rate)).toBe(0);
  expect(await two.take('other', rate)).toBe(0);
});

test('a turn that was not used goes back', async () => {
  const rates = open();
  for (let i = 0; i < 20; i++) await rates.take('home', rate);
  expect(await rates.take('home', rate)).toBe(100);
  await rates.giveBack('home', rate);
  expect(await rates.take('home', rate)).toBe(100);
});

test('a clock that goes back refills nothing and blocks nobody for longer', async () => {
  const rates = open();
  for (let i = 0; i < 20; i++) await rates.take('home', rate);
  now -= 3_600_000;
  expect(await rates.take('home', rate)).toBe(100);
});
