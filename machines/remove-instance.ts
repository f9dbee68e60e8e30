/**
 * Removing a live instance with its data. Invariants:
 * 1. A person types the target's name; without a fresh backup that was found whole, twice.
 * 2. Each thing that goes has its own row in the ledger, so what stands is always known; there is no way back after the first.
 * 3. The target is forgotten last: until then every retry still knows what it is about.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import type { planRemoval } from './effects/remove.ts';
import { targetName } from './effects/shapes.ts';
import { need, type RunError, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const input = z.strictObject({ target: targetName });
const typedName = z.strictObject({
  target: z.string().min(1).max(120).describe('The name of the target, typed by the person'),
  dataIsLost: z.boolean().describe('True: the person knows that what no backup holds is lost'),
});
type Typed = z.infer<typeof typedName>;

type Context = {
  target: string;
  plan: z.infer<(typeof planRemoval)['output']> | null;
  /** What an approval is bound to (A1). */
  planHash: string | null;
  removed: string[];
  failedAt: 'removingService' | 'removingProject' | 'forgetting' | null;
  error: RunError | null;
};

const events = {
  confirmRemoval: {
    title: 'Remove the instance and all its data',
    payload: typedName,
    confirm: 'Delete this instance with its containers, volumes and files for ever. What no backup holds is lost.',
  },
  confirmWithoutBackup: {
    title: 'Remove it although no fresh backup was found whole',
    payload: typedName,
    confirm: 'Delete this instance for ever ALTHOUGH there is no verified backup of the last day: its data cannot be brought back.',
  },
  lookAgain: { title: 'Look again, such as after a backup', payload: noPayload },
  retry: { title: 'Try again where it failed', payload: noPayload },
} as const;

const answered = { error: null };
const confirmed = ({ target }: Context, typed: Typed) => typed.target === target && typed.dataIsLost;
const misnamed = ({ target }: Context) => ({
  error: {
    code: 'NAME_MISMATCH',
    message: 'The typed name is not the name of this target, or the loss of its data was not confirmed; nothing was removed.',
    fix: `Type ${target} and confirm the loss of its data if this is the instance to remove.`,
    retry: 'never' as const,
  },
});

const machine = setup({
  types: {
    input: {} as z.infer<typeof input>, // type carriers: XState reads their types, never their values
    context: {} as Context,
    events: {} as
      | ({ type: 'confirmRemoval' } & Typed)
      | ({ type: 'confirmWithoutBackup' } & Typed)
      | { type: 'lookAgain' }
      | { type: 'retry' },
    meta: {} as StateMeta,
  },
  actors: {
    'removal.planChange@1': actorOf(contracts['removal.planChange@1']),
    'dokploy.removeService@1': actorOf(contracts['dokploy.removeService@1']),
    'dokploy.removeEmptyProject@1': actorOf(contracts['dokploy.removeEmptyProject@1']),
    'target.forget@1': actorOf(contracts['target.forget@1']),
  },
}).createMachine({
  id: 'remove-instance',
  context: ({ input: { target } }) => ({ target, plan: null, planHash: null, removed: [], failedAt: null, error: null }),
  initial: 'planning',
  output: ({ context }) => ({
    target: context.target,
    removed: context.removed,
    backup: context.plan?.backup ?? null,
    error: context.error,
  }),
  states: {
    planning: {
      meta: { title: 'Looking what would be destroyed', step: 1 },
      invoke: {
        id: 'plan',
        src: 'removal.planChange@1',
        input: ({ context: { target } }) => ({ target }),
        onDone: { target: 'review', actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash })) },
        onError: { target: 'failed', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    review: {
      meta: {
        title: 'Remove this instance for ever?',
        step: 2,
        checkpoint: 'review',
        releases: true,
        events: { confirmRemoval: events.confirmRemoval, lookAgain: events.lookAgain },
      },
      on: {
        confirmRemoval: [
          {
            guard: ({ context, event }) => confirmed(context, event) && context.plan?.backup?.fresh === true,
            target: 'removingService',
            actions: assign(answered),
          },
          { guard: ({ context, event }) => confirmed(context, event), target: 'secondReview', actions: assign(answered) },
          { target: 'review', actions: assign(({ context }) => misnamed(context)) },
        ],
        lookAgain: { target: 'planning', actions: assign(answered) },
      },
    },
    secondReview: {
      meta: {
        title: 'There is no fresh backup that was found whole: really remove it?',
        step: 2,
        checkpoint: 'secondReview',
        releases: true,
        events: { confirmWithoutBackup: events.confirmWithoutBackup, lookAgain: events.lookAgain },
      },
      on: {
        confirmWithoutBackup: [
          {
            guard: ({ context, event }) => confirmed(context, event),
            target: 'removingService',
            actions: assign(answered),
          },
          { target: 'secondReview', actions: assign(({ context }) => misnamed(context)) },
        ],
        lookAgain: { target: 'planning', actions: assign(answered) },
      },
    },
    removingService: {
      meta: { title: 'Removing the service and its data', step: 3 },
      invoke: {
        id: 'removeService',
        src: 'dokploy.removeService@1',
        input: ({ context }) => planned(context),
        onDone: [
          {
            guard: ({ context }) => context.plan?.projectGoes === true,
            target: 'removingProject',
            actions: assign({ removed: ['service'] }),
          },
          { target: 'forgetting', actions: assign({ removed: ['service'] }) },
        ],
        onError: {
          target: 'removalFailed',
          actions: assign(({ event }) => ({ error: toRunError(event.error), failedAt: 'removingService' as const })),
        },
      },
    },
    removingProject: {
      meta: { title: 'Removing the empty project', step: 3 },
      invoke: {
        id: 'removeProject',
        src: 'dokploy.removeEmptyProject@1',
        input: ({ context }) => planned(context),
        onDone: [
          {
            guard: ({ event }) => event.output.removed,
            target: 'forgetting',
            actions: assign(({ context }) => ({ removed: [...context.removed, 'project'] })),
          },
          { target: 'forgetting' },
        ],
        onError: {
          target: 'removalFailed',
          actions: assign(({ event }) => ({ error: toRunError(event.error), failedAt: 'removingProject' as const })),
        },
      },
    },
    forgetting: {
      meta: { title: 'Forgetting the target', step: 4 },
      invoke: {
        id: 'forget',
        src: 'target.forget@1',
        input: ({ context: { target } }) => ({ target }),
        onDone: { target: 'done', actions: assign(({ context }) => ({ removed: [...context.removed, 'target'] })) },
        onError: {
          target: 'removalFailed',
          actions: assign(({ event }) => ({ error: toRunError(event.error), failedAt: 'forgetting' as const })),
        },
      },
    },
    removalFailed: {
      meta: { title: 'The removal is not finished', step: 3, events: { retry: events.retry } },
      on: {
        retry: [
          { guard: ({ context }) => context.failedAt === 'removingService', target: 'removingService', actions: assign(answered) },
          { guard: ({ context }) => context.failedAt === 'removingProject', target: 'removingProject', actions: assign(answered) },
          { target: 'forgetting', actions: assign(answered) },
        ],
      },
    },
    done: { type: 'final', meta: { title: 'Removed', step: 4, outcome: 'done' } },
    failed: { type: 'final', meta: { title: 'Nothing was removed', step: 4, outcome: 'failed' } },
  },
});

function planned({ target, plan: kept }: Context) {
  const { plan, planHash } = need(kept, 'plan');
  return { target, plan, planHash };
}

export const removeInstance = {
  name: 'remove-instance',
  title: 'Remove an instance with its data',
  description:
    'Removes a live instance from its Dokploy: containers, volumes, files, its project if nothing else is in it, and the target here. A person types the name of the target; twice unless a backup of the last day was found whole. Risk: nothing of it can be brought back but from a backup. Usual duration: 1 minute.',
  aliases: ['remove_instance', 'dokploy_remove_instance'],
  revision: 1,
  machine,
  input,
  steps: [
    'plan: what stands there, how much data, which backup was found whole',
    'review: the name is typed by a person; twice without a fresh verified backup',
    'remove: the service with its data, then the project if it is empty; there is no way back',
    'forget: the target leaves the list',
  ],
  show: ['target', 'plan', 'removed', 'failedAt'],
} as const satisfies WorkflowDefinition;
