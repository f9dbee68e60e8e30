import { assign } from 'xstate';
import { z } from 'zod';
import { beginChange, changeOutput, plannedFor } from './change-context.ts';
import { change } from './change-setup.ts';
import { applyStates, changeShow, changeSteps, endStates, lookStates } from './change-states.ts';
import { targetName } from './effects/change.ts';
import { toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const rebuildInput = z.strictObject({ target: targetName });

const rebuildMachine = change.createMachine({
  id: 'rebuild',
  context: ({ input: { target } }) => beginChange(target, {}),
  initial: 'looking',
  output: ({ context }) => changeOutput(context),
  states: {
    ...lookStates,
    planning: {
      meta: { title: 'Comparing what is stored with what runs', step: 2 },
      invoke: {
        id: 'plan',
        src: 'rebuild.planChange@1',
        input: ({ context }) => ({ ...plannedFor(context), request: {} }),
        onDone: {
          target: 'deciding',
          actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash, warnings: event.output.warnings })),
        },
        onError: { target: 'planFailed', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
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
