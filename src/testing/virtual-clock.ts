/**
 * Time as a test moves it. Invariants:
 * 1. Nothing waits for real: `advance` goes to the next instant at which somebody wanted to wake.
 * 2. Each process has its own view; an ended one never wakes again, a frozen one not before it thaws.
 */
import type { Clock } from '../engine/ports.ts';

export type ProcessClock = { clock: Clock; end(): void; freeze(): void; thaw(): void };

export type VirtualClock = {
  now(): number;
  process(): ProcessClock;
  /** For the outside world: it happens whoever lives. */
  schedule(afterMs: number, body: () => void): void;
  /** How many of these have not happened yet. */
  scheduled(): number;
  /** Goes to the next waking; false when nobody waits. */
  advance(): boolean;
  /** As after a sleep of the whole machine: everything due by then is due now. */
  jump(to: number): void;
  /** Counts up with every wait, so that a test sees whether anything still moves. */
  moves(): number;
};

type Waiter = { at: number; owner: Owner; wake: () => void };
type Owner = { frozen: boolean; ended: boolean };

export function createVirtualClock(start: number): VirtualClock {
  let now = start;
  let moved = 0;
  const waiters = new Set<Waiter>();
  const fireDue = () => {
    const due = [...waiters].filter((waiter) => waiter.at <= now && !waiter.owner.frozen).sort((a, b) => a.at - b.at);
    for (const waiter of due) {
      waiters.delete(waiter);
      waiter.wake();
    }
  };
  const add = (waiter: Waiter) => {
    moved++;
    waiters.add(waiter);
  };
  const world: Owner = { frozen: false, ended: false };
  return {
    now: () => now,
    moves: () => moved,
    schedule: (afterMs, wake) => add({ at: now + afterMs, owner: world, wake }),
    scheduled: () => [...waiters].filter(({ owner }) => owner === world).length,
    advance() {
      const awake = [...waiters].filter((waiter) => !waiter.owner.frozen);
      if (awake.length === 0) return false;
      now = Math.max(now, Math.min(...awake.map((waiter) => waiter.at)));
      fireDue();
      return true;
    },
    jump(to) {
      now = Math.max(now, to);
      fireDue();
    },
    process() {
      const owner: Owner = { frozen: false, ended: false };
      const clock: Clock = {
        now: () => now,
        random: () => 0.5,
        wait: (ms, signal) =>
          new Promise((resolve) => {
            if (owner.ended) return;
            if (signal?.aborted || ms <= 0) return resolve();
            const wake = () => {
              signal?.removeEventListener('abort', early);
              resolve();
            };
            const waiter: Waiter = { at: now + ms, owner, wake };
            const early = () => {
              waiters.delete(waiter);
              wake();
            };
            signal?.addEventListener('abort', early, { once: true });
            add(waiter);
          }),
      };
      return {
        clock,
        freeze: () => {
          owner.frozen = true;
        },
        thaw: () => {
          owner.frozen = false;
          fireDue();
        },
        end: () => {
          owner.ended = true;
          for (const waiter of [...waiters]) if (waiter.owner === owner) waiters.delete(waiter);
        },
      };
    },
  };
}
