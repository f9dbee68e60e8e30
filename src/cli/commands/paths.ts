import { AppError } from '../../errors.ts';
import type { Path } from '../../testing/paths.ts';
import { command } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { surroundings } from '../surroundings.ts';

/** Prints what a test of this workflow has to walk; runs nothing and opens no home. */
export const paths = command(
  'paths',
  'Print every path through a workflow, and what no path covers',
  { workflow: { type: 'positional', required: true, description: 'a workflow, such as setup-supabase' } },
  async ({ workflow: name }) => {
    const [{ contracts }, { workflows }, { pathsOf }, { loadWorkflows }, { mergeWorkflows }] = await Promise.all([
      import('../../../machines/effects/registry.ts'),
      import('../../../machines/registry.ts'),
      import('../../testing/paths.ts'),
      import('../../workflows/load.ts'),
      import('../../workflows/merge.ts'),
    ]);
    const { workflowFolders } = await surroundings(true);
    const book = mergeWorkflows({ workflows: Object.values(workflows), contracts }, await loadWorkflows(workflowFolders));
    const workflow = book.workflows.find((each) => each.name === name || each.aliases.includes(name));
    if (!workflow)
      throw new AppError('WORKFLOW_UNKNOWN', {
        message: `There is no workflow ${JSON.stringify(name.slice(0, 60))}.`,
        fix: `Choose one of: ${book.workflows.map((each) => each.name).join(', ')}.`,
      });
    const report = pathsOf({ workflow, contracts: book.contracts });
    const { states, transitions, leftOut } = report;
    const text = [
      ...report.paths.map(toText),
      '',
      `${report.paths.length} paths, ${states.reached} of ${states.all} states, ${transitions.covered} of ${transitions.all} transitions`,
      ...(leftOut.length > 0 ? leftOut.map((what) => `left out: ${what}`) : ['nothing is left out']),
    ].join('\n');
    return { exit: exitCodes.ok, json: report, text };
  },
);

function toText({ name, steps }: Path): string {
  const say = steps.map((step) => {
    if (step.kind === 'send') return `${step.event} -> ${step.state}`;
    if (step.kind === 'timer') return `(time passes) -> ${step.state}`;
    return `[${step.invokeId} ${'done' in step.result ? 'done' : step.result.error.code}] -> ${step.state}`;
  });
  return `${name}\n${say.map((line) => `    ${line}`).join('\n')}`;
}
