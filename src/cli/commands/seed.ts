import { resolve } from 'node:path';
import { principal } from '../approve-here.ts';
import { command, withWorkingApp } from '../command.ts';
import { note } from '../output.ts';
import { runText } from '../render.ts';
import { isTerminal } from '../terminal.ts';
import { walk } from '../walk.ts';
import { exitOfWalk } from './run.ts';

export const seed = command(
  'seed',
  'Seed a database from a .sql file in one transaction, once; asks before it runs (the workflow seed-database)',
  {
    target: { type: 'string', valueHint: 'NAME', description: 'A registered target', required: true },
    file: { type: 'string', valueHint: 'FILE.sql', description: 'What to run', required: true },
    as: { type: 'string', valueHint: 'NAME', description: 'Name of its record. Default: the name of the file' },
  },
  ({ target, file, as }) =>
    withWorkingApp(true, async (app, signal) => {
      const caller = { principal: principal(), door: 'cli' };
      const input = { target, file: resolve(file), ...(as === undefined ? {} : { as }) };
      const start = await app.engine.start({ workflow: 'seed-database', input }, caller);
      note(`Run ${start.name} (${start.runId})`);
      const view = await walk({ app, caller, terminal: isTerminal(), signal }, start, []);
      return { exit: exitOfWalk(view), json: view, text: runText(view) };
    }),
);
