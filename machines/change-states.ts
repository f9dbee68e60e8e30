/**
 * The states that every change of a running instance shares (design §7). Invariants:
 * 1. Nothing is written before `review` was approved; the way back is the checkpoint `review`.
 * 2. Health and live probes decide, never Dokploy's status.
 * 3. The automatic return is taken only where the probes were green before the first write.
 * 4. `planning` differs by title, planner and request alone; it leads to `deciding`, or to where no plan could be made.
 */
import { assign } from 'xstate';
import type { z } from 'zod';
import { type ChangeContext, type ChangeStep, changeOf, plannedFor, serviceOf } from './change-context.ts';
import { changeEvents as events } from './change-events.ts';
import { answeredChange as answered, change, requestOf } from './change-setup.ts';
import type { contracts } from './effects/registry.ts';
import { need, toRunError } from './run-context.ts';

export const failure = (failedAt: ChangeStep, error: unknown) => ({ failedAt, error: toRunError(error) });

/** A look anew forgets what the last one found. */
export const fromStart = { service: null, before: null, wasGreen: false, plan: null, planHash: null, failedAt: null };

const proofFailed = ({ after }: Pick<ChangeContext, 'after'>) => ({
  code: 'CHANGE_NOT_PROVEN',
  message: `The changed instance did not pass its live checks: ${after?.say ?? 'nothing could be asked'}.`,
  fix: 'Retry to check again, roll back to the review, or accept it knowingly.',
  retry: 'never' as const,
});

/** Looking and proving: reads only. */
export const lookStates = {
  looking: change.createStateConfig({
    meta: { title: 'Reading the instance', step: 1 },
    invoke: {
      id: 'look',
      src: 'target.takeSnapshot@1',
      input: ({ context }) => ({ target: context.target, why: 'before a change' }),
      onDone: { target: 'provingBefore', actions: assign(({ event }) => ({ service: event.output })) },
      onError: { target: 'planFailed', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),
  provingBefore: change.createStateConfig({
    meta: { title: 'Proving how it is now', step: 1 },
    invoke: {
      id: 'proveBefore',
      src: 'target.prove@1',
      input: ({ context }) => ({ ...serviceOf(context), snapshot: need(context.service, 'service').snapshot, plan: null }),
      onDone: {
        target: 'planning',
        actions: assign(({ event }) => ({ before: event.output, wasGreen: event.output.verdict === 'passed' })),
      },
      // What could not be proven counts as not green; the plan is made all the same.
      onError: { target: 'planning', actions: assign({ before: null, wasGreen: false }) },
    },
  }),
  deciding: change.createStateConfig({
    meta: { title: 'Deciding', step: 2 },
    always: [{ guard: 'nothingToDo', target: 'nothingToDo' }, { target: 'review' }],
  }),
  planFailed: change.createStateConfig({
    meta: { title: 'No plan could be made', step: 2, releases: true, events: { lookAgain: events.lookAgain } },
    on: { lookAgain: { target: 'looking', actions: assign({ ...answered, ...fromStart }) } },
  }),
  review: change.createStateConfig({
    meta: {
      title: 'Review the change',
      step: 3,
      checkpoint: 'review',
      releases: true,
      events: { approve: events.approve, lookAgain: events.lookAgain },
    },
    on: {
      approve: [
        { guard: 'onlyDatabase', target: 'storingSecret', actions: assign(answered) },
        { target: 'writing', actions: assign(answered) },
      ],
      lookAgain: { target: 'looking', actions: assign({ ...answered, ...fromStart }) },
    },
  }),
};

type Planner = Extract<keyof typeof contracts, `${string}.planChange@1`>;

/** What is to change. Each planner is asked for a request of its own, which `schema` checks (an empty one: nothing is asked). */
export function planningState(title: string, planner: Planner, schema: z.ZodType, failed = 'planFailed') {
  const state = change.createStateConfig({
    meta: { title, step: 2 },
    invoke: {
      id: 'plan',
      src: 'rebuild.planChange@1',
      input: ({ context }) => ({ ...plannedFor(context), request: requestOf(schema, context) as Record<string, never> }),
      onDone: {
        target: 'deciding',
        actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash, warnings: event.output.warnings })),
      },
      onError: { target: failed, actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  });
  // XState types an input by its source; all planners take and give the same but for the request, which their own contract checks.
  return { ...state, invoke: { ...state.invoke, src: planner } } as typeof state;
}

/** From the approval to the proof. */
export const applyStates = {
  writing: change.createStateConfig({
    meta: { title: 'Writing the configuration', step: 4 },
    invoke: {
      id: 'write',
      src: 'dokploy.writeConfiguration@1',
      input: ({ context }) => changeOf(context),
      onDone: { target: 'deploying', actions: assign(({ event }) => ({ written: event.output })) },
      onError: { target: 'changeFailed', actions: assign(({ event }) => failure('writing', event.error)) },
    },
  }),
  deploying: change.createStateConfig({
    meta: { title: 'Deploying', step: 4 },
    invoke: {
      id: 'deploy',
      src: 'dokploy.redeploy@1',
      input: ({ context }) => changeOf(context),
      onDone: { target: 'awaitingHealth', actions: assign(({ event }) => ({ deployment: event.output })) },
      onError: { target: 'changeFailed', actions: assign(({ event }) => failure('deploying', event.error)) },
    },
  }),
  awaitingHealth: change.createStateConfig({
    meta: { title: 'Waiting until every service is healthy', step: 4 },
    invoke: {
      id: 'awaitHealth',
      src: 'dokploy.awaitHealth@1',
      input: ({ context }) => {
        const { dokploy, composeId, appName, plan, planHash } = changeOf(context);
        return { dokploy, composeId, appName, plan, planHash, deploymentId: need(context.deployment, 'deployment').deploymentId };
      },
      onDone: [
        { guard: 'databaseToo', target: 'storingSecret', actions: assign(({ event }) => ({ health: event.output })) },
        { target: 'proving', actions: assign(({ event }) => ({ health: event.output })) },
      ],
      onError: [
        { guard: 'wasGreen', target: 'returning', actions: assign(({ event }) => failure('awaitingHealth', event.error)) },
        { target: 'changeFailed', actions: assign(({ event }) => failure('awaitingHealth', event.error)) },
      ],
    },
  }),
  storingSecret: change.createStateConfig({
    meta: { title: 'Telling the database the JWT secret', step: 4 },
    invoke: {
      id: 'storeSecret',
      src: 'supabase.storeJwtSecret@1',
      input: ({ context }) => changeOf(context),
      onDone: { target: 'proving', actions: assign(({ event }) => ({ stored: event.output })) },
      onError: { target: 'changeFailed', actions: assign(({ event }) => failure('storingSecret', event.error)) },
    },
  }),
  proving: change.createStateConfig({
    meta: { title: 'Proving the changed instance', step: 5 },
    invoke: {
      id: 'prove',
      src: 'target.prove@1',
      input: ({ context }) => {
        const { plan, planHash, ...service } = changeOf(context);
        return { ...service, snapshot: need(context.service, 'service').snapshot, plan: { plan, planHash } };
      },
      onDone: { target: 'judging', actions: assign(({ event }) => ({ after: event.output })) },
      onError: { target: 'changeFailed', actions: assign(({ event }) => failure('proving', event.error)) },
    },
  }),
  judging: change.createStateConfig({
    meta: { title: 'Judging', step: 5 },
    always: [
      { guard: ({ context }) => context.after?.verdict === 'passed', target: 'noting' },
      { guard: 'wasGreen', target: 'returning', actions: assign(({ context }) => failure('proving', proofFailed(context))) },
      { target: 'changeFailed', actions: assign(({ context }) => failure('proving', proofFailed(context))) },
    ],
  }),
  noting: change.createStateConfig({
    meta: { title: 'Noting the change', step: 6 },
    invoke: {
      id: 'note',
      src: 'target.noteChange@1',
      input: ({ context }) => changeOf(context),
      onDone: { target: 'done', actions: assign(({ event }) => ({ noted: event.output, failedAt: null })) },
      onError: { target: 'changeFailed', actions: assign(({ event }) => failure('noting', event.error)) },
    },
  }),
};

/** Where it went wrong, and the ends. */
export const endStates = {
  changeFailed: change.createStateConfig({
    meta: {
      title: 'The change did not succeed',
      step: 5,
      events: { retry: events.retry, acceptWithWarning: events.acceptWithWarning },
      rollback: { to: 'review', when: 'offered' },
    },
    on: {
      retry: [
        { guard: ({ context }) => context.failedAt === 'writing', target: 'writing', actions: assign(answered) },
        {
          guard: ({ context, event }) => context.failedAt === 'deploying' || (event.redeploy === true && context.plan?.kind !== 'database'),
          target: 'deploying',
          actions: assign(answered),
        },
        { guard: ({ context }) => context.failedAt === 'awaitingHealth', target: 'awaitingHealth', actions: assign(answered) },
        { guard: ({ context }) => context.failedAt === 'storingSecret', target: 'storingSecret', actions: assign(answered) },
        { guard: ({ context }) => context.failedAt === 'noting', target: 'noting', actions: assign(answered) },
        { target: 'proving', actions: assign(answered) },
      ],
      acceptWithWarning: {
        target: 'noting',
        actions: assign(({ context }) => ({
          ...answered,
          warnings: [
            ...context.warnings,
            { code: 'CHANGE_NOT_PROVEN', say: 'The change was kept by a person although not every check passed.' },
          ],
        })),
      },
    },
  }),
  returning: change.createStateConfig({
    meta: { title: 'Returning to the earlier configuration', step: 5 },
    invoke: {
      id: 'return',
      src: 'dokploy.returnConfiguration@1',
      input: ({ context }) => changeOf(context),
      onDone: { target: 'returned', actions: assign(({ event }) => ({ returned: event.output })) },
      // The first error stays: it says why it had to return; this one is shown instead, since it is what a person must mend.
      onError: { target: 'returnFailed', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),
  returnFailed: change.createStateConfig({
    meta: {
      title: 'The return did not succeed',
      step: 5,
      events: { retry: events.retry },
      rollback: { to: 'review', when: 'offered' },
    },
    on: { retry: { target: 'returning', actions: assign(answered) } },
  }),
  returned: change.createStateConfig({
    type: 'final',
    meta: { title: 'The change was taken back: the instance is as before', step: 6, outcome: 'failed' },
  }),
  nothingToDo: change.createStateConfig({ type: 'final', meta: { title: 'Nothing to do', step: 6, outcome: 'done' } }),
  done: change.createStateConfig({ type: 'final', meta: { title: 'Changed and proven', step: 6, outcome: 'done' } }),
};

/** The steps that every change has, for people. */
export const changeSteps = (planned: string) => [
  'look: the instance is read whole, a snapshot is kept, live checks say how it is',
  `plan: ${planned}`,
  'review: the difference, masked, and which containers are made anew; a person approves',
  'apply: written, deployed, awaited until healthy',
  'prove: live requests; if they fail and were green before, the earlier configuration returns by itself',
  'end: noted at the target',
];

/** Context keys that doors may show of a change. */
export const changeShow = ['target', 'service', 'before', 'plan', 'deployment', 'health', 'failedAt', 'after', 'returned'] as const;
