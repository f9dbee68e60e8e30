import type { RunView } from '../../engine/view.ts';
import { principal } from '../approve-here.ts';
import { valuesOf } from '../arguments.ts';
import { command, withWorkingApp } from '../command.ts';
import { type ExitCode, exitCodes, exitOf } from '../exit-codes.ts';
import { note } from '../output.ts';
import { runText } from '../render.ts';
import { applySettings, coerced, readScript } from '../script.ts';
import { isTerminal } from '../terminal.ts';
import { walk } from '../walk.ts';

export const run = command(
  'run',
  'Start a workflow and walk through it: asks at a terminal, follows --input and --set in a script',
  {
    workflow: { type: 'positional', required: true, description: 'name of the workflow, such as setup-supabase' },
    name: { type: 'string', description: 'Name of the run' },
    set: {
      type: 'string',
      valueHint: 'name=value',
      description: 'A field of the input, or event.field=value; may be given more than once',
    },
    input: { type: 'string', valueHint: 'FILE.json', description: 'A file with {"input": {...}, "events": [{"event", "payload"}]}' },
  },
  async ({ workflow, name, input }, raw) => {
    const script = applySettings('capstan run', input === undefined ? { input: {}, events: [] } : readScript(input), valuesOf(raw, 'set'));
    return withWorkingApp(true, async (app, signal) => {
      const caller = { principal: principal(), door: 'cli' };
      const startInput = coerced(script.input, app.describeWorkflow(workflow).input);
      const start = await app.engine.start({ workflow, input: startInput, name }, caller);
      note(`Run ${start.name} (${start.runId})`);
      const view = await walk({ app, caller, terminal: isTerminal(), signal }, start, script.events);
      return { exit: exitOfWalk(view), json: view, text: runText(view) };
    });
  },
);

/** A walk that stops in a waiting state waits for a person or the next script. */
export function exitOfWalk(view: RunView): ExitCode {
  if (view.status === 'waiting' || view.status === 'held') return exitCodes.waitsForPerson;
  return view.status === 'cancelled' ? exitCodes.failed : exitOf(view);
}
