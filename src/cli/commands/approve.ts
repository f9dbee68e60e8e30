import type { ApprovalRow } from '../../engine/ports.ts';
import { AppError } from '../../errors.ts';
import { approveHere, cliCaller } from '../approve-here.ts';
import { command, withWorkingApp } from '../command.ts';
import { exitCodes, exitOf } from '../exit-codes.ts';
import { followed } from '../follow.ts';
import { runText } from '../render.ts';
import { askChoice, requireTerminal } from '../terminal.ts';

export const approve = command(
  'approve',
  'Approve what a run asks for, by typing its name (terminal only)',
  {
    run: { type: 'positional', required: true, description: 'id or name of the run' },
    decline: { type: 'boolean', description: 'Refuse it instead; the run stays where it is' },
    wait: { type: 'boolean', description: 'Carry the work out here and wait until the run rests' },
  },
  async ({ run, decline, wait }) => {
    requireTerminal('An approval');
    return withWorkingApp(wait === true, async (app, signal) => {
      const { engine } = app;
      const pending = await engine.pendingApprovals(run);
      if (pending.length === 0) {
        const { name } = await engine.inspect(run);
        throw new AppError('NOTHING_TO_APPROVE', {
          message: `The run ${name} asks for no approval now.`,
          fix: `Look at it: capstan runs show ${name}.`,
        });
      }
      const chosen = await choose(pending);
      if (decline) {
        await engine.decline(chosen.id, { ...cliCaller(), level: 'terminal' });
        const view = await engine.inspect(run);
        return { exit: exitCodes.ok, json: { declined: true, ...view }, text: `Declined. ${runText(view)}` };
      }
      const view = await followed(engine, await approveHere(app, chosen), wait === true, signal);
      return { exit: exitOf(view), json: view, text: runText(view) };
    });
  },
);

async function choose(pending: readonly ApprovalRow[]): Promise<ApprovalRow> {
  const options = pending.map((row) => ({ value: row.id, label: row.statement }));
  const id = pending.length === 1 ? pending[0]?.id : await askChoice('Which one?', options);
  const chosen = pending.find((row) => row.id === id);
  if (chosen) return chosen;
  throw new TypeError('a choice outside the list');
}
