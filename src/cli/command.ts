import { type ArgsDef, type CommandDef, defineCommand, type ParsedArgs } from 'citty';
import type { App } from '../app.ts';
import { valuesOf } from './arguments.ts';
import { leave } from './leave.ts';
import { type Outcome, report } from './output.ts';
import { surroundings, useWorkflowFolders } from './surroundings.ts';

const json = { type: 'boolean', description: 'Print one JSON document on standard output' } as const;
export const workflowsFlag = {
  type: 'string',
  valueHint: 'DIR',
  description: 'A folder with workflows of your own; may be given more than once',
} as const;
type Common = { json: typeof json; workflows: typeof workflowsFlag };

/** A command that ends with one outcome; every one of them takes `--json`, and `--workflows` for the home that it may open. */
export function command<const T extends ArgsDef>(
  name: string,
  description: string,
  args: T,
  act: (args: ParsedArgs<T>, raw: string[]) => Promise<Outcome>,
): CommandDef<T & Common> {
  return defineCommand<T & Common>({
    meta: { name, description },
    args: { ...args, workflows: workflowsFlag, json },
    async run({ args: parsed, rawArgs }) {
      useWorkflowFolders(valuesOf(rawArgs, 'workflows'));
      // citty's type of the parsed arguments of T & Common includes those of T.
      report(await act(parsed as unknown as ParsedArgs<T>, rawArgs), parsed['json'] === true);
    },
  });
}

/** Opens the app for one command that only looks, or changes our own rows. */
export async function withApp<T>(act: (app: App) => Promise<T>): Promise<T> {
  const { openApp } = await import('../app.ts');
  const app = await openApp(await surroundings(true));
  try {
    return await act(app);
  } finally {
    app.close();
  }
}

/** For commands that give work: carries it out here when `work` is set, and leaves the rest to a worker behind. */
export async function withWorkingApp<T>(work: boolean, act: (app: App, signal: AbortSignal) => Promise<T>): Promise<T> {
  const { openApp } = await import('../app.ts');
  const app = await openApp(await surroundings(true));
  const stopped = new AbortController();
  const stop = () => stopped.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    await app.operations.carry();
    if (work) app.worker.start();
    return await act(app, stopped.signal);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await leave(app);
  }
}
