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
  target: { type: 'string', valueHint: 'NAME', description: 'Every unfinished run that is about this target' },
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
  app: App,
  given: { run?: string | undefined; target?: string | undefined; all?: boolean | undefined },
  act: (run: string) => Promise<RunView>,
): Promise<Outcome> {
  const { run, target, all = false } = given;
  if ([run !== undefined, target !== undefined, all].filter(Boolean).length !== 1)
    throw usage(`capstan ${name}`, `capstan ${name} takes one of RUN, --target NAME and --all.`);
  const views: RunView[] = [];
  for (const each of run === undefined ? await unfinished(app, target) : [run]) views.push(await act(each));
  return { exit: exitCodes.ok, json: { runs: views }, text: views.map(runText).join('\n') || 'There is no unfinished run.' };
}

/** Ids of the runs that have not ended; of those about one target where it is given. Throws TARGET_UNKNOWN. */
async function unfinished({ engine, registry, runFacts }: App, target: string | undefined): Promise<string[]> {
  const ids = (await engine.list({ limit: 1_000 })).filter((row) => !ended.includes(row.status)).map((row) => row.runId);
  if (target === undefined) return ids;
  const { name } = await registry.target(target);
  return (await runFacts(ids)).filter((facts) => facts.about.includes(name)).map((facts) => facts.runId);
}
