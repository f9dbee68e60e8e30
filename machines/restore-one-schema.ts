/**
 * The second half of a restore of one schema: no downtime, one transaction. Invariants:
 * 1. Nothing begins before the whole copy was proven beside, what points into the schema was looked at, and a person approved that plan.
 * 2. A refused or failed exchange changed nothing; it is looked at anew, and approved anew, before it is tried again.
 */
import { assign } from 'xstate';
import { z } from 'zod';
import { noPayload } from './effects/meta.ts';
import { answeredRestore as answered, restoreFailed as failed, restoring, schemaScope, scope } from './restore-setup.ts';
import { addWarnings } from './wizard-context.ts';

const keepBeside = { title: 'Leave the copy beside; the schema in use stays as it is', payload: noPayload };
const lookAgain = {
  title: 'Look at the schema again',
  payload: z.strictObject({
    leaveLost: z
      .boolean()
      .optional()
      .describe('Do not make again what other schemas had of this one and lost since, such as a foreign key that does not hold any more'),
  }),
};

export const oneSchemaStates = {
  lookingAtSchema: restoring.createStateConfig({
    meta: { title: 'Looking what points into the schema', step: 6 },
    invoke: {
      id: 'planSchema',
      src: 'restore.planSchema@1',
      input: ({ context }) => ({ ...scope(context), leaveLost: context.leaveLost }),
      onDone: {
        target: 'schemaReview',
        actions: assign(({ context, event }) => ({
          schemaPlan: event.output,
          // An approval from here on is one of this plan.
          planHash: event.output.schemaPlanHash,
          approvalNote: event.output.say,
          warnings: addWarnings(context.warnings, event.output.warnings),
        })),
      },
      onError: { target: 'schemaStays', actions: assign(({ event }) => failed(event.error)) },
    },
  }),
  schemaReview: restoring.createStateConfig({
    meta: {
      title: 'Exchange the schema?',
      step: 6,
      checkpoint: 'restored',
      events: {
        exchange: {
          title: 'Exchange the schema as planned',
          payload: noPayload,
          confirm:
            'In one transaction on the database in use: keep the present schema under another name, bring the one of the backup in, point what other schemas have of it to the new one, and compare it with the backup before it counts. What was written into the schema since the backup is in the kept one only.',
        },
        lookAgain,
        keepBeside,
      },
      rollback: { to: 'review', when: 'offered' },
    },
    on: {
      exchange: { target: 'exchanging', actions: assign(answered) },
      lookAgain: {
        target: 'lookingAtSchema',
        actions: assign(({ event }) => ({ ...answered, leaveLost: event.leaveLost ?? false })),
      },
      keepBeside: { target: 'finishing', actions: assign(answered) },
    },
  }),
  exchanging: restoring.createStateConfig({
    meta: { title: 'Exchanging the schema', step: 6 },
    invoke: {
      id: 'replaceSchema',
      src: 'restore.replaceSchema@1',
      input: ({ context }) => schemaScope(context),
      onDone: [
        { guard: 'copyStays', target: 'finishing', actions: assign(({ event }) => ({ exchanged: event.output })) },
        { target: 'droppingCopy', actions: assign(({ event }) => ({ exchanged: event.output })) },
      ],
      onError: { target: 'schemaStays', actions: assign(({ event }) => failed(event.error)) },
    },
  }),
  schemaStays: restoring.createStateConfig({
    meta: {
      title: 'The schema was not exchanged; what is in use is as it was',
      step: 6,
      events: { lookAgain, keepBeside },
      rollback: { to: 'review', when: 'offered' },
    },
    on: {
      lookAgain: {
        target: 'lookingAtSchema',
        actions: assign(({ event }) => ({ ...answered, leaveLost: event.leaveLost ?? false })),
      },
      keepBeside: { target: 'finishing', actions: assign(answered) },
    },
  }),
  droppingCopy: restoring.createStateConfig({
    meta: { title: 'Dropping the copy beside', step: 7 },
    invoke: {
      id: 'dropCopy',
      src: 'restore.dropCopy@1',
      input: ({ context }) => scope(context),
      onDone: { target: 'done', actions: assign(({ event }) => ({ dropped: event.output })) },
      onError: { target: 'stopped', actions: assign(({ event }) => failed(event.error, 'copy')) },
    },
  }),
};
