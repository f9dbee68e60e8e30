import { everybody } from '../../store/run-access.ts';
import { cliCaller } from '../approve-here.ts';
import { usage } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';

/** A run that came by a token belongs to it; this lets others see and move it, within their role and targets. */
export const share = command(
  'share',
  'Share a run with another token, or with everybody who may connect',
  {
    run: { type: 'positional', required: true, description: 'id or name of the run' },
    with: { type: 'string', valueHint: 'NAME', description: 'Name of a token' },
    everybody: { type: 'boolean', description: 'Every token' },
    stop: { type: 'boolean', description: 'No longer share it' },
  },
  ({ run, with: name, everybody: all, stop }) =>
    withApp(async ({ engine, runAccess, operations }) => {
      if ((name === undefined) === (all !== true)) throw usage('capstan runs share', 'It takes either --with NAME or --everybody.');
      const { runId, name: runName } = await engine.inspect(run);
      const whom = name === undefined ? everybody : `token:${name}`;
      await (stop === true ? runAccess.unshare(runId, whom) : runAccess.share(runId, whom));
      await operations.note(`runs share ${runId} ${stop === true ? 'no longer ' : ''}with ${whom}`, cliCaller());
      const said = whom === everybody ? 'everybody who may connect' : whom;
      const text = stop === true ? `The run ${runName} is no longer shared with ${said}.` : `The run ${runName} is shared with ${said}.`;
      return { exit: exitCodes.ok, json: { runId, with: whom, shared: stop !== true }, text };
    }),
);
