import { z } from 'zod';
import { longStream } from './backup.ts';
import { defineEffect } from './contract.ts';
import { planReference, warning } from './shapes.ts';

/** Contracts of bringing a backup back. Everything is made beside what is there; what is in use is renamed at the very end, and back. */

export const restoreLock = (input: { target: string }): string[] => [`target:${input.target}`];

export const restoreMode = z.enum(['beside', 'replace', 'schema']);

export const planRestore = defineEffect({
  name: 'restore.planRestore@1',
  title: 'Look whether the backup fits the server',
  readOnly: true,
  timeoutMs: 120_000,
  deadlineMs: 300_000,
  retry: { attempts: 3, baseMs: 500, maxMs: 4_000 },
  input: z.object({
    backup: z.string(),
    target: z.string().nullable(),
    database: z.string().nullable(),
    into: z.string().nullable(),
    mode: restoreMode,
    schema: z.string().nullable(),
    /** Null: as the mode is used to. */
    keepCopy: z.boolean().nullable(),
  }),
  output: planReference.extend({
    target: z.string(),
    database: z.string(),
    into: z.string(),
    mode: restoreMode,
    /** The one schema that is brought back; null when it is the whole database. */
    schema: z.string().nullable(),
    keepAs: z.string().nullable(),
    /** What a replacement in place means for those who use it; null when nothing is replaced. */
    downtime: z.object({ gateway: z.string(), sessions: z.number().int(), expectSeconds: z.number().int(), say: z.string() }).nullable(),
    madeAt: z.string(),
    rawBytes: z.number().int(),
    tables: z.number().int(),
    rows: z.number().int(),
    createRoles: z.array(z.string()),
    /** Bytes of storage objects are brought back too. */
    objects: z.boolean(),
    /** Files of the edge functions too. */
    functions: z.boolean(),
    writes: z.array(z.string()),
    warnings: z.array(warning),
  }),
});

/** The approved plan, and the target that is worked on. */
export const restoreScope = planReference.extend({ target: z.string() });

export const applyRoles = defineEffect({
  name: 'restore.applyRoles@1',
  title: 'Create the roles that are missing',
  timeoutMs: 60_000,
  deadlineMs: 10 * 60_000,
  settleMs: 65_000,
  retry: { attempts: 4, baseMs: 1_000, maxMs: 20_000 },
  onPartial: 'rerun',
  locks: restoreLock,
  input: restoreScope,
  output: z.object({ created: z.array(z.string()) }),
});

export const applyDatabase = defineEffect({
  name: 'restore.applyDatabase@1',
  title: 'Restore into a new database',
  ...longStream,
  onPartial: 'rerun',
  locks: restoreLock,
  input: restoreScope,
  output: z.object({
    database: z.string(),
    tookMs: z.number().int(),
    /** Objects whose owner or grants had become others than those of the backup, and were put right. */
    repaired: z.array(z.string()),
  }),
});

/** Counts, checksums, owners, grants, definitions and settings of the restored database against those of the backup. */
export const proveRestore = defineEffect({
  name: 'restore.prove@1',
  title: 'Compare the restored database with the backup',
  readOnly: true,
  timeoutMs: 12 * 60 * 60_000,
  deadlineMs: 24 * 60 * 60_000,
  retry: { attempts: 3, baseMs: 2_000, maxMs: 60_000 },
  input: restoreScope,
  output: z.object({
    identical: z.boolean(),
    tables: z.number().int(),
    rows: z.number().int(),
    objects: z.number().int(),
    differences: z.array(z.string()),
    moreDifferences: z.number().int(),
  }),
});

const gatewayState = z.object({
  /** `closed`: Docker says that it does not run; `none`: there is none that can be closed from here. */
  gateway: z.enum(['closed', 'none']),
  say: z.string(),
  closedAt: z.string(),
});

/** One call to Docker through Dokploy, and the look whether it took place: Dokploy swallows every failure of Docker. */
const gatewaySwitch = {
  timeoutMs: 3 * 60_000,
  deadlineMs: 20 * 60_000,
  settleMs: 65_000,
  retry: { attempts: 4, baseMs: 1_000, maxMs: 20_000 },
  onPartial: 'rerun' as const,
  locks: restoreLock,
};

/** The downtime begins: nobody outside reaches the services any more. */
export const closeGateway = defineEffect({
  name: 'restore.closeGateway@1',
  title: 'Close the gateway',
  ...gatewaySwitch,
  input: restoreScope,
  output: gatewayState,
});

/** The downtime ends. */
export const openGateway = defineEffect({
  name: 'restore.openGateway@1',
  title: 'Open the gateway',
  ...gatewaySwitch,
  input: restoreScope.extend({ closedAt: z.string().nullable() }),
  output: z.object({ gateway: z.enum(['open', 'none']), downMs: z.number().int().nullable() }),
});

const renames = {
  timeoutMs: 120_000,
  deadlineMs: 20 * 60_000,
  settleMs: 60_000,
  retry: { attempts: 4, baseMs: 1_000, maxMs: 20_000 },
  onPartial: 'rerun' as const,
  locks: restoreLock,
};

/** Refuses logins, waits until the last connection has ended, and takes the database in use out of everybody's reach by another name. */
export const withdrawDatabase = defineEffect({
  name: 'restore.withdrawDatabase@1',
  title: 'Wait until no connection is left',
  ...renames,
  input: restoreScope,
  output: z.object({ database: z.string(), keptAs: z.string(), ended: z.number().int(), waitedMs: z.number().int() }),
});

/** A verified backup of what was in use, taken when nobody can write to it any more. */
export const safetyBackup = defineEffect({
  name: 'restore.safetyBackup@1',
  title: 'Back up what was in use',
  ...longStream,
  onPartial: 'rerun',
  locks: restoreLock,
  leaves: 'the safety backup stays in the index',
  input: restoreScope,
  output: z.object({
    backup: z.string(),
    bytes: z.number().int(),
    tables: z.number().int(),
    rows: z.number().int(),
    place: z.string(),
    tookMs: z.number().int(),
  }),
});

/** The restored database takes the name that services know. */
export const swapDatabase = defineEffect({
  name: 'restore.swapDatabase@1',
  title: 'Put the restored database in place',
  ...renames,
  input: restoreScope,
  output: z.object({ database: z.string(), keptAs: z.string() }),
});

/** Bytes of storage objects through the storage service; only what it does not give as it was is written. */
export const putObjects = defineEffect({
  name: 'restore.putObjects@1',
  title: 'Bring the storage objects back',
  ...longStream,
  onPartial: 'rerun',
  locks: restoreLock,
  leaves: 'storage objects that were written stay in the storage service',
  input: restoreScope,
  output: z.object({ objects: z.number().int(), written: z.number().int(), lost: z.number().int() }),
});

/** Files of the edge functions through their container; only what differs is written. */
export const putFunctions = defineEffect({
  name: 'restore.putFunctions@1',
  title: 'Bring the edge functions back',
  timeoutMs: 20 * 60_000,
  deadlineMs: 2 * 60 * 60_000,
  settleMs: 65_000,
  retry: { attempts: 4, baseMs: 2_000, maxMs: 30_000 },
  onPartial: 'rerun',
  locks: restoreLock,
  input: restoreScope,
  output: z.object({ files: z.number().int(), written: z.number().int(), mounts: z.number().int() }),
});

/** The database that was in use has its name again, wherever the replacement stopped. */
export const giveBack = defineEffect({
  name: 'restore.giveBack@1',
  title: 'Give the database in use its name back',
  ...renames,
  leaves: 'the database that was in use keeps its name',
  input: restoreScope,
  output: z.object({ database: z.string() }),
});

/** Takes our mark off the restored database and lets it count its rows (ANALYZE). */
export const finishRestore = defineEffect({
  name: 'restore.finish@1',
  title: 'Finish the restored database',
  timeoutMs: 60 * 60_000,
  deadlineMs: 3 * 60 * 60_000,
  settleMs: 30_000,
  retry: { attempts: 4, baseMs: 1_000, maxMs: 20_000 },
  onPartial: 'rerun',
  locks: restoreLock,
  input: restoreScope.extend({ inPlace: z.boolean() }),
  output: z.object({ database: z.string() }),
});
