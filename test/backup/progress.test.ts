/** What a person hears of a stream: each tenth of what is expected and of what there is, and each two seconds where it is slow. */
import { expect, test } from 'vitest';
import { createProgress } from '../../src/effects/backup/meter.ts';

function heard(expected: number | undefined, steps: { bytes: number; at: number }[]): [string, number | undefined][] {
  let now = 0;
  const said: [string, number | undefined][] = [];
  const tell = createProgress(
    'Database',
    expected,
    () => now,
    (say, percent) => void said.push([say, percent]),
  );
  for (const { bytes, at } of steps) {
    now = at;
    tell(bytes);
  }
  return said;
}

test('every tenth is told once, with bytes and rate, however small the pieces are', () => {
  const steps = Array.from({ length: 1_000 }, (_, i) => ({ bytes: (i + 1) * 1_000, at: i + 1 }));
  const said = heard(1_000_000, steps);
  expect(said.map(([, percent]) => percent)).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90]);
  expect(said[0]?.[0]).toBe('Database: 100.0 kB, 1.0 MB/s');
});

test('a large piece that passes several tenths is told once; more than expected never reaches 100', () => {
  expect(heard(1_000, [{ bytes: 550, at: 10 }]).map(([, percent]) => percent)).toEqual([55]);
  expect(
    heard(
      1_000,
      [950, 5_000].map((bytes, i) => ({ bytes, at: i * 3_000 + 1 })),
    ).map(([, percent]) => percent),
  ).toEqual([95, 99]);
});

test('where nobody knows the size, or a tenth takes long, two seconds are the longest silence', () => {
  const steps = Array.from({ length: 100 }, (_, i) => ({ bytes: i + 1, at: (i + 1) * 100 }));
  expect(heard(undefined, steps)).toHaveLength(5);
  expect(heard(1_000_000, steps)).toHaveLength(5);
  expect(heard(undefined, steps).every(([, percent]) => percent === undefined)).toBe(true);
});

test.each([undefined, 20_000_000, 2_000_000_000])(
  'whatever the size was taken for (%s), no silence is longer than a tenth of what came',
  (expected) => {
    const bytes = 200_000_000;
    const steps = Array.from({ length: 2_000 }, (_, i) => ({ bytes: ((i + 1) * bytes) / 2_000, at: i })); // all within two seconds
    const told = heard(expected, steps).map(([say]) => Number(/: ([\d.]+) MB/.exec(say)?.[1] ?? 0) * 1_000_000);
    const silences = [...told, bytes].map((at, i) => at - (told[i - 1] ?? 0));
    expect(Math.max(...silences)).toBeLessThanOrEqual(bytes / 10 + bytes / 2_000);
    expect(told.length).toBeLessThan(80);
  },
);
