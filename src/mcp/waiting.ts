import type { Answer } from '../engine/engine.ts';
import type { RunView } from '../engine/view.ts';
import type { ToolCall } from './tool.ts';
import { maxWaitMs } from './toolsets/core.ts';

const defaultWaitMs = 5_000;
const tickMs = 1_500;

/** Does something long while the client hears at least every 2 s that it goes on. */
export async function withProgress<T>(
  call: Pick<ToolCall, 'progress'>,
  first: string,
  act: (say: (text: string) => void) => Promise<T>,
): Promise<T> {
  let latest = first;
  const say = (text: string) => {
    latest = text;
    call.progress(text);
  };
  const ticker = setInterval(() => call.progress(latest), tickMs);
  try {
    return await act(say);
  } finally {
    clearInterval(ticker);
  }
}

/**
 * The answer, or what the run has become after at most `waitMs` (default 5 s, at most 45 s) if it works.
 * A cancelled request ends the waiting, never the run. `since` waits for a version past it instead.
 */
export async function waited(answer: Answer, waitMs: number | undefined, call: ToolCall, since?: number): Promise<Answer> {
  const ms = Math.min(waitMs ?? defaultWaitMs, maxWaitMs);
  if (ms === 0 || !isBusy(answer) || (since !== undefined && answer.version > since)) return answer;
  const view = await withProgress(call, answer.title, (say) =>
    call.app.engine.waitFor(answer.runId, { waitMs: ms, signal: call.signal, onProgress: say, ...(since === undefined ? {} : { since }) }),
  );
  return answer.replayed ? { ...view, replayed: true } : view;
}

function isBusy({ status }: RunView): boolean {
  return status === 'working' || status === 'settling' || status === 'rolling_back' || status === 'blocked';
}
