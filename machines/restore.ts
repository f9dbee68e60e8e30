/**
 * A restore: look, verify every file, ask, bring it back beside what is there, prove it, and only then, asked again, put it in place.
 * Invariants:
 * 1. Nothing is applied before every file of the backup has passed its check.
 * 2. What is in use is never written to: it is renamed at the very end, and back by a rollback.
 * 3. A difference between backup and restored database is told and waits for a person.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { backupId, targetName, type verifyBackup } from './effects/backup.ts';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import type { applyDatabase, applyRoles, planRestore, proveRestore, swapDatabase } from './effects/restore.ts';
import { restoreMode } from './effects/restore.ts';
import type { Warning } from './effects/shapes.ts';
import { need, type RunError, toRunError } from './run-context.ts';
import { addWarnings } from './wizard-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const databaseName = z.string().min(1).max(63);

export const restoreInput = z.strictObject({
  backup: backupId,
  target: targetName.optional().describe('Target whose server takes it; left out: the one that was backed up'),
  database: databaseName.optional().describe('Which database of the backup; left out: the first'),
  into: databaseName.optional().describe('Name of the new database; left out: <database>_restored_<time>'),
  mode: restoreMode
    .optional()
    .describe('beside (default): a new database next to the others; replace: then, asked again, it takes the name of the one in use'),
});

type Out<C extends { output: z.ZodType }> = z.infer<C['output']>;
type RestoreContext = {
  input: z.infer<typeof restoreInput>;
  plan: Out<typeof planRestore> | null;
  planHash: string | null;
  verified: Out<typeof verifyBackup> | null;
  roles: Out<typeof applyRoles> | null;
  applied: Out<typeof applyDatabase> | null;
  proof: Out<typeof proveRestore> | null;
  swapped: Out<typeof swapDatabase> | null;
  failedAt: 'roles' | 'database' | 'proof' | 'swap' | 'finish' | null;
  error: RunError | null;
  warnings: Warning[];
};
type RestoreEvent = { type: 'approve' } | { type: 'retry' } | { type: 'accept' } | { type: 'swap' } | { type: 'keepBeside' };

const fail = (error: unknown, failedAt: RestoreContext['failedAt'] = null) => ({ error: toRunError(error), failedAt });
const cleared = { error: null, failedAt: null };
const scope = (context: RestoreContext) => {
  const { plan, planHash, target } = need(context.plan, 'plan');
  return { plan, planHash, target };
};

export const restoreMachine = setup({
  types: {
    input: {} as z.infer<typeof restoreInput>, // type carriers: XState reads their types, never their values
    context: {} as RestoreContext,
    events: {} as RestoreEvent,
    meta: {} as StateMeta,
  },
  actors: {
    'restore.planRestore@1': actorOf(contracts['restore.planRestore@1']),
    'backup.verify@1': actorOf(contracts['backup.verify@1']),
    'restore.applyRoles@1': actorOf(contracts['restore.applyRoles@1']),
    'restore.applyDatabase@1': actorOf(contracts['restore.applyDatabase@1']),
    'restore.prove@1': actorOf(contracts['restore.prove@1']),
    'restore.swapDatabase@1': actorOf(contracts['restore.swapDatabase@1']),
    'restore.finish@1': actorOf(contracts['restore.finish@1']),
  },
  guards: {
    inPlace: ({ context }) => context.plan?.mode === 'replace',
  },
}).createMachine({
  id: 'restore',
  context: ({ input }) => ({
    input,
    plan: null,
    planHash: null,
    verified: null,
    roles: null,
    applied: null,
    proof: null,
    swapped: null,
    failedAt: null,
    error: null,
    warnings: [],
  }),
  initial: 'planning',
  output: ({ context }) => ({
    database: context.swapped?.database ?? context.applied?.database ?? null,
    keptAs: context.swapped?.keptAs ?? null,
    downMs: context.swapped?.downMs ?? null,
    createdRoles: context.roles?.created ?? [],
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
          accept: {
            title: 'Go on although it differs',
            payload: noPayload,
            confirm: 'Go on with a restored database that differs from the backup as the result lists it.',
          },
        },
        rollback: { to: 'review', when: 'offered' },
      },
      on: {
        retry: { target: 'proving' },
        accept: [{ guard: 'inPlace', target: 'swapReview' }, { target: 'finishing' }],
      },
    },
    swapReview: {
      meta: {
        title: 'Put it in place?',
        step: 6,
        checkpoint: 'restored',
        events: {
          swap: {
            title: 'Put the restored database in place',
            payload: noPayload,
            confirm:
              'End every session of the database in use, keep it whole under another name, and give its name to the restored one. What was written since the backup is in the kept one only.',
          },
          keepBeside: { title: 'Leave it beside the one in use', payload: noPayload },
        },
        rollback: { to: 'review', when: 'offered' },
      },
      on: { swap: { target: 'swapping' }, keepBeside: { target: 'finishing' } },
    },
    swapping: {
      meta: { title: 'Putting it in place', step: 6 },
      invoke: {
        id: 'swap',
        src: 'restore.swapDatabase@1',
        input: ({ context }) => scope(context),
        onDone: { target: 'finishing', actions: assign(({ event }) => ({ swapped: event.output })) },
        onError: { target: 'stopped', actions: assign(({ event }) => fail(event.error, 'swap')) },
      },
    },
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
        title: 'The restore stopped; what was in use is untouched',
        step: 4,
        events: { retry: { title: 'Try again', payload: noPayload } },
        rollback: { to: 'review', when: 'offered' },
      },
      on: {
        retry: [
          { guard: ({ context }) => context.failedAt === 'roles', target: 'applyingRoles', actions: assign(cleared) },
          { guard: ({ context }) => context.failedAt === 'database', target: 'applyingDatabase', actions: assign(cleared) },
          { guard: ({ context }) => context.failedAt === 'proof', target: 'proving', actions: assign(cleared) },
          { guard: ({ context }) => context.failedAt === 'swap', target: 'swapping', actions: assign(cleared) },
          { target: 'finishing', actions: assign(cleared) },
        ],
      },
    },
    done: { type: 'final', meta: { title: 'Restored and proven', outcome: 'done' } },
    failed: { type: 'final', meta: { title: 'Nothing was restored', outcome: 'failed' } },
  },
});

export const restore = {
  name: 'restore',
  title: 'Restore a backup',
  description:
    'Verifies a backup whole, restores one database of it into a new one beside those in use, and compares definitions, owners, grants, settings and every row with what was backed up. With mode replace it then, asked again, takes the name of the one in use, which is kept. Needs a superuser connection. Risks: space for a second copy; with replace some seconds without a database. Usual duration: two minutes per GB.',
  aliases: ['restore_backup', 'restore_database', 'dokploy_restore_backup'],
  revision: 1,
  machine: restoreMachine,
  input: restoreInput,
  steps: [
    'look: versions, extensions, roles, names',
    'verify: every file, before anything is applied',
    'review: needs approval',
    'restore: missing roles, then a new database',
    'prove: catalog, owners, grants, rows',
    'in place: needs approval; the one in use is kept under another name',
    'finish: statistics',
  ],
  show: ['input', 'plan', 'verified', 'roles', 'applied', 'proof', 'swapped', 'failedAt'],
} as const satisfies WorkflowDefinition;
