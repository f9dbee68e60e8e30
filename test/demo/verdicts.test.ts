import { expect, test } from 'vitest';
import { countAppliedTwice, isGood, type Journal, leftoversOf } from '../../src/demo/verdicts.ts';

const run = '019aab6c-1111-7222-8333-444455556666';
let n = 0;
const entry = (procedure: string, over: Partial<Journal[number]> = {}): Journal[number] => ({
  n: ++n,
  procedure,
  status: 200,
  applied: true,
  identity: {},
  body: {},
  sha256: 'x',
  ...over,
});
const keyed = (procedure: string, step: number, identity: Record<string, string>, sha256 = 'x') =>
  entry(procedure, { identity, sha256, body: { description: `capstan ${run}:${step}:it` } });

test('one write per key is no double, the same key again is one', () => {
  const journal = [keyed('job.deploy', 9, { composeId: 'c' }), keyed('job.deploy', 12, { composeId: 'c' })];
  expect(countAppliedTwice(journal)).toBe(0);
  expect(countAppliedTwice([...journal, keyed('job.deploy', 9, { composeId: 'c' }, 'other body')])).toBe(1);
});

test('a deployment and the one that takes it back are two', () => {
  const back = entry('job.deploy', { identity: { composeId: 'c' }, body: { description: `capstan undo:${run}:9:it` } });
  expect(countAppliedTwice([keyed('job.deploy', 9, { composeId: 'c' }), back])).toBe(0);
  expect(countAppliedTwice([back, back])).toBe(1);
});

test('a write without key is the same when object and body are', () => {
  const save = entry('compose.saveEnvironment', { identity: { composeId: 'c' }, sha256: 'a' });
  expect(countAppliedTwice([save, { ...save, sha256: 'b' }])).toBe(0);
  expect(countAppliedTwice([save, save])).toBe(1);
  expect(countAppliedTwice([save, { ...save, applied: false }])).toBe(0);
});

test('what was made and not removed is left over; a removal that only said so does not count', () => {
  const made = [keyed('project.create', 7, { projectId: 'p' }), keyed('compose.create', 8, { composeId: 'c' })];
  expect(leftoversOf(made, run)).toEqual(['project p', 'compose c']);
  const kept = entry('compose.delete', { identity: { composeId: 'c' }, applied: false });
  expect(leftoversOf([...made, kept], run)).toHaveLength(2);
  expect(leftoversOf([...made, { ...kept, applied: true }, entry('project.remove', { identity: { projectId: 'p' } })], run)).toEqual([]);
  expect(leftoversOf(made, 'another run')).toEqual([]);
});

test('every verdict counts', () => {
  const good = { resumed: true, verified: true, probes: [], effectsAppliedTwice: 0, rolledBack: true, leftovers: 0, seconds: 1 };
  expect(isGood(good)).toBe(true);
  for (const bad of [{ resumed: false }, { verified: false }, { effectsAppliedTwice: 1 }, { rolledBack: false }, { leftovers: 1 }])
    expect(isGood({ ...good, ...bad })).toBe(false);
});
