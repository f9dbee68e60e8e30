/**
 * A backup: look, write part by part, enter it in the index, prove it. Invariants:
 * 1. One effect per part, so that a killed one goes on at its part and a rollback takes the parts back one by one.
 * 2. Nothing counts as a backup before it is published; what is published was read back and verified before the run is done.
 * 3. What is missing is in the plan, in the manifest and in the result.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import type { BackupContext } from './backup-context.ts';
import { backupKinds, partKinds, storeName, targetName } from './effects/backup.ts';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import { need, toRunError } from './run-context.ts';
import { addWarnings } from './wizard-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

export const backupInput = z.strictObject({
  target: targetName,
  kind: backupKinds.optional().describe('full (default): everything that can be reached; schema: without data; data: without definitions'),
  parts: z.array(partKinds).min(1).max(6).optional().describe('Only these parts; left out: all'),
  store: storeName.optional(),
});

type BackupEvent = { type: 'retry' } | { type: 'discard' } | { type: 'accept' };

const fail = (error: unknown) => ({ error: toRunError(error) });
const scope = (context: BackupContext) => {
  const { id, target, store, kind, codec, keyId } = need(context.plan, 'plan');
  return { id, target, store, kind, codec, keyId };
};

export const backupMachine = setup({
  types: {
    input: {} as z.infer<typeof backupInput>, // type carriers: XState reads their types, never their values
    context: {} as BackupContext,
    events: {} as BackupEvent,
    meta: {} as StateMeta,
  },
  actors: {
    'backup.prepareKey@1': actorOf(contracts['backup.prepareKey@1']),
    'backup.planBackup@1': actorOf(contracts['backup.planBackup@1']),
    'backup.writePart@1': actorOf(contracts['backup.writePart@1']),
    'backup.publish@1': actorOf(contracts['backup.publish@1']),
    'backup.verify@1': actorOf(contracts['backup.verify@1']),
    'backup.discard@1': actorOf(contracts['backup.discard@1']),
  },
  guards: {
    morePartsAfterThis: ({ context }) => context.written.length + 1 < need(context.plan, 'plan').parts.length,
  },
}).createMachine({
  id: 'backup',
  context: ({ input }) => ({
    target: input.target,
    store: input.store ?? 'local',
    kind: input.kind ?? 'full',
    parts: input.parts ?? null,
    key: null,
    plan: null,
    written: [],
    published: null,
    verified: null,
    failedAt: null,
    error: null,
    warnings: [],
  }),
  initial: 'preparingKey',
  output: ({ context }) => ({
    backup: context.published?.id ?? null,
    place: context.published?.place ?? null,
    bytes: context.published?.bytes ?? null,
    manifestSha256: context.published?.manifestSha256 ?? null,
    parts: context.written.map(({ part, tables, rows, tookMs }) => ({ part, tables, rows, tookMs })),
    missing: [...(context.plan?.missing ?? []), ...context.written.flatMap(({ missing }) => missing)],
    verified: context.verified,
    pointInTime: context.plan?.pointInTime ?? null,
    error: context.error,
    warnings: context.warnings,
  }),
  states: {
    preparingKey: {
      meta: { title: 'Preparing the key', step: 1 },
      invoke: {
        id: 'prepareKey',
        src: 'backup.prepareKey@1',
        input: {},
        onDone: {
          target: 'planning',
          actions: assign(({ context, event }) => ({ key: event.output, warnings: addWarnings(context.warnings, event.output.warnings) })),
        },
        onError: { target: 'failed', actions: assign(({ event }) => fail(event.error)) },
      },
    },
    planning: {
      meta: { title: 'Looking what there is to back up', step: 1 },
      invoke: {
        id: 'planBackup',
        src: 'backup.planBackup@1',
        input: ({ context: { target, store, kind, parts, key } }) => ({ target, store, kind, parts, keyId: need(key, 'key').keyId }),
        onDone: {
          target: 'writing',
          actions: assign(({ context, event }) => ({ plan: event.output, warnings: addWarnings(context.warnings, event.output.warnings) })),
        },
        onError: { target: 'failed', actions: assign(({ event }) => fail(event.error)) },
      },
    },
    writing: {
      meta: { title: 'Writing the parts', step: 2 },
      invoke: {
        id: 'writePart',
        src: 'backup.writePart@1',
        input: ({ context }) => ({
          ...scope(context),
          part: need(need(context.plan, 'plan').parts[context.written.length] ?? null, 'part'),
        }),
        onDone: [
          {
            guard: 'morePartsAfterThis',
            target: 'writing',
            reenter: true,
            actions: assign(({ context, event }) => ({ written: [...context.written, event.output] })),
          },
          { target: 'publishing', actions: assign(({ context, event }) => ({ written: [...context.written, event.output] })) },
        ],
        onError: { target: 'partFailed', actions: assign(({ event }) => ({ ...fail(event.error), failedAt: 'writing' as const })) },
      },
    },
    publishing: {
      meta: { title: 'Entering the backup in the index', step: 3 },
      invoke: {
        id: 'publish',
        src: 'backup.publish@1',
        input: ({ context }) => {
          const { expectBytes: _, warnings: __, parts: ___, ...plan } = need(context.plan, 'plan');
          return { ...plan, written: context.written };
        },
        onDone: { target: 'verifying', actions: assign(({ event }) => ({ published: event.output })) },
        onError: { target: 'partFailed', actions: assign(({ event }) => ({ ...fail(event.error), failedAt: 'publishing' as const })) },
      },
    },
    partFailed: {
      meta: {
        title: 'A part could not be written',
        step: 2,
        events: {
          retry: { title: 'Try this part again', payload: noPayload },
          discard: { title: 'Give up and remove what was written', payload: noPayload },
        },
      },
      on: {
        retry: [
          { guard: ({ context }) => context.failedAt === 'writing', target: 'writing', actions: assign({ error: null, failedAt: null }) },
          { target: 'publishing', actions: assign({ error: null, failedAt: null }) },
        ],
        discard: { target: 'discarding' },
      },
      // Unattended backups must not hold their target for ever.
      after: { 21600000: { target: 'discarding' } },
    },
    discarding: {
      meta: { title: 'Removing what was written', step: 2 },
      invoke: {
        id: 'discard',
        src: 'backup.discard@1',
        input: ({ context }) => {
          const { id, target, store } = scope(context);
          return { id, target, store };
        },
        onDone: { target: 'failed' },
        onError: { target: 'partFailed', actions: assign(({ event }) => fail(event.error)) },
      },
    },
    verifying: {
      meta: { title: 'Verifying the backup', step: 4 },
      invoke: {
        id: 'verify',
        src: 'backup.verify@1',
        input: ({ context }) => ({ id: need(context.published, 'backup').id }),
        onDone: { target: 'done', actions: assign(({ event }) => ({ verified: event.output })) },
        onError: { target: 'unverified', actions: assign(({ event }) => fail(event.error)) },
      },
    },
    unverified: {
      meta: {
        title: 'The backup did not prove itself',
        step: 4,
        events: {
          retry: { title: 'Verify again', payload: noPayload },
          accept: { title: 'End the run; the backup stays in the index as not verified', payload: noPayload },
        },
      },
      on: {
        retry: { target: 'verifying', actions: assign({ error: null }) },
        accept: { target: 'failed' },
      },
      after: { 21600000: { target: 'failed' } },
    },
    done: { type: 'final', meta: { title: 'Backed up and verified', outcome: 'done' } },
    failed: { type: 'final', meta: { title: 'No verified backup was made', outcome: 'failed' } },
  },
});

export const backup = {
  name: 'backup',
  title: 'Back up a Supabase instance',
  description:
    'Streams databases and roles of a target into encrypted files, enters them in the index and proves them by reading them back. Without us they open with gpg, zstd and pg_restore. Nothing is changed on the target. Risks: it reads every row, and fills the store. Usual duration: a minute per GB.',
  aliases: ['create_backup', 'backup_database', 'emergency_backup', 'dokploy_emergency_backup', 'dokploy_create_backup'],
  revision: 1,
  machine: backupMachine,
  input: backupInput,
  steps: [
    'look: what can be reached, with which programs, into which store; what is missing is named',
    'write: each part streamed, compressed and encrypted',
    'publish: the signed manifest and the row in the index',
    'verify: hashes, decryption, pg_restore --list, rows counted again',
  ],
  show: ['target', 'store', 'kind', 'plan', 'written', 'published', 'verified', 'failedAt'],
  cancel: 'takeBack',
} as const satisfies WorkflowDefinition;
