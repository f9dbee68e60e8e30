/**
 * The second half of a restore in place, with a downtime as short as a safety backup. Invariants:
 * 1. Nothing begins before the restored copy was proven beside the one in use and a person approved the downtime.
 * 2. Nothing is replaced before no connection is left, what was in use is backed up and verified, and the copy was proven once more.
 * 3. Whatever fails before the names are changed gives the one in use its name back and opens the gateway by itself.
 */
import { assign } from 'xstate';
import { noPayload } from './effects/meta.ts';
import { answeredRestore as answered, restoreFailed as failed, restoring, scope } from './restore-setup.ts';
import { toRunError } from './run-context.ts';

const differs = {
  code: 'RESTORE_DIFFERS',
  message: 'The restored database is not what it was when it was proven; the one in use was not replaced.',
  fix: 'Look who writes into it, then retry, or restore anew.',
  retry: 'never' as const,
};

export const inPlaceStates = {
  swapReview: restoring.createStateConfig({
    meta: {
      title: 'Put it in place?',
      step: 6,
      checkpoint: 'restored',
      events: {
        swap: {
          title: 'Put the restored database in place',
          payload: noPayload,
          confirm:
            'The downtime of the plan begins: close the gateway where that can be done, end every connection of the database in use, keep it whole under another name, back it up and verify that backup, give its name to the restored one, and open the gateway. What was written since the backup is in the kept one and in the safety backup only.',
        },
        keepBeside: { title: 'Leave it beside the one in use', payload: noPayload },
      },
      rollback: { to: 'review', when: 'offered' },
    },
    on: { swap: { target: 'closingGateway', actions: assign(answered) }, keepBeside: { target: 'finishing', actions: assign(answered) } },
  }),
  closingGateway: restoring.createStateConfig({
    meta: { title: 'Closing the gateway', step: 6 },
    invoke: {
      id: 'closeGateway',
      src: 'restore.closeGateway@1',
      input: ({ context }) => scope(context),
      onDone: { target: 'withdrawing', actions: assign(({ event }) => ({ gateway: event.output })) },
      onError: { target: 'givingBack', actions: assign(({ event }) => failed(event.error)) },
    },
  }),
  withdrawing: restoring.createStateConfig({
    meta: { title: 'Waiting until no connection is left', step: 6 },
    invoke: {
      id: 'withdraw',
      src: 'restore.withdrawDatabase@1',
      input: ({ context }) => scope(context),
      onDone: { target: 'backingUp' },
      onError: { target: 'givingBack', actions: assign(({ event }) => failed(event.error)) },
    },
  }),
  backingUp: restoring.createStateConfig({
    meta: { title: 'Backing up what was in use', step: 6 },
    invoke: {
      id: 'safetyBackup',
      src: 'restore.safetyBackup@1',
      input: ({ context }) => scope(context),
      onDone: { target: 'provingAgain', actions: assign(({ event }) => ({ safety: event.output })) },
      onError: { target: 'givingBack', actions: assign(({ event }) => failed(event.error)) },
    },
  }),
  provingAgain: restoring.createStateConfig({
    meta: { title: 'Comparing it with the backup once more', step: 6 },
    invoke: {
      id: 'proveAgain',
      src: 'restore.prove@1',
      input: ({ context }) => scope(context),
      onDone: [
        {
          guard: ({ event }) => !event.output.identical,
          target: 'givingBack',
          actions: assign(({ event }) => ({ proof: event.output, error: differs, failedAt: null })),
        },
        { target: 'swapping', actions: assign(({ event }) => ({ proof: event.output })) },
      ],
      onError: { target: 'givingBack', actions: assign(({ event }) => failed(event.error)) },
    },
  }),
  swapping: restoring.createStateConfig({
    meta: { title: 'Putting it in place', step: 6 },
    invoke: {
      id: 'swap',
      src: 'restore.swapDatabase@1',
      input: ({ context }) => scope(context),
      onDone: { target: 'openingGateway', actions: assign(({ event }) => ({ swapped: event.output })) },
      onError: { target: 'givingBack', actions: assign(({ event }) => failed(event.error)) },
    },
  }),
  openingGateway: restoring.createStateConfig({
    meta: { title: 'Opening the gateway', step: 6 },
    invoke: {
      id: 'openGateway',
      src: 'restore.openGateway@1',
      input: ({ context }) => ({ ...scope(context), closedAt: context.gateway?.closedAt ?? null }),
      onDone: { target: 'puttingObjects', actions: assign(({ event }) => ({ opened: event.output })) },
      onError: { target: 'stopped', actions: assign(({ event }) => failed(event.error, 'opening')) },
    },
  }),
  puttingObjects: restoring.createStateConfig({
    meta: { title: 'Bringing the storage objects back', step: 6 },
    invoke: {
      id: 'putObjects',
      src: 'restore.putObjects@1',
      input: ({ context }) => scope(context),
      onDone: { target: 'puttingFunctions', actions: assign(({ event }) => ({ objects: event.output })) },
      onError: { target: 'stopped', actions: assign(({ event }) => failed(event.error, 'objects')) },
    },
  }),
  puttingFunctions: restoring.createStateConfig({
    meta: { title: 'Bringing the edge functions back', step: 6 },
    invoke: {
      id: 'putFunctions',
      src: 'restore.putFunctions@1',
      input: ({ context }) => scope(context),
      onDone: { target: 'finishing', actions: assign(({ event }) => ({ functions: event.output })) },
      onError: { target: 'stopped', actions: assign(({ event }) => failed(event.error, 'functions')) },
    },
  }),
  givingBack: restoring.createStateConfig({
    meta: { title: 'Giving the database in use its name back', step: 6 },
    invoke: {
      id: 'giveBack',
      src: 'restore.giveBack@1',
      input: ({ context }) => scope(context),
      // Also where the closing failed: what Docker did of it later is opened again.
      onDone: { target: 'reopening' },
      // The first error said why it had to be given back; this one is shown instead, since it is what a person must mend.
      onError: { target: 'notGivenBack', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),
  reopening: restoring.createStateConfig({
    meta: { title: 'Opening the gateway', step: 6 },
    invoke: {
      id: 'reopenGateway',
      src: 'restore.openGateway@1',
      input: ({ context }) => ({ ...scope(context), closedAt: context.gateway?.closedAt ?? null }),
      onDone: { target: 'swapReview', actions: assign({ gateway: null }) },
      onError: { target: 'notGivenBack', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
    },
  }),
  notGivenBack: restoring.createStateConfig({
    meta: {
      title: 'The one in use could not be brought back to its callers',
      step: 6,
      events: { retry: { title: 'Try again', payload: noPayload } },
      rollback: { to: 'restored', when: 'offered' },
    },
    on: { retry: { target: 'givingBack', actions: assign(answered) } },
  }),
};
