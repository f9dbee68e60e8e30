/** What live checks before and after a change say about the change. Pure. */
import type { z } from 'zod';
import type { awaitTargetHealth, proveLive } from './effects/target-live.ts';

export type Proof = z.infer<(typeof proveLive)['output']>;
export type Health = z.infer<(typeof awaitTargetHealth)['output']>;

/** Checks that passed before and do not pass now. Without a look before, every check that fails now counts. */
export function brokenSince(before: Proof | null, after: Proof): string[] {
  const passed = (proof: Proof) => new Set(proof.checks.filter(({ ok }) => ok === true).map(({ name }) => name));
  const now = passed(after);
  // Nothing could be tried before and nothing can be now: that is no news about the change, and is told as a warning.
  if (before === null || before.verdict === 'unknown') return after.checks.filter(({ name }) => !now.has(name)).map(({ name }) => name);
  return [...passed(before)].filter((name) => !now.has(name));
}

/** What a person must know although nothing got worse. */
export function notProven(after: Proof): { code: string; say: string }[] {
  switch (after.verdict) {
    case 'passed':
      return [];
    case 'failed':
      return [{ code: 'CHECKS_FAIL_AS_BEFORE', say: `${after.say} They failed before as well; diagnose the target.` }];
    case 'unknown':
      return [{ code: 'NOT_PROVEN_LIVE', say: `The instance was not proven by live requests: ${after.say}` }];
    default:
      return after.verdict satisfies never;
  }
}
