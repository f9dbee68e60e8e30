import type { UpgradeReport } from '../../engine/upgrade.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../render.ts';

export const upgrade = command(
  'upgrade',
  'Take runs of earlier definitions along to this version, as far as it can',
  { check: { type: 'boolean', description: 'Only list what this version cannot carry on, with the reason and what can be done' } },
  ({ check }) =>
    withApp(async ({ operations }) => {
      const report = check === true ? await operations.check() : await operations.carry();
      const all = check === true ? report : { ...report, stranded: (await operations.check()).stranded };
      const exit = all.stranded.length > 0 ? exitCodes.needsAttention : exitCodes.ok;
      return { exit, json: all, text: upgradeText(all, check === true) };
    }),
);

function upgradeText({ carries, stranded }: UpgradeReport, checkOnly: boolean): string {
  const taken = carries.map(({ name, workflow, from, to }) => ({ name, workflow, from: from.slice(0, 12), to: to.slice(0, 12) }));
  return [
    ...(taken.length === 0
      ? []
      : [`${checkOnly ? 'Will be carried over' : 'Carried over'}:`, table(taken, ['name', 'workflow', 'from', 'to'])]),
    ...(stranded.length === 0
      ? [`Every ${taken.length === 0 ? '' : 'other '}unfinished run goes on under this version.`]
      : ['Cannot be carried on by this version:', table(stranded, ['runId', 'name', 'workflow', 'state', 'reason', 'say', 'can'])]),
  ].join('\n');
}
