/**
 * A relay beside a target whose database publishes no port. Invariants:
 * 1. Nothing is deployed before the plan was approved; what is deployed is its text.
 * 2. The relay goes when it was used: by `remove`, by its hour, or by a rollback.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { bridgeWish, type installRelay, type planInstallation, type proveBridge } from './effects/bridge.ts';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import { targetName } from './effects/shapes.ts';
import { need, type RunError, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const input = z.strictObject({
  target: targetName,
  host: bridgeWish.shape.host,
});

type Context = {
  target: string;
  host: string;
  plan: z.infer<(typeof planInstallation)['output']> | null;
  /** What an approval is bound to (A1). */
  planHash: string | null;
  /** Stands in the question to the person. */
  approvalNote: string | null;
  bridge: z.infer<(typeof installRelay)['output']> | null;
  proof: z.infer<(typeof proveBridge)['output']> | null;
  removed: boolean;
  error: RunError | null;
};

const events = {
  approve: {
    title: 'Deploy the bridge as planned',
    payload: noPayload,
    confirm: 'Deploy a relay beside this target, through which whoever holds its key can speak to the database.',
  },
  lookAgain: { title: 'Look again and plan anew', payload: noPayload },
  retry: { title: 'Try again', payload: noPayload },
  remove: { title: 'Remove the bridge, its use is over', payload: noPayload },
  giveUp: { title: 'End here without a bridge', payload: noPayload },
} as const;

type Event = { type: keyof typeof events };

const machine = setup({
  types: {
    input: {} as z.infer<typeof input>, // type carriers: XState reads their types, never their values
    context: {} as Context,
    events: {} as Event,
    meta: {} as StateMeta,
  },
  actors: {
    'bridge.planInstallation@1': actorOf(contracts['bridge.planInstallation@1']),
    'bridge.installRelay@1': actorOf(contracts['bridge.installRelay@1']),
    'target.noteBridge@1': actorOf(contracts['target.noteBridge@1']),
    'bridge.prove@1': actorOf(contracts['bridge.prove@1']),
    'bridge.removeRelay@1': actorOf(contracts['bridge.removeRelay@1']),
  },
}).createMachine({
  id: 'install-bridge',
  context: ({ input: { target, host } }) => ({
    target,
    host,
    plan: null,
    planHash: null,
    approvalNote: null,
    bridge: null,
    proof: null,
    removed: false,
    error: null,
  }),
  initial: 'planning',
  output: ({ context: { target, bridge, proof, removed, error } }) => ({
    target,
    url: bridge?.url ?? null,
    role: proof?.role ?? null,
    removed,
    error,
  }),
  states: {
    planning: {
      meta: { title: 'Finding the network of the database', step: 1 },
      invoke: {
        id: 'plan',
        src: 'bridge.planInstallation@1',
        input: ({ context: { target, host } }) => ({ target, host }),
        onDone: {
          target: 'review',
          actions: assign(({ context, event: { output } }) => ({
            plan: output,
            planHash: output.planHash,
            approvalNote: [`On ${context.target} at https://${context.host}, until ${output.until}.`, ...output.notes].join(' '),
          })),
        },
        onError: { target: 'notInstalled', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    review: {
      meta: {
        title: 'Deploy this bridge?',
        step: 2,
        checkpoint: 'review',
        releases: true,
        events: { approve: events.approve, lookAgain: events.lookAgain },
      },
      on: { approve: { target: 'installing', actions: assign({ error: null }) }, lookAgain: { target: 'planning' } },
    },
    installing: {
      meta: { title: 'Deploying the bridge', step: 3 },
      invoke: {
        id: 'install',
        src: 'bridge.installRelay@1',
        input: ({ context }) => approvedOf(context),
        onDone: { target: 'noting', actions: assign(({ event }) => ({ bridge: event.output })) },
        onError: { target: 'notProven', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    noting: {
      meta: { title: 'Noting the bridge at the target', step: 3 },
      invoke: {
        id: 'note',
        src: 'target.noteBridge@1',
        input: ({ context }) => standingOf(context),
        onDone: { target: 'proving' },
        onError: { target: 'notProven', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    proving: {
      meta: { title: 'Reaching the database through the bridge', step: 4 },
      invoke: {
        id: 'prove',
        src: 'bridge.prove@1',
        input: ({ context: { target } }) => ({ target }),
        onDone: { target: 'inUse', actions: assign(({ event }) => ({ proof: event.output })) },
        onError: { target: 'notProven', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    inUse: {
      meta: {
        title: 'The bridge stands; remove it when its use is over',
        step: 5,
        checkpoint: 'inUse',
        releases: true,
        events: { remove: events.remove },
      },
      on: { remove: { target: 'removing', actions: assign({ error: null }) } },
      // Four hours; the relay itself ends a little later (effects/bridge).
      after: { 14400000: { target: 'removing' } },
    },
    notProven: {
      meta: {
        title: 'The bridge does not work',
        step: 4,
        events: { retry: events.retry },
        rollback: { to: 'review', when: 'offered' },
      },
      // What stands already is found and used.
      on: { retry: { target: 'installing', actions: assign({ error: null }) } },
    },
    notInstalled: {
      meta: { title: 'No bridge was installed', step: 1, releases: true, events: { lookAgain: events.lookAgain, giveUp: events.giveUp } },
      on: { lookAgain: { target: 'planning', actions: assign({ error: null }) }, giveUp: { target: 'failed' } },
    },
    removing: {
      meta: { title: 'Removing the bridge', step: 6 },
      invoke: {
        id: 'remove',
        src: 'bridge.removeRelay@1',
        input: ({ context }) => standingOf(context),
        onDone: { target: 'done', actions: assign({ removed: true }) },
        onError: { target: 'notRemoved', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    notRemoved: {
      meta: { title: 'The bridge was not removed', step: 6, events: { retry: events.retry } },
      on: { retry: { target: 'removing', actions: assign({ error: null }) } },
    },
    done: { type: 'final', meta: { title: 'The bridge was used and removed', step: 6, outcome: 'done' } },
    failed: { type: 'final', meta: { title: 'No bridge was installed', step: 6, outcome: 'failed' } },
  },
});

function approvedOf({ target, plan }: Context) {
  const { plan: reference, planHash } = need(plan, 'plan');
  return { target, plan: reference, planHash };
}

function standingOf(context: Context) {
  return { ...approvedOf(context), composeId: need(context.bridge, 'bridge').composeId };
}

export const installBridge = {
  name: 'install-bridge',
  title: 'Bridge to a database without a published port',
  description:
    'Deploys a small relay beside a target on a Dokploy, joined to the network of its database and reached over https with a one-time token for each stream, proves a session through it, and removes it when its use is over: on `remove`, after four hours, or by a rollback. Risk: while it stands, whoever holds its key can try logins at the database. Usual duration: 1 to 3 minutes after the approval.',
  aliases: ['install_bridge', 'dokploy_install_bridge'],
  revision: 1,
  machine,
  input,
  steps: [
    'plan: the network of the database as it is deployed, a key pair, the text of the relay',
    'review: needs approval',
    'install: a service of its own, a route with https, no published port',
    'prove: a session through it',
    'in use: every session may go through it; ends by `remove` or after four hours',
    'remove: the service is deleted and the target forgets it',
  ],
  show: ['target', 'host', 'plan', 'bridge', 'proof'],
} as const satisfies WorkflowDefinition;
