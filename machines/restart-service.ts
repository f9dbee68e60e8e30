/**
 * Restarting containers of a running instance. Invariants:
 * 1. The preview names every container and says whether the database is among them; nothing is restarted before it is approved.
 * 2. Success is the containers' own start, their health and live requests; requests that failed before are told, not held against it.
 * 3. A restart changes no setting and picks none up: there is nothing to take back, and the plan says so.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import type { planRestart, restartContainers } from './effects/restart.ts';
import { targetName } from './effects/shapes.ts';
import { brokenSince, type Health, notProven, type Proof } from './live-proof.ts';
import { need, type RunError, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const input = z.strictObject({
  target: targetName,
  service: z
    .string()
    .regex(/^[A-Za-z0-9][\w.-]{0,63}$/, 'give the name of one compose service, such as kong')
    .optional()
    .describe('One service, such as kong or db. Default: all'),
});

type Context = {
  target: string;
  service: string | null;
  plan: z.infer<(typeof planRestart)['output']> | null;
  /** What an approval is bound to (A1). */
  planHash: string | null;
  before: Proof | null;
  restarted: z.infer<(typeof restartContainers)['output']> | null;
  health: Health | null;
  after: Proof | null;
  error: RunError | null;
  warnings: { code: string; say: string }[];
};

const events = {
  approve: {
    title: 'Restart as planned',
    payload: noPayload,
    confirm: 'Restart the containers that the plan names; what they serve is interrupted meanwhile.',
  },
  lookAgain: { title: 'Look again whether it works', payload: noPayload },
  retry: { title: 'Plan the restart anew', payload: noPayload },
  giveUp: { title: 'End here as failed', payload: noPayload },
} as const;

const answered = { error: null };

const machine = setup({
  types: {
    input: {} as z.infer<typeof input>, // type carriers: XState reads their types, never their values
    context: {} as Context,
    events: {} as { type: 'approve' } | { type: 'lookAgain' } | { type: 'retry' } | { type: 'giveUp' },
    meta: {} as StateMeta,
  },
  actors: {
    'dokploy.planRestart@1': actorOf(contracts['dokploy.planRestart@1']),
    'dokploy.restartContainers@1': actorOf(contracts['dokploy.restartContainers@1']),
    'target.proveLive@1': actorOf(contracts['target.proveLive@1']),
    'target.awaitHealth@1': actorOf(contracts['target.awaitHealth@1']),
  },
}).createMachine({
  id: 'restart-service',
  context: ({ input: { target, service } }) => ({
    target,
    service: service ?? null,
    plan: null,
    planHash: null,
    before: null,
    restarted: null,
    health: null,
    after: null,
    error: null,
    warnings: [],
  }),
  initial: 'planning',
  output: ({ context }) => ({
    target: context.target,
    restarted: context.restarted?.restarted ?? [],
    health: context.health,
    checks: context.after?.checks ?? [],
    error: context.error,
  }),
  states: {
    planning: {
      meta: { title: 'Looking which containers there are', step: 1 },
      invoke: {
        id: 'plan',
        src: 'dokploy.planRestart@1',
        input: ({ context: { target, service } }) => ({ target, service }),
        onDone: { target: 'provingBefore', actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash })) },
        onError: { target: 'failed', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    provingBefore: {
      meta: { title: 'Trying the instance before the restart', step: 1 },
      invoke: {
        id: 'proveBefore',
        src: 'target.proveLive@1',
        input: ({ context: { target } }) => ({ target }),
        onDone: { target: 'review', actions: assign(({ event }) => ({ before: event.output })) },
        onError: { target: 'review', actions: assign({ before: null }) },
      },
    },
    review: {
      meta: { title: 'Restart these containers?', step: 2, checkpoint: 'review', releases: true, events: { approve: events.approve } },
      on: { approve: { target: 'restarting', actions: assign(answered) } },
    },
    restarting: {
      meta: { title: 'Restarting', step: 3 },
      invoke: {
        id: 'restart',
        src: 'dokploy.restartContainers@1',
        input: ({ context: { target, plan } }) => {
          const { plan: reference, planHash } = need(plan, 'plan');
          return { target, plan: reference, planHash };
        },
        onDone: { target: 'awaitingHealth', actions: assign(({ event }) => ({ restarted: event.output })) },
        onError: { target: 'notProven', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    awaitingHealth: {
      meta: { title: 'Waiting until the containers are healthy', step: 4 },
      invoke: {
        id: 'awaitHealth',
        src: 'target.awaitHealth@1',
        input: ({ context: { target, plan } }) => ({ target, services: need(plan, 'plan').containers.map(({ service }) => service) }),
        onDone: { target: 'provingAfter', actions: assign(({ event }) => ({ health: event.output })) },
        onError: { target: 'notProven', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    provingAfter: {
      meta: { title: 'Trying the instance after the restart', step: 4 },
      invoke: {
        id: 'proveAfter',
        src: 'target.proveLive@1',
        input: ({ context: { target } }) => ({ target, patienceMs: 60_000 }),
        onDone: [
          {
            guard: ({ context, event }) => brokenSince(context.before, event.output).length === 0,
            target: 'done',
            actions: assign(({ event }) => ({ after: event.output, warnings: notProven(event.output) })),
          },
          {
            target: 'notProven',
            actions: assign(({ context, event }) => ({
              after: event.output,
              error: {
                code: 'CHECKS_BROKEN',
                message: `Live checks that passed before the restart fail now: ${brokenSince(context.before, event.output).join(', ')}.`,
                fix: 'Look again in a moment; read the logs of these services (read_logs).',
                retry: 'never' as const,
              },
            })),
          },
        ],
        onError: { target: 'notProven', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    notProven: {
      meta: {
        title: 'The restart is not proven to have gone well',
        step: 4,
        events: { lookAgain: events.lookAgain, retry: events.retry, giveUp: events.giveUp },
      },
      on: {
        lookAgain: { target: 'awaitingHealth', actions: assign(answered) },
        retry: { target: 'planning', actions: assign(answered) },
        giveUp: { target: 'failed' },
      },
    },
    done: { type: 'final', meta: { title: 'Restarted and proven', step: 4, outcome: 'done' } },
    failed: { type: 'final', meta: { title: 'Not restarted, or not proven', step: 4, outcome: 'failed' } },
  },
});

export const restartService = {
  name: 'restart-service',
  title: 'Restart a service, proven',
  description:
    'Restarts one container or all containers of an instance and proves by their health and by live requests that it works again. A restart does not pick up a changed environment (rebuild does). Risk: what is restarted is not served meanwhile; with the database everything is. Usual duration: 1 minute.',
  aliases: ['restart_service', 'dokploy_restart_service'],
  revision: 1,
  machine,
  input,
  steps: [
    'plan: which containers, whether the database; live requests before',
    'review: needs approval',
    'restart: one after the other, the database first, the gateway last',
    'prove: health of these containers and live requests',
  ],
  show: ['target', 'service', 'plan', 'before', 'restarted', 'health', 'after'],
} as const satisfies WorkflowDefinition;
