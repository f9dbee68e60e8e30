import type { Engine } from '../engine/engine.ts';
import type { RunView } from '../engine/view.ts';
import { AppError } from '../errors.ts';
import { note } from './output.ts';

const roundMs = 30_000;

/** The run once it rests, with its progress on stderr; or at once when nobody wants to wait. Throws INTERRUPTED when the person stops waiting. */
export async function followed(engine: Engine, view: RunView, wait: boolean, signal: AbortSignal): Promise<RunView> {
  let now = view;
  let said = '';
  const onProgress = (say: string, percent?: number) => {
    const line = percent === undefined ? say : `${say} (${percent} %)`;
    if (line !== said) note(`  ${line}`);
    said = line;
  };
  while (wait && isBusy(now)) {
    if (signal.aborted) throw interrupted(now);
    now = await engine.waitFor(now.runId, { waitMs: roundMs, signal, onProgress });
  }
  return now;
}

export function isBusy({ status }: Pick<RunView, 'status'>): boolean {
  return status === 'working' || status === 'settling' || status === 'rolling_back' || status === 'blocked';
}

function interrupted(view: RunView): AppError {
  return new AppError('INTERRUPTED', {
    message: `The waiting was stopped; the run ${view.name} goes on in the background.`,
    fix: `Look at it: capstan runs show ${view.name}.`,
    details: { run: view.runId },
  });
}
