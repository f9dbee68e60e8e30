import type { Clock } from './engine/ports.ts';

/** The wall clock. `wait` resolves early when the signal fires; long waits are cut to what a timer can hold (engine.md T1). */
export const systemClock: Clock = {
  now: () => Date.now(),
  random: () => Math.random(),
  wait: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted || ms <= 0) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(ms, 60 * 60_000));
      signal?.addEventListener('abort', done, { once: true });
    }),
};
