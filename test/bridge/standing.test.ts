/** Whose a bridge is and whether its use is over: decided by its sign, its text, its run and its target. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bridgeSign, judgeBridge, readSign, type Whose } from '../../src/effects/bridge/standing.ts';

const installation = '1a2b3c4d';
const sign = (of = installation, target = 'shop') => readSign(bridgeSign({ key: 'run-1:4:install' }, { installation: of }, target));
const known = {
  installation,
  now: 1_000,
  target: { name: 'shop', facts: { bridge: { composeId: 'c1' } } },
  runOver: false,
  targetKnown: true,
};

describe('a bridge', () => {
  test.each<[string, Parameters<typeof judgeBridge>, Whose]>([
    ['that its run uses and its target names', ['c1', sign(), 2_000, known], 'in use'],
    ['whose text names no hour', ['c1', sign(), null, known], 'in use'],
    ['whose run is over', ['c1', sign(), 2_000, { ...known, runOver: true }], 'left over'],
    ['whose hour has passed', ['c1', sign(), 1_000, known], 'left over'],
    ['that its target does not name', ['c2', sign(), 2_000, known], 'left over'],
    ['whose target names none', ['c1', sign(), 2_000, { ...known, target: { name: 'shop', facts: {} } }], 'left over'],
    ['of another target', ['c1', sign(installation, 'other'), 1, { ...known, runOver: true }], 'another target'],
    ['of a target that is gone', ['c1', sign(installation, 'other'), 2_000, { ...known, targetKnown: false }], 'left over'],
    ['of another installation', ['c1', sign('ffffffff'), 1, { ...known, runOver: true, targetKnown: false }], 'foreign'],
    ['without a sign', ['c1', undefined, 1, { ...known, runOver: true }], 'foreign'],
  ])('%s', (_, args, whose) => {
    expect(judgeBridge(...args)).toMatchObject({ whose, why: expect.any(String) });
  });
});

test('a sign reads back as it was written, and no other text is one', () => {
  expect(sign()).toEqual({ key: 'run-1:4:install', installation, target: 'shop' });
  for (const text of [null, '', 'capstan run-1:4:install', 'Capstan a of b for c', 'capstan a of b for c d', ` ${'capstan a of b for c'}`])
    expect(readSign(text)).toBeUndefined();
  fc.assert(fc.property(fc.string(), (text) => /^capstan \S+ of \S+ for \S+$/.test(text) || readSign(text) === undefined));
});
