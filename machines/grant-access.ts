/**
 * Giving a role the rights it lacks in a schema. Invariants:
 * 1. What is sent is what was approved: the missing grants, object by object, stand in the plan.
 * 2. The way back revokes those alone; a right that stood there before stays.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { accessWish, type grantRights, type planGrants } from './effects/access.ts';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import { targetName } from './effects/shapes.ts';
import { need, type RunError, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const input = z.strictObject({ target: targetName, ...accessWish.shape });

type Context = z.infer<typeof input> & {
  plan: z.infer<(typeof planGrants)['output']> | null;
  /** What an approval is bound to (A1). */
  planHash: string | null;
  /** Stands in the question to the person. */
  approvalNote: string | null;
  result: z.infer<(typeof grantRights)['output']> | null;
  error: RunError | null;
};

const events = {
  approve: {
    title: 'Give the rights as planned',
    payload: noPayload,
    confirm: 'Give this role the named rights in the database of this target.',
  },
  lookAgain: { title: 'Look again and plan anew', payload: noPayload },
  giveUp: { title: 'End here without a change', payload: noPayload },
} as const;

const machine = setup({
  types: {
    input: {} as z.infer<typeof input>, // type carriers: XState reads their types, never their values
    context: {} as Context,
    events: {} as { type: 'approve' } | { type: 'lookAgain' } | { type: 'giveUp' },
    meta: {} as StateMeta,
  },
  actors: {
    'postgres.planGrants@1': actorOf(contracts['postgres.planGrants@1']),
    'postgres.grantRights@1': actorOf(contracts['postgres.grantRights@1']),
  },
}).createMachine({
  id: 'grant-access',
  context: ({ input: wish }) => ({ ...wish, plan: null, planHash: null, approvalNote: null, result: null, error: null }),
  initial: 'planning',
  output: ({ context: { target, role, schema, want, result, error } }) => ({
    target,
    role,
    schema,
    want,
    granted: result?.granted ?? 0,
    error,
  }),
  states: {
    planning: {
      meta: { title: 'Seeing which rights are missing', step: 1 },
      invoke: {
        id: 'plan',
        src: 'postgres.planGrants@1',
        input: ({ context: { target, role, schema, want } }) => ({ target, role, schema, want }),
        onDone: [
          {
            guard: ({ event }) => event.output.nothing,
            target: 'nothingMissing',
            actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash })),
          },
          {
            target: 'review',
            actions: assign(({ context, event: { output } }) => ({
              plan: output,
              planHash: output.planHash,
              approvalNote: noteOf(context, output),
            })),
          },
        ],
        onError: { target: 'notGranted', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    review: {
      meta: {
        title: 'Give these rights?',
        step: 2,
        checkpoint: 'review',
        releases: true,
        events: { approve: events.approve, lookAgain: events.lookAgain },
      },
      on: { approve: { target: 'granting', actions: assign({ error: null }) }, lookAgain: { target: 'planning' } },
    },
    granting: {
      meta: { title: 'Giving the rights', step: 3 },
      invoke: {
        id: 'grant',
        src: 'postgres.grantRights@1',
        input: ({ context: { target, plan } }) => {
          const { plan: reference, planHash } = need(plan, 'plan');
          return { target, plan: reference, planHash };
        },
        onDone: { target: 'done', actions: assign(({ event }) => ({ result: event.output })) },
        onError: { target: 'notGranted', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    notGranted: {
      meta: { title: 'No right was given', step: 3, releases: true, events: { lookAgain: events.lookAgain, giveUp: events.giveUp } },
      on: { lookAgain: { target: 'planning', actions: assign({ error: null }) }, giveUp: { target: 'failed' } },
    },
    done: { type: 'final', meta: { title: 'The rights are given', step: 3, outcome: 'done' } },
    nothingMissing: { type: 'final', meta: { title: 'No right was missing; nothing was changed', step: 3, outcome: 'done' } },
    failed: { type: 'final', meta: { title: 'No right was given', step: 3, outcome: 'failed' } },
  },
});

/** Role and schema are quoted: they are names from outside. */
function noteOf({ target, role, schema, want }: Context, { objects, by, notes }: z.infer<(typeof planGrants)['output']>): string {
  return [`On ${target} as ${by}: ${want} for ${JSON.stringify(role)} in ${JSON.stringify(schema)}, ${objects} objects.`, ...notes].join(
    ' ',
  );
}

export const grantAccess = {
  name: 'grant-access',
  title: 'Give a role the rights it lacks in a schema',
  description:
    'Gives a role the rights to read or write a schema that check_access found missing: exactly those grants, in one transaction, after a person approved them; the rollback revokes those and nothing else. Tables that are made later are not among them. Risk: tables without row security become readable to everybody who has the role. Usual duration: seconds.',
  aliases: ['grant_access', 'setup_permissions', 'dokploy_grant_access'],
  revision: 1,
  machine,
  input,
  steps: [
    'plan: what is missing, object by object; tables without row security are named',
    'review: the grants; needs approval',
    'grant: one transaction; undone by revoking what it gave',
  ],
  show: ['target', 'role', 'schema', 'want', 'plan', 'result'],
} as const satisfies WorkflowDefinition;
