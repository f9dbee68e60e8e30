import { usage } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { diagramFlag, drawn } from '../diagram.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../render.ts';

export const workflows = command(
  'workflows',
  'List the workflows, or describe one',
  {
    name: { type: 'positional', required: false, description: 'a workflow, to see its steps and input' },
    diagram: diagramFlag,
  },
  ({ name, diagram }) =>
    withApp(async (app) => {
      if (diagram !== undefined) {
        if (name === undefined) throw usage('capstan workflows', 'capstan workflows --diagram needs NAME: the workflow to draw.');
        return drawn(diagram, 'capstan workflows', (format) => app.diagram({ workflow: name }, format));
      }
      if (name === undefined) {
        const rows = app.engine.workflows().map((workflow) => ({ name: workflow.name, title: workflow.title }));
        return { exit: exitCodes.ok, json: { workflows: rows }, text: table(rows, ['name', 'title']) };
      }
      const found = app.describeWorkflow(name);
      const steps = found.steps.map((step, index) => `  ${index + 1}. ${step}`).join('\n');
      const text = `${found.name}: ${found.title}\n\n${found.description}\n\n${steps}\n\nInput: ${JSON.stringify(found.input)}`;
      return { exit: exitCodes.ok, json: found, text };
    }),
);
