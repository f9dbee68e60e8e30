/**
 * For workflows that change values inside the database before their texts: the pooler's tenant, the verifiers of roles.
 * First, because the containers that a deployment makes anew read them as they start; the way back puts them back first as well.
 * Where a plan has no such values the effect does nothing. Spread over the states that every change shares.
 */
import { assign } from 'xstate';
import { changeOf } from './change-context.ts';
import { answeredChange as answered, change } from './change-setup.ts';
import { changeSteps, endStates, failure, lookStates } from './change-states.ts';

const { review } = lookStates;
const { changeFailed } = endStates;

export const databaseStates = {
  review: change.createStateConfig({
    ...review,
    on: {
      ...review.on,
      approve: { target: 'changingDatabase', actions: assign(answered) },
    },
  }),
  changingDatabase: change.createStateConfig({
    meta: { title: 'Changing what the database keeps', step: 4 },
    invoke: {
      id: 'changeDatabase',
      src: 'supabase.changeDatabase@1',
      input: ({ context }) => changeOf(context),
      onDone: [
        { guard: 'onlyDatabase', target: 'proving', actions: assign(({ event }) => ({ changed: event.output })) },
        { target: 'writing', actions: assign(({ event }) => ({ changed: event.output })) },
      ],
      onError: { target: 'changeFailed', actions: assign(({ event }) => failure('changingDatabase', event.error)) },
    },
  }),
  changeFailed: change.createStateConfig({
    ...changeFailed,
    on: {
      ...changeFailed.on,
      retry: [
        { guard: ({ context }) => context.failedAt === 'changingDatabase', target: 'changingDatabase', actions: assign(answered) },
        ...changeFailed.on.retry,
      ],
    },
  }),
};

/** The steps of such a change, for people. */
export const databaseSteps = (planned: string) =>
  changeSteps(planned).map((step) =>
    step.startsWith('apply: ') ? step.replace('apply: ', 'apply: first what the database keeps, read back; then ') : step,
  );
