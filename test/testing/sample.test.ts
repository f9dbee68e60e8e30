import { expect, test } from 'vitest';
import { z } from 'zod';
import { samplesOf } from '../../src/testing/sample.ts';

const values = (schema: z.ZodType, limit = 50) => samplesOf(schema, { limit }).values;

test('the plainest comes first, then one change at a time', () => {
  const schema = z.strictObject({ kind: z.enum(['a', 'b']), loud: z.boolean().optional(), n: z.int().min(2).max(9) });
  expect(values(schema)).toEqual([
    { kind: 'a', n: 2 },
    { kind: 'b', n: 2 },
    { kind: 'a', loud: false, n: 2 },
    { kind: 'a', loud: true, n: 2 },
    { kind: 'a', n: 9 },
  ]);
});

test.each([
  ['a literal', z.literal(5), [5]],
  ['a nullable', z.string().nullable(), ['sample-value', null]],
  ['a union', z.union([z.literal(1), z.literal(2)]), [1, 2]],
  ['a record', z.record(z.string(), z.boolean()), [{}, { sample: false }, { sample: true }]],
  ['an array', z.array(z.enum(['x', 'y'])), [[], ['x'], ['y']]],
  [
    'an array that may not be empty',
    z.array(z.enum(['x', 'y'])).min(2),
    [
      ['x', 'x'],
      ['x', 'y'],
    ],
  ],
  ['a mail address', z.string().regex(/^[^\s@]+@[^\s@]+\.[^\s@]+$/), ['sample-value@example.com']],
])('%s', (_, schema, expected) => {
  expect(values(schema)).toEqual(expected);
});

test('a pattern that no known text fits is told, and a hint is taken instead', () => {
  const schema = z.strictObject({ plate: z.string().regex(/^[A-Z]{2} \d{3}$/) });
  const without = samplesOf(schema, { limit: 5 });
  expect(without.values).toEqual([]);
  expect(without.refused.join()).toContain('plate: no known text fits');
  expect(samplesOf(schema, { limit: 5, hint: { plate: 'AB 123' } }).values).toEqual([{ plate: 'AB 123' }]);
});

test('what the schema refuses beyond its JSON form is told', () => {
  const schema = z.enum(['even', 'odd']).refine((value) => value === 'odd', 'only odd ones');
  const { values: taken, refused } = samplesOf(schema, { limit: 5 });
  expect(taken).toEqual(['odd']);
  expect(refused).toEqual(['"even" was refused: only odd ones']);
});

test('what the limit cuts off is counted', () => {
  expect(samplesOf(z.enum(['a', 'b', 'c', 'd']), { limit: 3 })).toEqual({ values: ['a', 'b', 'c'], skipped: 1, refused: [] });
});
