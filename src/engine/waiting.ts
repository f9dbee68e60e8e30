import { createBell } from './bell.ts';
import type { Clock, Wakes } from './ports.ts';
import type { RunView } from './view.ts';

export type WaitOptions = { since?: number; waitMs: number; signal?: AbortSignal; onProgress?: (say: string, percent?: number) => void };
type Deps = { clock: Clock; wakes: Wakes; view: (runId: string) => Promise<RunView> };

const busy = new Set<RunView['status']>(['working', 'settling', 'rolling_back', 'blocked']);
const pollMs = 1_000;
/** Another process's wake does not say whose run it is: looked at, but not more often than this. */
const strangerMs = 100;

/** Resolves when the run no longer works, its version passed `since`, the time is over or the signal fires; the run goes on anyway. */
export async function waitForRun(deps: Deps, runId: string, { since, waitMs, signal, onProgress }: WaitOptions): Promise<RunView> {
  const { clock, view, wakes } = deps;
  const bell = createBell(clock);
  let soon = false;
  const unsubscribe = wakes.subscribe((woken) => {
    if (woken === runId) bell.ring();
    else if (woken === undefined) soon = true;
  });
  signal?.addEventListener('abort', bell.ring, { once: true });
  const until = clock.now() + waitMs;
  let said = '';
  try {
    for (;;) {
      soon = false;
      const now = await view(runId);
      const progress = progressOf(now);
      if (progress.say !== said) onProgress?.(progress.say, progress.percent);
      said = progress.say;
      const left = until - clock.now();
      const moved = since !== undefined && now.version > since;
      if (!busy.has(now.status) || moved || left <= 0 || signal?.aborted) return now;
      for (let slept = 0; slept < pollMs && slept < left; slept += strangerMs) {
        const at = clock.now();
        await bell.wait(Math.min(strangerMs, left));
        if (soon || signal?.aborted || clock.now() - at < strangerMs) break;
      }
    }
  } finally {
    unsubscribe();
    signal?.removeEventListener('abort', bell.ring);
  }
}

function progressOf(view: RunView): { say: string; percent?: number } {
  const shown = view.working.find((row) => row.progress)?.progress;
  return { ...shown, say: `${view.state}: ${shown?.say ?? view.title}` };
}
