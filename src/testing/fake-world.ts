/**
 * An outside system that counts. Invariants:
 * 1. It survives every crash of the processes that call it; what it did stays done.
 * 2. It never forgives: a write that comes a second time under one key is counted a second time (except for a contract that `dedupes`).
 * 3. Its answers are data of the case that is played; it knows no engine.
 */
import type { ContractLike } from '../engine/hands-port.ts';

export type FakeWorld = {
  /** The write of this key takes place. */
  apply(key: string, contract: ContractLike): void;
  half(key: string): void;
  undo(key: string): void;
  stands(key: string): 'applied' | 'partial' | 'absent';
  /** Keys of a run that stand, and how often each was applied and taken back. */
  ofRun(runId: string): { standing: string[]; applied: Map<string, number>; undone: Map<string, number>; halves: string[] };
};

export function createFakeWorld(): FakeWorld {
  const standing = new Set<string>();
  const halves = new Set<string>();
  const applied = new Map<string, number>();
  const undone = new Map<string, number>();
  const count = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  return {
    apply(key, contract) {
      if (contract.dedupes && standing.has(key)) return;
      halves.delete(key);
      standing.add(key);
      count(applied, key);
    },
    half(key) {
      halves.add(key);
    },
    undo(key) {
      halves.delete(key);
      if (standing.delete(key)) count(undone, key);
    },
    stands: (key) => (standing.has(key) ? 'applied' : halves.has(key) ? 'partial' : 'absent'),
    ofRun(runId) {
      const own = (key: string) => key.startsWith(`${runId}:`);
      const mine = (map: Map<string, number>) => new Map([...map].filter(([key]) => own(key)));
      return { standing: [...standing].filter(own), applied: mine(applied), undone: mine(undone), halves: [...halves].filter(own) };
    },
  };
}
