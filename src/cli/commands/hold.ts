import type { App } from '../../app.ts';
import type { RunView } from '../../engine/view.ts';
import { principal } from '../approve-here.ts';
import { usage } from '../arguments.ts';
import { command, withApp, withWorkingApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import type { Outcome } from '../output.ts';
import { runText } from '../render.ts';

const args = {
  run: { type: 'positional', required: false, description: 'id or name of the run' },
  all: { type: 'boolean', description: 'Every unfinished run' },
} as const;

export const hold = command('hold', 'Stop a run from claiming work; what is running settles', args, (given) =>
  withApp((app) => onEach('hold', app, given, (run) => app.engine.hold(run, caller()))),
);

export const release = command('release', 'Let a held run go on', args, (given) =>
  withWorkingApp(false, (app) => onEach('release', app, given, (run) => app.engine.release(run, caller()))),
);

const caller = () => ({ principal: principal(), door: 'cli' });
const ended = ['done', 'failed', 'cancelled'];

async function onEach(
  name: string,
  { engine }: App,
  given: { run?: string | undefined; all?: boolean | undefined },
  act: (run: string) => Promise<RunView>,
): Promise<Outcome> {
  if ((given.run === undefined) === (given.all !== true)) throw usage(`capstan ${name}`, `capstan ${name} takes either RUN or --all.`);
  const all =
    given.all === true ? (await engine.list({ limit: 1_000 })).filter((row) => !ended.includes(row.status)).map((row) => row.runId) : [];
  const views: RunView[] = [];
  for (const run of given.run === undefined ? all : [given.run]) views.push(await act(run));
  return { exit: exitCodes.ok, json: { runs: views }, text: views.map(runText).join('\n') || 'There is no unfinished run.' };
}
