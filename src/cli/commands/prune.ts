import type { PruneReport } from '../../store/prune.ts';
import { cliCaller } from '../approve-here.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../render.ts';
import { whole } from '../whole.ts';

export const prune = command(
  'prune',
  'Throw away ended runs and audit rows past their time, and files that nothing names',
  {
    'dry-run': { type: 'boolean', description: 'Only show what would go' },
    days: { type: 'string', description: 'Age from which ended runs and audit rows go. Default 90' },
  },
  ({ 'dry-run': dryRun, days }) =>
    withApp(async ({ operations }) => {
      const options = { dryRun: dryRun === true, ...(days === undefined ? {} : { days: whole('capstan prune', 'days', days, 36_500) }) };
      const report = await operations.prune(options, cliCaller());
      return { exit: exitCodes.ok, json: report, text: pruneText(report) };
    }),
);

function pruneText({ dryRun, days, runs, auditRows, artifacts, secrets, secretsRetired, files }: PruneReport): string {
  const verb = dryRun ? 'would go' : 'went';
  return [
    ...(runs.length === 0 ? [] : [table(runs, ['runId', 'name', 'workflow', 'endedAt'])]),
    `${runs.length} runs that ended more than ${days} days ago ${verb}, ${auditRows} audit rows, ${artifacts} artifacts, ${secrets} retired secrets, ${files.length} files.`,
    ...(secretsRetired === 0
      ? []
      : [`${secretsRetired} secrets lose their run and ${dryRun ? 'would be' : 'were'} retired; they go next time.`]),
  ].join('\n');
}
