import { expect, test } from 'vitest';
import { afterError, afterProbe, afterUndoProbe, type Situation } from '../../src/engine/decide.ts';
import type { ContractLike } from '../../src/engine/hands-port.ts';
import type { EffectRow } from '../../src/engine/ports.ts';
import { AppError } from '../../src/errors.ts';

const contract = {
  name: 'x.do@1',
  title: 'Do it',
  settleMs: 1_000,
  deadlineMs: 10_000,
  retry: { attempts: 3, baseMs: 100, maxMs: 400 },
} as ContractLike; // the decisions read only these fields

const row = (over: Partial<EffectRow>): EffectRow =>
  ({
    key: 'r:1:x',
    kind: 'do',
    status: 'running',
    outside: 'maybe',
    attempt: 1,
    probes: 0,
    startedAt: 0,
    lastSignAt: 0,
    failing: null,
    ...over,
  }) as EffectRow; // ditto
const at = (over: Partial<EffectRow>, now: number, more: Partial<ContractLike> = {}): Situation => ({
  row: row(over),
  contract: { ...contract, ...more },
  now,
  random: 1,
});

const later = (applied: 'no' | 'unknown') => new AppError('X', { message: 'm', retry: 'later', applied });
const never = (applied: 'no' | 'unknown') => new AppError('X', { message: 'm', retry: 'never', applied });
const failing = { code: 'X', message: 'm', retry: 'never' as const };

test.each([
  [
    'a definite refusal that may be tried again is repeated blind',
    at({}, 0),
    later('no'),
    { do: 'again', outside: 'absent', notBefore: 100 },
  ],
  ['an unknown answer is repeated in doubt', at({}, 0), later('unknown'), { do: 'again', outside: 'maybe' }],
  [
    'the last attempt in doubt is probed before it fails',
    at({ attempt: 3 }, 0),
    later('unknown'),
    { do: 'again', outside: 'maybe', failing: { code: 'X' } },
  ],
  ['the last definite refusal fails', at({ attempt: 3 }, 0), later('no'), { do: 'fail', outside: 'absent' }],
  ['never with a definite answer fails', at({}, 0), never('no'), { do: 'fail', outside: 'absent' }],
  ['never in doubt is probed first', at({}, 0), never('unknown'), { do: 'again', failing: { code: 'X' } }],
  [
    'a fault of ours says nothing about the outside',
    at({}, 0),
    new Error('bug'),
    { do: 'again', outside: 'maybe', failing: { code: 'INTERNAL' } },
  ],
  ['ask waits for a person', at({}, 0), new AppError('Y', { message: 'm', retry: 'ask' }), { do: 'ask' }],
  ['past the deadline nothing is tried again', at({}, 9_950), later('no'), { do: 'fail' }],
  [
    'a proxy that names its patience is heeded',
    at({}, 0),
    new AppError('X', { message: 'm', retry: 'later', details: { retryAfterMs: 5_000 } }),
    { do: 'again', notBefore: 5_000 },
  ],
  ['a failing undo asks', at({ kind: 'undo' }, 0), never('no'), { do: 'ask' }],
  [
    'a read-only effect is never in doubt',
    at({ outside: 'untouched' }, 0, { readOnly: true }),
    never('unknown'),
    { do: 'fail', outside: 'untouched' },
  ],
])('%s', (_, situation, error, decision) => {
  expect(afterError(situation, error)).toMatchObject(decision);
});

test.each([
  ['applied is adopted at once', at({}, 0), { state: 'applied', output: 7 }, { do: 'done', output: 7 }],
  ['absent before the settle time is asked again', at({}, 999), { state: 'absent' }, { do: 'again', notBefore: 1_000 }],
  ['absent after the settle time runs', at({}, 1_000), { state: 'absent' }, { do: 'run' }],
  ['absent counts at once where the other side dedupes', at({}, 0, { dedupes: true }), { state: 'absent' }, { do: 'run' }],
  ['absent of what was failing fails', at({ failing }, 2_000), { state: 'absent' }, { do: 'fail', outside: 'absent' }],
  ['absent of what drains is closed', at({ status: 'cancelling' }, 2_000), { state: 'absent' }, { do: 'cancel', outside: 'absent' }],
  [
    'partial of what drains stays to be undone',
    at({ status: 'cancelling' }, 0),
    { state: 'partial', say: '' },
    { do: 'cancel', outside: 'maybe' },
  ],
  ['partial runs again by default', at({}, 0), { state: 'partial', say: '' }, { do: 'run' }],
  [
    'partial is undone first where the contract says so',
    at({}, 0, { onPartial: 'undo_then_run' }),
    { state: 'partial', say: '' },
    { do: 'undo_then_run' },
  ],
  ['unknown is asked again', at({}, 0), { state: 'unknown', say: 'x' }, { do: 'again', outside: 'maybe' }],
  [
    'unknown past the deadline asks a person',
    at({}, 10_000),
    { state: 'unknown', say: 'x' },
    { do: 'ask', error: { code: 'OUTCOME_UNKNOWN' } },
  ],
] as const)('%s', (_, situation, answer, decision) => {
  expect(afterProbe(situation, answer)).toMatchObject(decision);
});

test.each([
  ['absent is undone', at({ kind: 'undo' }, 0), { state: 'absent' }, { do: 'done' }],
  [
    'applied is undone now when no undo was tried',
    at({ kind: 'undo', outside: 'untouched' }, 0),
    { state: 'applied', output: 1 },
    { do: 'undo' },
  ],
  [
    'applied after a crashed undo waits for the settle time',
    at({ kind: 'undo', lastSignAt: 500 }, 600),
    { state: 'applied', output: 1 },
    { do: 'again', notBefore: 1_500 },
  ],
  ['unknown past the deadline asks', at({ kind: 'undo' }, 10_000), { state: 'unknown', say: 'x' }, { do: 'ask' }],
] as const)('undo: %s', (_, situation, answer, decision) => {
  expect(afterUndoProbe(situation, answer)).toMatchObject(decision);
});
