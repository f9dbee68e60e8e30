import type { Clock } from './ports.ts';

/** Why a wait of ours ended; a value, since an abort without one builds an exception each time. */
const rung = 'rung';

/** One sleeper's bell: a ring that comes before the wait is not lost, many rings are one. */
export function createBell(clock: Clock): { ring(): void; wait(ms: number): Promise<void> } {
  let pending = false;
  let sleeping: AbortController | undefined;
  return {
    ring() {
      if (sleeping) sleeping.abort(rung);
      else pending = true;
    },
    async wait(ms) {
      if (!pending) {
        sleeping = new AbortController();
        await clock.wait(ms, sleeping.signal);
        sleeping = undefined;
      }
      pending = false;
    },
  };
}
