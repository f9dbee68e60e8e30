import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { keepHouse } from '../../src/housekeeping.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const quiet = { info: vi.fn(), warn: vi.fn() };

test('looks a minute after the start and then each hour, until it is stopped', async () => {
  const look = vi.fn(async () => undefined);
  const house = keepHouse(look, quiet);
  await vi.advanceTimersByTimeAsync(59_000);
  expect(look).toHaveBeenCalledTimes(0);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(look).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(3 * 60 * 60_000);
  expect(look).toHaveBeenCalledTimes(4);
  house.stop();
  await vi.advanceTimersByTimeAsync(24 * 60 * 60_000);
  expect(look).toHaveBeenCalledTimes(4);
  expect(vi.getTimerCount()).toBe(0);
});

test('a pruning that fails is logged and tried again; one that is stopped meanwhile does not begin anew', async () => {
  const look = vi.fn(async () => {
    throw new Error('the disk is full');
  });
  const house = keepHouse(look, quiet);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(quiet.warn).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(60 * 60_000);
  expect(look).toHaveBeenCalledTimes(2);
  house.stop();

  let finish = () => undefined as undefined;
  const slow = keepHouse(
    () =>
      new Promise((resolve) => {
        finish = () => resolve(undefined) as undefined;
      }),
    quiet,
  );
  await vi.advanceTimersByTimeAsync(60_000);
  slow.stop();
  finish();
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
});
