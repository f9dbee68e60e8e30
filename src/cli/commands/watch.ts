/** Follows runs until nothing works on them; carries nothing out itself. */
import type { App } from '../../app.ts';
import type { RunView } from '../../engine/view.ts';
import { command, withApp } from '../command.ts';
import { exitCodes, exitOf } from '../exit-codes.ts';
import { isBusy } from '../follow.ts';
import { printLine } from '../output.ts';

const roundMs = 2_000;
/** A worker that was just left behind needs a moment to start. */
const startMs = 5_000;

export const watch = command(
  'watch',
  'Follow a run, or all that work, until nothing works; with --json one line per change',
  { run: { type: 'positional', required: false, description: 'id or name of the run' } },
  ({ run, json }) =>
    withApp(async (app) => {
      const stopped = new AbortController();
      const stop = () => stopped.abort();
      process.once('SIGINT', stop).once('SIGTERM', stop);
      const say = (line: Line) => printLine(json === true ? line : lineText(line), json === true);
      const ended = await (run === undefined
        ? watchAll(app, say, stopped.signal)
        : watchOne(app, run, say, stopped.signal).then((view) => [view]));
      process.off('SIGINT', stop).off('SIGTERM', stop);
      const idle = ended.some(isBusy) && !stopped.signal.aborted;
      if (idle) say({ at: new Date().toISOString(), say: 'No process works on this home: start capstan worker.' });
      if (ended.length === 0) say({ at: new Date().toISOString(), say: 'Nothing works.' });
      const [only] = ended;
      const exit = idle ? exitCodes.failed : run !== undefined && only ? exitOf(only) : exitCodes.ok;
      return { exit, json: undefined, text: '' };
    }),
);

type Line = { at: string; say: string; run?: string; name?: string; state?: string; status?: string; version?: number };

/** Until the run rests, nobody works any more, or the person stops looking. */
async function watchOne({ engine, operations }: App, run: string, say: (line: Line) => void, signal: AbortSignal): Promise<RunView> {
  let view = await engine.inspect(run);
  let said = '';
  const tell = (progress: string) => {
    const { runId, name, state, status, version, title } = view;
    const line = progress || title || state;
    if (`${status} ${version} ${line}` === said) return;
    said = `${status} ${version} ${line}`;
    say({ at: new Date().toISOString(), run: runId, name, state, status, version, say: line });
  };
  tell(progressOf(view));
  let workedAt = Date.now();
  while (isBusy(view) && !signal.aborted && Date.now() - workedAt < startMs) {
    if (operations.workers() > 0) workedAt = Date.now();
    const onProgress = (progress: string, percent?: number) => {
      const text = progress.replace(/^[^:]*: /, ''); // the state stands in the line already
      if (isBusy(view)) tell(percent === undefined ? text : `${text} (${percent} %)`);
    };
    view = await engine.waitFor(view.runId, { since: view.version, waitMs: roundMs, signal, onProgress });
    tell(progressOf(view));
  }
  return view;
}

function progressOf({ working, title }: RunView): string {
  const shown = working.find((row) => row.progress)?.progress;
  if (!shown) return title;
  return shown.percent === undefined ? shown.say : `${shown.say} (${shown.percent} %)`;
}

/** Every run that works now or begins to while we look. Each is returned as it was last seen. */
async function watchAll(app: App, say: (line: Line) => void, signal: AbortSignal): Promise<RunView[]> {
  const ended = new Map<string, RunView>();
  for (;;) {
    const busy = (await app.engine.list({ limit: 1_000 })).filter(isBusy);
    if (busy.length === 0 || signal.aborted) return [...ended.values()];
    for (const view of await Promise.all(busy.map((row) => watchOne(app, row.runId, say, signal)))) ended.set(view.runId, view);
    if (app.operations.workers() === 0) return [...ended.values()];
  }
}

function lineText({ at, name, state, status, say }: Line): string {
  return [at.slice(11, 19), name, status, state, say].filter((part) => part !== undefined).join('  ');
}
