/**
 * Bridges that outlived their use. Invariants:
 * 1. Only bridges of this installation whose use is over are in the plan; others are shown and never touched.
 * 2. Nothing is removed before the plan was approved, and the run is done when a new look finds none of them.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import type { planBridgeRemoval, removeBridges } from './effects/bridge.ts';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import { targetName } from './effects/shapes.ts';
import { need, type RunError, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const input = z.strictObject({ target: targetName });

type Plan = z.infer<(typeof planBridgeRemoval)['output']>;
type Context = {
  target: string;
  plan: Plan | null;
  /** What an approval is bound to (A1). */
  planHash: string | null;
  /** Stands in the question to the person. */
  approvalNote: string | null;
  removal: z.infer<(typeof removeBridges)['output']> | null;
  error: RunError | null;
};

const events = {
  approve: {
    title: 'Remove these bridges',
    payload: noPayload,
    confirm: 'Delete the services of the bridges that the plan names. Nothing puts them back; install-bridge makes a new one.',
  },
  lookAgain: { title: 'Look again and plan anew', payload: noPayload },
  retry: { title: 'Try again', payload: noPayload },
  giveUp: { title: 'End here as failed', payload: noPayload },
} as const;

const stillThere = {
  code: 'BRIDGE_STILL_THERE',
  message: 'A bridge that was removed stands there again.',
  fix: 'Look in Dokploy who deployed it, then try again.',
  retry: 'never' as const,
};

const machine = setup({
  types: {
    input: {} as z.infer<typeof input>, // type carriers: XState reads their types, never their values
    context: {} as Context,
    events: {} as { type: keyof typeof events },
    meta: {} as StateMeta,
  },
  actors: {
    'bridge.planRemoval@1': actorOf(contracts['bridge.planRemoval@1']),
    'bridge.removeBridges@1': actorOf(contracts['bridge.removeBridges@1']),
  },
}).createMachine({
  id: 'remove-bridge',
  context: ({ input: { target } }) => ({ target, plan: null, planHash: null, approvalNote: null, removal: null, error: null }),
  initial: 'planning',
  output: ({ context: { target, plan, removal, error } }) => ({
    target,
    removed: (removal?.removed ?? []).map(({ appName }) => appName),
    kept: removal?.kept ?? [],
    stays: (plan?.stays ?? []).map(({ appName, host, why }) => ({ appName, host, why })),
    error,
  }),
  states: {
    planning: {
      meta: { title: 'Looking which bridges stand there', step: 1 },
      invoke: {
        id: 'plan',
        src: 'bridge.planRemoval@1',
        input: ({ context: { target } }) => ({ target }),
        onDone: [
          {
            guard: ({ event }) => event.output.remove.length === 0,
            target: 'done',
            actions: assign(({ event }) => ({ plan: event.output })),
          },
          {
            target: 'review',
            actions: assign(({ event: { output } }) => ({ plan: output, planHash: output.planHash, approvalNote: noteOf(output) })),
          },
        ],
        onError: { target: 'notRemoved', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    review: {
      meta: {
        title: 'Remove these bridges?',
        step: 2,
        checkpoint: 'review',
        releases: true,
        events: { approve: events.approve, lookAgain: events.lookAgain },
      },
      on: { approve: { target: 'removing', actions: assign({ error: null }) }, lookAgain: { target: 'planning' } },
    },
    removing: {
      meta: { title: 'Removing the bridges', step: 3 },
      invoke: {
        id: 'remove',
        src: 'bridge.removeBridges@1',
        input: ({ context: { target, plan } }) => {
          const { plan: reference, planHash } = need(plan, 'plan');
          return { target, plan: reference, planHash };
        },
        onDone: { target: 'proving', actions: assign(({ event }) => ({ removal: event.output })) },
        onError: { target: 'notRemoved', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    proving: {
      meta: { title: 'Looking whether they are gone', step: 4 },
      invoke: {
        id: 'prove',
        src: 'bridge.planRemoval@1',
        input: ({ context: { target } }) => ({ target }),
        onDone: [
          {
            guard: ({ context, event }) => standsAgain(context, event.output),
            target: 'notRemoved',
            actions: assign({ error: stillThere }),
          },
          { target: 'done' },
        ],
        onError: { target: 'notRemoved', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    notRemoved: {
      meta: { title: 'The bridges were not removed', step: 4, events: { retry: events.retry, giveUp: events.giveUp } },
      on: { retry: { target: 'planning', actions: assign({ error: null }) }, giveUp: { target: 'failed' } },
    },
    done: { type: 'final', meta: { title: 'No bridge is left whose use is over', step: 4, outcome: 'done' } },
    failed: { type: 'final', meta: { title: 'Bridges may be left', step: 4, outcome: 'failed' } },
  },
});

function noteOf({ remove, stays }: Plan): string {
  const named = (bridges: Plan['remove']) =>
    bridges.map(({ appName, host, why }) => `${appName} at ${host ?? 'no host'} (${why})`).join(', ');
  return [`To be removed: ${named(remove)}.`, ...(stays.length === 0 ? [] : [`Left alone: ${named(stays)}.`])].join(' ');
}

/** What was not deleted is as left over as it was. */
function standsAgain({ removal }: Context, { remove }: Plan): boolean {
  return remove.some((bridge) => removal?.removed.some(({ composeId }) => composeId === bridge.composeId));
}

export const removeBridge = {
  name: 'remove-bridge',
  title: 'Remove bridges whose use is over',
  description:
    'Finds the bridges in the project of a target, and removes after approval those of this installation whose use is over: their run has ended, their hour has passed, or their target does not name them. One that is in use, or of another installation, is shown and left alone. Risk: what is removed is gone; nothing of the instance itself is touched. Usual duration: seconds after the approval.',
  aliases: ['remove_bridge', 'dokploy_remove_bridge'],
  revision: 1,
  machine,
  input,
  steps: [
    'look: which bridges stand there, and whose',
    'review: needs approval',
    'remove: their services are deleted',
    'prove: a new look finds none',
  ],
  show: ['target', 'plan', 'removal'],
} as const satisfies WorkflowDefinition;
