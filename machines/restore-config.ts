import { assign } from 'xstate';
import { z } from 'zod';
import { beginChange, changeOutput, serviceOf } from './change-context.ts';
import { changeEvents, choiceEvents } from './change-events.ts';
import { answeredChange as answered, change } from './change-setup.ts';
import { applyStates, changeShow, changeSteps, endStates, lookStates, planningState } from './change-states.ts';
import { targetName } from './effects/change.ts';
import { snapshotChoice } from './effects/restore-config.ts';
import { need, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const restoreInput = z.strictObject({ target: targetName, ...snapshotChoice.partial().shape });

export const restoreConfigMachine = change.createMachine({
  id: 'restore-config',
  context: ({ input: { target, ...request } }) => beginChange(target, request),
  initial: 'looking',
  output: ({ context }) => changeOutput(context),
  states: {
    ...lookStates,
    provingBefore: {
      meta: { title: 'Proving how it is now', step: 1 },
      invoke: {
        id: 'proveBefore',
        src: 'target.prove@1',
        input: ({ context }) => ({ ...serviceOf(context), snapshot: need(context.service, 'service').snapshot, plan: null }),
        onDone: {
          target: 'listing',
          actions: assign(({ event }) => ({ before: event.output, wasGreen: event.output.verdict === 'passed' })),
        },
        onError: { target: 'listing', actions: assign({ before: null, wasGreen: false }) },
      },
    },
    listing: {
      meta: { title: 'Listing the kept configurations', step: 1 },
      invoke: {
        id: 'list',
        src: 'target.listSnapshots@1',
        input: ({ context }) => ({ ...serviceOf(context), snapshot: need(context.service, 'service').snapshot }),
        onDone: [
          {
            guard: ({ context }) => 'snapshot' in context.request,
            target: 'planning',
            actions: assign(({ event }) => ({ snapshots: event.output.snapshots })),
          },
          { target: 'choose', actions: assign(({ event }) => ({ snapshots: event.output.snapshots })) },
        ],
        onError: { target: 'planFailed', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    choose: {
      meta: { title: 'Which configuration shall return?', step: 2, events: { choose: choiceEvents.choose } },
      on: {
        choose: {
          target: 'planning',
          actions: assign(({ context, event: { type: _, ...choice } }) => ({ ...answered, request: { ...context.request, ...choice } })),
        },
      },
    },
    planning: planningState('Comparing the two configurations', 'restoreConfig.planChange@1', snapshotChoice, 'choose'),
    planFailed: {
      meta: { title: 'No plan could be made', step: 2, events: { lookAgain: changeEvents.lookAgain } },
      on: { lookAgain: { target: 'looking', actions: assign(answered) } },
    },
    ...applyStates,
    ...endStates,
  },
});

export const restoreConfig = {
  name: 'restore-config',
  title: 'Return to an earlier configuration',
  description:
    'Puts back an earlier snapshot of environment, compose file, files and domains of a running Supabase, as kept before every change. Values that a running instance has grown into (database password, JWT secret and its keys, encryption keys, pooler tenant) stay as they are, each with the workflow that changes it properly; another database major or other volumes are refused. Approved, written, deployed, proven by live requests. Risks: the named containers restart. Usual duration: 1 to 5 minutes after the approval.',
  aliases: ['rollback', 'dokploy_rollback'],
  revision: 1,
  machine: restoreConfigMachine,
  input: restoreInput,
  steps: changeSteps('a kept configuration is chosen and compared; what must stay is kept'),
  show: [...changeShow, 'snapshots'],
} as const satisfies WorkflowDefinition;
