import type { Clock, Wakes } from './ports.ts';
import type { RunView } from './view.ts';

export type WaitOptions = { since?: number; waitMs: number; signal?: AbortSignal; onProgress?: (say: string, percent?: number) => void };
type Deps = { clock: Clock; wakes: Wakes; view: (runId: string) => Promise<RunView> };

/** Resolves when the run no longer works, its version passed `since`, the time is over or the signal fires; the run goes on anyway. */
export async function waitForRun(deps: Deps, runId: string, { since, waitMs, signal, onProgress }: WaitOptions): Promise<RunView> {
  const { clock, view } = deps;
  const until = clock.now() + waitMs;
  let said = '';
  for (;;) {
    const now = await view(runId);
    const moved = since !== undefined && now.version > since;
    const busy = now.status === 'working' || now.status === 'settling' || now.status === 'rolling_back' || now.status === 'blocked';
    const progress = now.working.find((row) => row.progress)?.progress ?? { say: now.title };
    const say = `${now.state}: ${progress.say}`;
    if (say !== said) onProgress?.(say, 'percent' in progress ? progress.percent : undefined);
    said = say;
    const left = until - clock.now();
    if (!busy || (since !== undefined && moved) || left <= 0 || signal?.aborted) return now;
    await woken(deps, Math.min(left, 1_000), signal);
  }
}

async function woken(deps: Deps, ms: number, signal: AbortSignal | undefined): Promise<void> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const unsubscribe = deps.wakes.subscribe(stop);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await deps.clock.wait(ms, controller.signal);
  } finally {
    unsubscribe();
    signal?.removeEventListener('abort', stop);
  }
}
