import { z } from 'zod';
import { beginChange, changeOutput } from './change-context.ts';
import { change } from './change-setup.ts';
import { applyStates, changeShow, changeSteps, endStates, lookStates, planningState } from './change-states.ts';
import { targetName } from './effects/change.ts';
import type { WorkflowDefinition } from './workflow.ts';

const rebuildInput = z.strictObject({ target: targetName });

const rebuildMachine = change.createMachine({
  id: 'rebuild',
  context: ({ input: { target } }) => beginChange(target, {}),
  initial: 'looking',
  output: ({ context }) => changeOutput(context),
  states: {
    ...lookStates,
    planning: planningState('Comparing what is stored with what runs', 'rebuild.planChange@1', z.strictObject({})),
    ...applyStates,
    ...endStates,
  },
});

export const rebuild = {
  name: 'rebuild',
  title: 'Deploy an instance again, proven',
  description:
    'Deploys what is stored at the service again: containers whose settings or image changed are made anew, the others stay. Unlike a restart it picks up an environment that was written and never deployed; the plan names the containers and whether the database restarts. Health of every service and live requests decide. Usual duration: 1 to 5 minutes after the approval.',
  aliases: ['dokploy_rebuild', 'rebuild_instance'],
  revision: 1,
  machine: rebuildMachine,
  input: rebuildInput,
  steps: changeSteps('what is stored is compared with what the containers run with'),
  show: [...changeShow],
} as const satisfies WorkflowDefinition;
