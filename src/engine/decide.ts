/**
 * What follows an attempt or a probe (engine.md E2, E3, E8, B2). Pure; the worker carries it out.
 * Invariants:
 * 1. Only a definite "not applied" is repeated without a probe.
 * 2. `absent` is believed only `settleMs` after the last sign of life, unless the other side dedupes by key.
 * 3. Nothing in doubt reaches the machine as a failure before it was probed.
 */
import { AppError, type ErrorRecord, toRecord } from '../errors.ts';
import type { ContractLike, ProbeAnswer } from './hands-port.ts';
import type { EffectRow, Outside } from './ports.ts';

export type Decision =
  | { do: 'run' }
  | { do: 'undo' }
  | { do: 'undo_then_run' }
  | { do: 'done'; output: unknown }
  | { do: 'fail'; error: ErrorRecord; outside: Outside }
  | { do: 'cancel'; outside: Outside }
  /** `signAt` puts a sign of life right that was written under a clock that has gone back since. */
  | { do: 'again'; notBefore: number; outside: Outside; failing?: ErrorRecord; error?: ErrorRecord; signAt?: number }
  | { do: 'ask'; error: ErrorRecord; outside: Outside };

export type Situation = { row: EffectRow; contract: ContractLike; now: number; random: number };

/** When all attempts together must have ended: from the first claim on. */
export function deadlineAt({ row, contract, now }: Situation): number {
  return (row.startedAt ?? now) + deadlineOf(contract);
}

/** A wait that lies further away than this was written under another clock and is due now (E8). */
export const horizonMs = 60 * 60_000;

const defaults = { timeoutMs: 30_000, deadlineMs: 10 * 60_000, retry: { attempts: 5, baseMs: 500, maxMs: 30_000 } };

export function timeoutOf(contract: ContractLike): number {
  return contract.timeoutMs ?? defaults.timeoutMs;
}

function deadlineOf(contract: ContractLike): number {
  return contract.deadlineMs ?? defaults.deadlineMs;
}

export function settleOf(contract: ContractLike): number {
  return contract.dedupes ? 0 : (contract.settleMs ?? timeoutOf(contract) + 5_000);
}

export function isMutating(contract: ContractLike): boolean {
  return !contract.readOnly && !contract.local;
}

/** Full jitter over an exponential step, never under a tenth of it. */
export function backoff(contract: ContractLike, n: number, random: number): number {
  const { baseMs, maxMs } = contract.retry ?? defaults.retry;
  const step = Math.min(maxMs, baseMs * 2 ** Math.max(0, n - 1));
  return Math.round(step * (0.1 + 0.9 * random));
}

/** After `run` (or `undo`) threw. */
export function afterError(situation: Situation, thrown: unknown): Decision {
  const { row, contract, now, random } = situation;
  const error = toRecord(thrown);
  // A fault that is no AppError is ours, and says nothing about the outside.
  const definite = !isMutating(contract) || (thrown instanceof AppError && thrown.applied === 'no');
  const outside: Outside = definite ? (isMutating(contract) ? 'absent' : row.outside) : 'maybe';
  const { attempts } = contract.retry ?? defaults.retry;
  const retryable = thrown instanceof AppError && error.retry === 'later';
  const wait = now + backoff(contract, row.attempt, random);
  if (error.retry === 'ask') return { do: 'ask', error, outside };
  if (retryable && row.attempt < attempts && wait < deadlineAt(situation)) {
    return { do: 'again', notBefore: Math.min(Math.max(wait, retryAfter(thrown, now)), now + horizonMs - 1), outside, error };
  }
  if (row.kind === 'undo') return { do: 'ask', error, outside: 'maybe' };
  if (outside === 'maybe') return { do: 'again', notBefore: now, outside, failing: error, error };
  return { do: 'fail', error, outside };
}

function retryAfter(thrown: unknown, now: number): number {
  const ms = thrown instanceof AppError ? thrown.details?.['retryAfterMs'] : undefined;
  return typeof ms === 'number' ? now + ms : now;
}

/** Before a claimed effect runs: does doubt ask for a probe first? */
export function needsProbe(row: EffectRow, contract: ContractLike, hasProbe: boolean): boolean {
  if (row.outside !== 'maybe') return false;
  return isMutating(contract) && hasProbe;
}

/** After `probe` answered on an effect in doubt, whether it shall go on, fail, or is drained (`cancelling`). */
export function afterProbe(situation: Situation, answer: ProbeAnswer): Decision {
  const { row, contract, now, random } = situation;
  const draining = row.status === 'cancelling';
  switch (answer.state) {
    case 'applied':
      return { do: 'done', output: answer.output };
    case 'absent': {
      const unsettled = settling(situation);
      if (unsettled) return unsettled;
      if (draining) return { do: 'cancel', outside: 'absent' };
      return row.failing ? { do: 'fail', error: row.failing, outside: 'absent' } : { do: 'run' };
    }
    case 'partial':
      if (draining) return { do: 'cancel', outside: 'maybe' };
      if (contract.onPartial === 'undo_then_run') return { do: 'undo_then_run' };
      if (row.failing) return { do: 'fail', error: row.failing, outside: 'maybe' };
      return { do: 'run' };
    case 'unknown': {
      const wait = now + backoff(contract, row.probes + 1, random);
      if (wait < deadlineAt(situation)) return { do: 'again', notBefore: wait, outside: 'maybe' };
      return { do: 'ask', error: unknowable(contract, answer.say, row), outside: 'maybe' };
    }
  }
}

/** The wait that is left until `absent` may be believed (E3); a sign of life from the future counts from now on. */
function settling({ row, contract, now }: Situation): Decision | undefined {
  const signAt = Math.min(row.lastSignAt ?? 0, now);
  const believedAt = signAt + settleOf(contract);
  if (now >= believedAt) return undefined;
  return { do: 'again', notBefore: believedAt, outside: 'maybe', ...(signAt === row.lastSignAt ? {} : { signAt }) };
}

/** An undo probes first: absent is undone, anything applied is undone (B2d). */
export function afterUndoProbe(situation: Situation, answer: ProbeAnswer): Decision {
  const { row, contract, now, random } = situation;
  switch (answer.state) {
    case 'absent':
      return { do: 'done', output: undefined };
    case 'applied':
    case 'partial': {
      return (row.outside === 'maybe' ? settling(situation) : undefined) ?? { do: 'undo' };
    }
    case 'unknown': {
      const wait = now + backoff(contract, row.probes + 1, random);
      if (wait < deadlineAt(situation)) return { do: 'again', notBefore: wait, outside: row.outside };
      return { do: 'ask', error: unknowable(contract, answer.say, row), outside: row.outside };
    }
  }
}

function unknowable(contract: ContractLike, say: string, row: EffectRow): ErrorRecord {
  return {
    code: 'OUTCOME_UNKNOWN',
    message: `Nobody can tell whether "${contract.title}" took place: ${say}`,
    fix: `Look at the other side, then say what you found: capstan runs resolve ${row.runId} --effect ${row.key} --as applied|absent|retry.`,
    retry: 'ask',
  };
}
