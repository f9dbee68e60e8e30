import { expect, test } from 'vitest';
import { brokenSince, notProven, type Proof } from '../../machines/live-proof.ts';

const proof = (verdict: Proof['verdict'], checks: Record<string, boolean | null> = {}): Proof => ({
  verdict,
  checks: Object.entries(checks).map(([name, ok]) => ({ name, ok, side: 'none', say: '' })),
  say: 'said',
});

test.each([
  ['green before and after', proof('passed', { a: true }), proof('passed', { a: true }), []],
  ['green before, red after', proof('passed', { a: true, b: true }), proof('failed', { a: true, b: false }), ['b']],
  ['green before, nothing could be tried after', proof('passed', { a: true }), proof('unknown'), ['a']],
  ['red before and after', proof('failed', { a: false }), proof('failed', { a: false }), []],
  ['red before, another red after', proof('failed', { a: false, b: true }), proof('failed', { a: true, b: null }), ['b']],
  ['nothing could be tried before, red after', proof('unknown'), proof('failed', { a: false }), ['a']],
  ['no look before, red after', null, proof('failed', { a: false, b: true }), ['a']],
  ['no look at all', null, proof('unknown'), []],
] as const)('%s', (_name, before, after, broken) => {
  expect(brokenSince(before, after)).toEqual(broken);
});

test('what is not green is always told', () => {
  expect(notProven(proof('passed'))).toEqual([]);
  expect(notProven(proof('failed'))).toMatchObject([{ code: 'CHECKS_FAIL_AS_BEFORE' }]);
  expect(notProven(proof('unknown'))).toMatchObject([{ code: 'NOT_PROVEN_LIVE' }]);
});
