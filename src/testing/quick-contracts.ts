import type { ContractLike } from '../engine/hands-port.ts';

export type Timings = { timeoutMs: number; settleMs: number; deadlineMs: number; attempts: number };

export const quickTimings: Timings = { timeoutMs: 2_000, settleMs: 400, deadlineMs: 20_000, attempts: 3 };

/** Copies with short waits: the rules are the same, a test's clock has less to walk through. */
export function quickContracts(contracts: Record<string, ContractLike>, timings: Timings = quickTimings): Record<string, ContractLike> {
  const { timeoutMs, settleMs, deadlineMs, attempts } = timings;
  return Object.fromEntries(
    Object.entries(contracts).map(([name, contract]) => [
      name,
      { ...withoutChild(contract), timeoutMs, settleMs, deadlineMs, retry: { attempts, baseMs: 20, maxMs: 200 } },
    ]),
  );
}

/** A child run is played as one effect of its parent: it has paths and a matrix of its own. */
function withoutChild({ child: _, ...contract }: ContractLike): ContractLike {
  return contract;
}
