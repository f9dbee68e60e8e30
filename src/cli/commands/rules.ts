import { randomUUID } from 'node:crypto';
import { defineCommand } from 'citty';
import { ruleText } from '../../engine/approval-policy.ts';
import { eventsOf } from '../../engine/machine-events.ts';
import { AppError } from '../../errors.ts';
import { cliCaller } from '../approve-here.ts';
import { usage, valuesOf } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { note } from '../output.ts';
import { table } from '../render.ts';
import { askSecret, requireTerminal, typesExactly } from '../terminal.ts';
import { whole } from '../whole.ts';

const dayMs = 86_400_000;

const add = command(
  'add',
  'Allow the confirmed events of a workflow on targets with these tags, without asking each time (terminal only)',
  {
    workflow: { type: 'string', valueHint: 'NAME', required: true, description: 'The workflow' },
    tag: { type: 'string', required: true, description: 'Every target of the run must carry it; may be given more than once' },
    event: { type: 'string', description: 'Only this event. Default: every confirmed event of the workflow' },
    days: { type: 'string', description: 'How long it stands, 1 to 365. Default 30' },
  },
  async ({ workflow: reference, event, days }, raw) => {
    requireTerminal('A standing rule');
    const tags = [...new Set(valuesOf(raw, 'tag'))];
    const lasts = days === undefined ? 30 : whole('capstan rules add', 'days', days, 365);
    return withApp(async ({ approver, engine, describeWorkflow, operations }) => {
      const workflow = describeWorkflow(reference).name;
      const machine = engine.workflows().find(({ name }) => name === workflow)?.machine;
      const confirmed = machine ? eventsOf(machine).flatMap(({ type, confirmed: asks }) => (asks ? [type] : [])) : [];
      if (confirmed.length === 0) throw usage('capstan rules add', `Nothing in ${workflow} asks for an approval.`);
      if (event !== undefined && !confirmed.includes(event))
        throw usage(
          'capstan rules add',
          `${workflow} asks for no approval of ${JSON.stringify(event.slice(0, 60))}; it asks for: ${confirmed.join(', ')}.`,
        );
      const unsigned = { id: randomUUID().slice(0, 8), workflow, event: event ?? null, tags, expiresAt: Date.now() + lasts * dayMs };
      note(
        `\nEvery run of ${workflow} on targets tagged ${tags.join(' and ')} will pass ${event ?? 'all its confirmations'} without a person, for ${lasts} days.`,
      );
      if (!(await typesExactly(`To allow it, type the workflow's name: ${workflow}`, workflow)))
        throw new AppError('NOT_CONFIRMED', { message: 'Something else was typed, so no rule was made.', fix: 'Run it again.' });
      const seal = await approver.unlock(await askSecret('Passphrase of the approver key'), cliCaller());
      await approver.addRule({ ...unsigned, signature: seal.sign(ruleText(unsigned)) });
      await operations.note(`rules add ${unsigned.id} ${workflow} ${tags.join(',')}`, cliCaller());
      const json = { ...unsigned, expiresAt: new Date(unsigned.expiresAt).toISOString() };
      return {
        exit: exitCodes.ok,
        json,
        text: `The rule ${unsigned.id} stands until ${json.expiresAt}. Take it back: capstan rules remove ${unsigned.id}.`,
      };
    });
  },
);

const list = command('list', 'List the standing rules, void ones too', {}, () =>
  withApp(async ({ approver }) => {
    const rows = (await approver.allRules()).map(({ signature: _, expiresAt, ...rule }) => ({
      ...rule,
      expiresAt: new Date(expiresAt).toISOString(),
    }));
    return { exit: exitCodes.ok, json: { rules: rows }, text: table(rows, ['id', 'workflow', 'event', 'tags', 'expiresAt', 'valid']) };
  }),
);

const remove = command(
  'remove',
  'Take a standing rule back',
  { id: { type: 'positional', required: true, description: 'its id' } },
  ({ id }) =>
    withApp(async ({ approver, operations }) => {
      await approver.removeRule(id);
      await operations.note(`rules remove ${id}`, cliCaller());
      return { exit: exitCodes.ok, json: { removed: id }, text: `The rule ${id} is gone; its workflow asks again.` };
    }),
);

export const rules = defineCommand({
  meta: { name: 'rules', description: 'Standing rules that answer confirmations' },
  subCommands: { add, list, remove },
});
