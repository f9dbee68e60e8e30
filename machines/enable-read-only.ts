/**
 * Giving supabase_read_only_user a login, so that an agent's reading SQL runs as a role that can do nothing else. Invariants:
 * 1. The password is made here and kept as a secret of the target; the database gets its verifier only.
 * 2. The way back puts the earlier verifier, or none, and the earlier record of the target back.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import type { planReadLogin, proveReadLogin } from './effects/access.ts';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import { targetName } from './effects/shapes.ts';
import { need, type RunError, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const input = z.strictObject({
  target: targetName,
  renew: z.boolean().optional().describe('Also where the target has a password that works. Default: false'),
});

type Context = {
  target: string;
  renew: boolean;
  plan: z.infer<(typeof planReadLogin)['output']> | null;
  /** What an approval is bound to (A1). */
  planHash: string | null;
  /** Stands in the question to the person. */
  approvalNote: string | null;
  proof: z.infer<(typeof proveReadLogin)['output']> | null;
  error: RunError | null;
};

const events = {
  approve: {
    title: 'Give the role its password',
    payload: noPayload,
    confirm: 'Give supabase_read_only_user of this target a new password; whoever uses an earlier one can no longer log in.',
  },
  lookAgain: { title: 'Look again and plan anew', payload: noPayload },
  retry: { title: 'Try the login again', payload: noPayload },
  giveUp: { title: 'End here without a change', payload: noPayload },
} as const;

const machine = setup({
  types: {
    input: {} as z.infer<typeof input>, // type carriers: XState reads their types, never their values
    context: {} as Context,
    events: {} as { type: 'approve' } | { type: 'lookAgain' } | { type: 'retry' } | { type: 'giveUp' },
    meta: {} as StateMeta,
  },
  actors: {
    'postgres.planReadLogin@1': actorOf(contracts['postgres.planReadLogin@1']),
    'postgres.setReadLogin@1': actorOf(contracts['postgres.setReadLogin@1']),
    'target.noteReadLogin@1': actorOf(contracts['target.noteReadLogin@1']),
    'postgres.proveReadLogin@1': actorOf(contracts['postgres.proveReadLogin@1']),
  },
}).createMachine({
  id: 'enable-read-only',
  context: ({ input: { target, renew } }) => ({
    target,
    renew: renew ?? false,
    plan: null,
    planHash: null,
    approvalNote: null,
    proof: null,
    error: null,
  }),
  initial: 'planning',
  output: ({ context: { target, plan, proof, error } }) => ({ target, role: plan?.role ?? null, usedBy: proof?.rung ?? null, error }),
  states: {
    planning: {
      meta: { title: 'Looking at the reading role', step: 1 },
      invoke: {
        id: 'plan',
        src: 'postgres.planReadLogin@1',
        input: ({ context: { target, renew } }) => ({ target, renew }),
        onDone: [
          {
            guard: ({ event }) => event.output.nothing,
            target: 'alreadyThere',
            actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash })),
          },
          {
            target: 'review',
            actions: assign(({ context, event: { output } }) => ({
              plan: output,
              planHash: output.planHash,
              approvalNote: [`On ${context.target} as ${output.by}.`, ...output.notes].join(' '),
            })),
          },
        ],
        onError: { target: 'notEnabled', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    review: {
      meta: {
        title: 'Give the reading role a password?',
        step: 2,
        checkpoint: 'review',
        releases: true,
        events: { approve: events.approve, lookAgain: events.lookAgain },
      },
      on: { approve: { target: 'setting', actions: assign({ error: null }) }, lookAgain: { target: 'planning' } },
    },
    setting: {
      meta: { title: 'Giving the role its password', step: 3 },
      invoke: {
        id: 'set',
        src: 'postgres.setReadLogin@1',
        input: ({ context }) => approvedOf(context),
        onDone: { target: 'noting' },
        onError: { target: 'notEnabled', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    noting: {
      meta: { title: 'Noting the secret at the target', step: 3 },
      invoke: {
        id: 'note',
        src: 'target.noteReadLogin@1',
        input: ({ context }) => approvedOf(context),
        onDone: { target: 'proving' },
        onError: { target: 'notProven', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    proving: {
      meta: { title: 'Logging in as the reading role', step: 4 },
      invoke: {
        id: 'prove',
        src: 'postgres.proveReadLogin@1',
        input: ({ context: { target } }) => ({ target }),
        onDone: { target: 'done', actions: assign(({ event }) => ({ proof: event.output })) },
        onError: { target: 'notProven', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    notProven: {
      meta: {
        title: 'The new login was not proven',
        step: 4,
        events: { retry: events.retry },
        rollback: { to: 'review', when: 'offered' },
      },
      // Noting again does nothing where the record names the secret already.
      on: { retry: { target: 'noting', actions: assign({ error: null }) } },
    },
    notEnabled: {
      meta: { title: 'Nothing was changed', step: 3, releases: true, events: { lookAgain: events.lookAgain, giveUp: events.giveUp } },
      on: { lookAgain: { target: 'planning', actions: assign({ error: null }) }, giveUp: { target: 'failed' } },
    },
    done: { type: 'final', meta: { title: 'Reading SQL runs as the reading role', step: 4, outcome: 'done' } },
    alreadyThere: { type: 'final', meta: { title: 'The reading role had its password; nothing was changed', step: 4, outcome: 'done' } },
    failed: { type: 'final', meta: { title: 'Nothing was changed', step: 4, outcome: 'failed' } },
  },
});

function approvedOf({ target, plan }: Context) {
  const { plan: reference, planHash } = need(plan, 'plan');
  return { target, plan: reference, planHash };
}

export const enableReadOnly = {
  name: 'enable-read-only',
  title: 'Give the reading role of an instance a login',
  description:
    'Gives supabase_read_only_user a password (made here, sent as a verifier, kept as a secret of the target) and proves the login: from then on execute_sql reads as a role that can do nothing else. Risk: an earlier password of that role stops working. Usual duration: seconds.',
  aliases: ['enable_read_only', 'read_only_role', 'dokploy_enable_read_only'],
  revision: 1,
  machine,
  input,
  steps: [
    'plan: has the role a login, does the target know it; a password is made',
    'review: needs approval',
    'set: the verifier goes to the database, the secret to the target; both are taken back by a rollback',
    'prove: the way that reading SQL takes now, and as whom',
  ],
  show: ['target', 'plan', 'proof'],
} as const satisfies WorkflowDefinition;
