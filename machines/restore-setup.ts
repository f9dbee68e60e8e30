import { setup } from 'xstate';
import { z } from 'zod';
import { backupId, targetName, type verifyBackup } from './effects/backup.ts';
import { actorOf } from './effects/contract.ts';
import type { StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import type {
  applyDatabase,
  applyRoles,
  closeGateway,
  openGateway,
  planRestore,
  proveRestore,
  putFunctions,
  putObjects,
  safetyBackup,
  swapDatabase,
} from './effects/restore.ts';
import { restoreMode } from './effects/restore.ts';
import type { dropCopy, planSchema, replaceSchema } from './effects/restore-schema.ts';
import type { Warning } from './effects/shapes.ts';
import { need, type RunError, toRunError } from './run-context.ts';

const databaseName = z.string().min(1).max(63);

export const restoreInput = z.strictObject({
  backup: backupId,
  target: targetName.optional().describe('Target whose server takes it; left out: the one that was backed up'),
  database: databaseName.optional().describe('Which database of the backup; left out: the first'),
  into: databaseName.optional().describe('Name of the new database; left out: <database>_restored_<time>'),
  mode: restoreMode
    .optional()
    .describe(
      'beside (default): a new database next to the others; replace: then, asked again, it takes the name of the one in use; schema: then, asked again, one schema of it takes the place of the one in use',
    ),
  schema: databaseName.optional().describe('With mode schema: the one schema that is brought back, such as public'),
  keepCopy: z.boolean().optional().describe('With mode schema: keep the copy that the schema was taken from; left out: it is dropped'),
});

type Out<C extends { output: z.ZodType }> = z.infer<C['output']>;

/** Where a retry goes on. */
export type RestoreStep = 'roles' | 'database' | 'proof' | 'opening' | 'objects' | 'functions' | 'copy' | 'finish';

export type RestoreContext = {
  input: z.infer<typeof restoreInput>;
  plan: Out<typeof planRestore> | null;
  planHash: string | null;
  /** What of the plan stands in the question to the person. */
  approvalNote: string | null;
  verified: Out<typeof verifyBackup> | null;
  roles: Out<typeof applyRoles> | null;
  applied: Out<typeof applyDatabase> | null;
  proof: Out<typeof proveRestore> | null;
  schemaPlan: Out<typeof planSchema> | null;
  /** What other schemas had of the one that returns, and lost since, is not made again. */
  leaveLost: boolean;
  exchanged: Out<typeof replaceSchema> | null;
  dropped: Out<typeof dropCopy> | null;
  gateway: Out<typeof closeGateway> | null;
  safety: Out<typeof safetyBackup> | null;
  swapped: Out<typeof swapDatabase> | null;
  opened: Out<typeof openGateway> | null;
  objects: Out<typeof putObjects> | null;
  functions: Out<typeof putFunctions> | null;
  failedAt: RestoreStep | null;
  error: RunError | null;
  warnings: Warning[];
};

export type RestoreEvent =
  | {
      type: 'approve' | 'retry' | 'accept' | 'swap' | 'exchange' | 'keepBeside';
    }
  | { type: 'lookAgain'; leaveLost?: boolean | undefined };

/** Types, contracts and guards of a restore; the states of its two halves are made with `restoring.createStateConfig`. */
export const restoring = setup({
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
    'restore.closeGateway@1': actorOf(contracts['restore.closeGateway@1']),
    'restore.withdrawDatabase@1': actorOf(contracts['restore.withdrawDatabase@1']),
    'restore.safetyBackup@1': actorOf(contracts['restore.safetyBackup@1']),
    'restore.swapDatabase@1': actorOf(contracts['restore.swapDatabase@1']),
    'restore.giveBack@1': actorOf(contracts['restore.giveBack@1']),
    'restore.openGateway@1': actorOf(contracts['restore.openGateway@1']),
    'restore.putObjects@1': actorOf(contracts['restore.putObjects@1']),
    'restore.putFunctions@1': actorOf(contracts['restore.putFunctions@1']),
    'restore.finish@1': actorOf(contracts['restore.finish@1']),
    'restore.planSchema@1': actorOf(contracts['restore.planSchema@1']),
    'restore.replaceSchema@1': actorOf(contracts['restore.replaceSchema@1']),
    'restore.dropCopy@1': actorOf(contracts['restore.dropCopy@1']),
  },
  guards: {
    inPlace: ({ context }) => context.plan?.mode === 'replace',
    oneSchema: ({ context }) => context.plan?.mode === 'schema',
    copyStays: ({ context }) => context.schemaPlan?.keepCopy === true,
  },
});

/** What every effect of a restore is given: the approved plan and the target. */
export const scope = (context: RestoreContext) => {
  const { plan, planHash, target } = need(context.plan, 'plan');
  return { plan, planHash, target };
};

/** What the exchange of one schema is given besides. */
export const schemaScope = (context: RestoreContext) => {
  const { schemaPlan, schemaPlanHash } = need(context.schemaPlan, 'schemaPlan');
  return { ...scope(context), schemaPlan, schemaPlanHash };
};

export const restoreFailed = (error: unknown, failedAt: RestoreStep | null = null) => ({ error: toRunError(error), failedAt });

/** A person has acted: the last error is answered. */
export const answeredRestore = { error: null, failedAt: null };
