import { createBell } from './bell.ts';
import type { Clock, RunGlance, Store, Wakes } from './ports.ts';
import { type RunView, statusOf } from './view.ts';

export type WaitOptions = { since?: number; waitMs: number; signal?: AbortSignal; onProgress?: (say: string, percent?: number) => void };
type Deps = { clock: Clock; wakes: Wakes; store: Pick<Store, 'glance'>; view: (runId: string) => Promise<RunView> };

const busy = new Set<RunView['status']>(['working', 'settling', 'rolling_back', 'blocked']);
const pollMs = 1_000;
/** Another process's wake does not say whose run it is: looked at, but not more often than this. */
const strangerMs = 100;

/** Resolves when the run no longer works, its version passed `since`, the time is over or the signal fires; the run goes on anyway. */
export async function waitForRun(deps: Deps, runId: string, { since, waitMs, signal, onProgress }: WaitOptions): Promise<RunView> {
  const { clock, store, view, wakes } = deps;
  const bell = createBell(clock);
  let soon = false;
  const unsubscribe = wakes.subscribe((woken) => {
    if (woken === runId) bell.ring();
    else if (woken === undefined) soon = true;
  });
  signal?.addEventListener('abort', bell.ring, { once: true });
  const until = clock.now() + waitMs;
  let seen: RunGlance | undefined;
  let said = '';
  try {
    for (;;) {
      soon = false;
      const left = until - clock.now();
      const over = (run: Pick<RunView, 'status' | 'version'>) =>
        !busy.has(run.status) || (since !== undefined && run.version > since) || left <= 0 || signal?.aborted === true;
      const glance = await store.glance(runId);
      if (!glance || over({ ...glance, status: statusOf(glance, glance) }) || (onProgress && moved(seen, glance))) {
        const now = await view(runId);
        const progress = progressOf(now);
        if (progress.say !== said) onProgress?.(progress.say, progress.percent);
        said = progress.say;
        if (over(now)) return now;
      }
      seen = glance;
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

/** The whole view costs many times a glance; it is built when somebody would be told something new. */
function moved(seen: RunGlance | undefined, now: RunGlance): boolean {
  return seen?.version !== now.version || seen.progressAt !== now.progressAt || seen.open !== now.open;
}

function progressOf(view: RunView): { say: string; percent?: number } {
  const shown = view.working.find((row) => row.progress)?.progress;
  return { ...shown, say: `${view.state}: ${shown?.say ?? view.title}` };
}
