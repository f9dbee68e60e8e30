/**
 * A restore: look, verify every file, ask, bring it back beside what is there, prove it, and only then, asked again, put it in place.
 * Invariants:
 * 1. Nothing is applied before every file of the backup has passed its check.
 * 2. What is in use is never written to: it is renamed at the very end, and back by a rollback.
 * 3. A difference between backup and restored database is told and waits for a person.
 */
import { assign } from 'xstate';
import { noPayload } from './effects/meta.ts';
import { inPlaceStates } from './restore-in-place.ts';
import { oneSchemaStates } from './restore-one-schema.ts';
import { answeredRestore as answered, restoreFailed as fail, restoreInput, restoring, scope } from './restore-setup.ts';
import { addWarnings } from './wizard-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

export { restoreInput };

export const restoreMachine = restoring.createMachine({
  id: 'restore',
  context: ({ input }) => ({
    input,
    plan: null,
    planHash: null,
    approvalNote: null,
    verified: null,
    roles: null,
    applied: null,
    proof: null,
    schemaPlan: null,
    leaveLost: false,
    exchanged: null,
    dropped: null,
    gateway: null,
    safety: null,
    swapped: null,
    opened: null,
    objects: null,
    functions: null,
    failedAt: null,
    error: null,
    warnings: [],
  }),
  initial: 'planning',
  output: ({ context }) => ({
    database: context.swapped?.database ?? (context.dropped === null ? (context.applied?.database ?? null) : null),
    schema: context.exchanged?.schema ?? null,
    keptAs: context.swapped?.keptAs ?? context.exchanged?.keptAs ?? null,
    exchanged: context.exchanged,
    safetyBackup: context.safety?.backup ?? null,
    gateway: context.gateway?.gateway ?? null,
    downMs: context.opened?.downMs ?? null,
    objects: context.objects,
    functions: context.functions,
    createdRoles: context.roles?.created ?? [],
    repaired: context.applied?.repaired ?? [],
    proof: context.proof,
    error: context.error,
    warnings: context.warnings,
  }),
  states: {
    planning: {
      meta: { title: 'Looking whether the backup fits', step: 1 },
      invoke: {
        id: 'planRestore',
        src: 'restore.planRestore@1',
        input: ({ context: { input } }) => ({
          backup: input.backup,
          target: input.target ?? null,
          database: input.database ?? null,
          into: input.into ?? null,
          mode: input.mode ?? ('beside' as const),
          schema: input.schema ?? null,
          keepCopy: input.keepCopy ?? null,
        }),
        onDone: {
          target: 'verifying',
          actions: assign(({ context, event }) => ({
            plan: event.output,
            planHash: event.output.planHash,
            warnings: addWarnings(context.warnings, event.output.warnings),
          })),
        },
        onError: { target: 'failed', actions: assign(({ event }) => fail(event.error)) },
      },
    },
    verifying: {
      meta: { title: 'Verifying every file of the backup', step: 2 },
      invoke: {
        id: 'verify',
        src: 'backup.verify@1',
        input: ({ context }) => ({ id: context.input.backup }),
        onDone: { target: 'review', actions: assign(({ event }) => ({ verified: event.output })) },
        onError: { target: 'failed', actions: assign(({ event }) => fail(event.error)) },
      },
    },
    review: {
      meta: {
        title: 'Review the restore',
        step: 3,
        checkpoint: 'review',
        events: {
          approve: {
            title: 'Restore as planned',
            payload: noPayload,
            confirm:
              'Create a database on the server of this target as the plan says and restore the backup into it. Nothing that is there is changed.',
          },
        },
      },
      on: { approve: { target: 'applyingRoles' } },
    },
    applyingRoles: {
      meta: { title: 'Creating missing roles', step: 4 },
      invoke: {
        id: 'applyRoles',
        src: 'restore.applyRoles@1',
        input: ({ context }) => scope(context),
        onDone: { target: 'applyingDatabase', actions: assign(({ event }) => ({ roles: event.output })) },
        onError: { target: 'stopped', actions: assign(({ event }) => fail(event.error, 'roles')) },
      },
    },
    applyingDatabase: {
      meta: { title: 'Restoring into a new database', step: 4 },
      invoke: {
        id: 'applyDatabase',
        src: 'restore.applyDatabase@1',
        input: ({ context }) => scope(context),
        onDone: { target: 'proving', actions: assign(({ event }) => ({ applied: event.output })) },
        onError: { target: 'stopped', actions: assign(({ event }) => fail(event.error, 'database')) },
      },
    },
    proving: {
      meta: { title: 'Comparing it with the backup', step: 5 },
      invoke: {
        id: 'prove',
        src: 'restore.prove@1',
        input: ({ context }) => scope(context),
        onDone: [
          {
            guard: ({ event }) => !event.output.identical,
            target: 'different',
            actions: assign(({ event }) => ({ proof: event.output })),
          },
          { guard: 'inPlace', target: 'swapReview', actions: assign(({ event }) => ({ proof: event.output })) },
          { guard: 'oneSchema', target: 'lookingAtSchema', actions: assign(({ event }) => ({ proof: event.output })) },
          { target: 'finishing', actions: assign(({ event }) => ({ proof: event.output })) },
        ],
        onError: { target: 'stopped', actions: assign(({ event }) => fail(event.error, 'proof')) },
      },
    },
    different: {
      meta: {
        title: 'The restored database differs from the backup',
        step: 5,
        events: {
          retry: { title: 'Compare again', payload: noPayload },
          accept: { title: 'Keep the copy although it differs; nothing is replaced', payload: noPayload },
        },
        rollback: { to: 'review', when: 'offered' },
      },
      on: { retry: { target: 'proving' }, accept: { target: 'keptDifferent' } },
    },
    ...inPlaceStates,
    ...oneSchemaStates,
    finishing: {
      meta: { title: 'Finishing', step: 7 },
      invoke: {
        id: 'finish',
        src: 'restore.finish@1',
        input: ({ context }) => ({ ...scope(context), inPlace: context.swapped !== null }),
        onDone: { target: 'done' },
        onError: { target: 'stopped', actions: assign(({ event }) => fail(event.error, 'finish')) },
      },
    },
    stopped: {
      meta: {
        title: 'The restore stopped; what was in use is whole',
        step: 4,
        events: { retry: { title: 'Try again', payload: noPayload } },
        rollback: { to: 'review', when: 'offered' },
      },
      on: {
        retry: [
          { guard: ({ context }) => context.failedAt === 'roles', target: 'applyingRoles', actions: assign(answered) },
          { guard: ({ context }) => context.failedAt === 'database', target: 'applyingDatabase', actions: assign(answered) },
          { guard: ({ context }) => context.failedAt === 'proof', target: 'proving', actions: assign(answered) },
          { guard: ({ context }) => context.failedAt === 'opening', target: 'openingGateway', actions: assign(answered) },
          { guard: ({ context }) => context.failedAt === 'objects', target: 'puttingObjects', actions: assign(answered) },
          { guard: ({ context }) => context.failedAt === 'functions', target: 'puttingFunctions', actions: assign(answered) },
          { guard: ({ context }) => context.failedAt === 'copy', target: 'droppingCopy', actions: assign(answered) },
          { target: 'finishing', actions: assign(answered) },
        ],
      },
    },
    done: { type: 'final', meta: { title: 'Restored and proven', outcome: 'done' } },
    keptDifferent: {
      type: 'final',
      meta: { title: 'Restored beside, and it differs from the backup as the result lists it', outcome: 'failed' },
    },
    failed: { type: 'final', meta: { title: 'Nothing was restored', outcome: 'failed' } },
  },
});

export const restore = {
  name: 'restore',
  title: 'Restore a backup',
  description:
    'Verifies a backup whole, restores one database of it into a new one beside those in use, and compares definitions, owners, grants, settings and every row with what was backed up. With mode replace it then, asked again, takes the name of the one in use: the gateway is closed, connections end, what was in use is backed up, verified and kept, and any failure gives it back by itself; storage objects and edge functions follow. With mode schema only one schema, such as public, is then exchanged, asked again, in one transaction without a downtime; everything else stays as it is, and the present schema is kept. Needs a superuser connection. Risks: space for a second copy; with replace a downtime as long as a backup, announced in the plan. Usual duration: two minutes per GB.',
  aliases: ['restore_backup', 'restore_database', 'dokploy_restore_backup'],
  revision: 6,
  machine: restoreMachine,
  input: restoreInput,
  steps: [
    'look: versions, extensions, roles, names',
    'verify: every file, before anything is applied',
    'review: needs approval',
    'restore: missing roles, then a new database',
    'prove: catalog, owners, grants, rows',
    'in place: needs approval; gateway closed, connections ended, safety backup, proven again, put in place, opened',
    'one schema: needs approval; exchanged in one transaction, what points into it pointed to it, compared before it counts',
    'finish: statistics',
  ],
  show: [
    'input',
    'plan',
    'verified',
    'roles',
    'applied',
    'proof',
    'schemaPlan',
    'exchanged',
    'dropped',
    'gateway',
    'safety',
    'swapped',
    'opened',
    'objects',
    'functions',
    'failedAt',
  ],
} as const satisfies WorkflowDefinition;
