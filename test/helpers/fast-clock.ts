import type { Clock } from '../../src/engine/ports.ts';

/** A clock whose pace a test sets, so that hours of patience are played to their end; it never goes back. */
export function fastClock(): Clock & { pace(times: number): void } {
  let [real, shown, times] = [Date.now(), Date.now(), 1];
  const now = () => shown + (Date.now() - real) * times;
  const paced = new Set<() => void>();
  return {
    now,
    random: () => Math.random(),
    pace(next) {
      [shown, real, times] = [now(), Date.now(), next];
      for (const again of [...paced]) again();
    },
    wait: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted || ms <= 0) return resolve();
        const until = now() + ms;
        let timer: NodeJS.Timeout | undefined;
        const done = () => {
          clearTimeout(timer);
          paced.delete(again);
          signal?.removeEventListener('abort', done);
          resolve();
        };
        const again = () => {
          clearTimeout(timer);
          timer = setTimeout(done, Math.min(Math.max(0, (until - now()) / times), 60 * 60_000));
        };
        paced.add(again);
        signal?.addEventListener('abort', done, { once: true });
        again();
      }),
  };
}
