import { z } from 'zod';
import { longStream } from './backup.ts';
import { defineEffect } from './contract.ts';
import { planReference, warning } from './shapes.ts';

/** Contracts of bringing a backup back. Everything is made beside what is there; only `swapDatabase` touches what is in use. */

const restoreLock = (input: { target: string }): string[] => [`target:${input.target}`];

export const restoreMode = z.enum(['beside', 'replace']);

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
  }),
  output: planReference.extend({
    target: z.string(),
    database: z.string(),
    into: z.string(),
    mode: restoreMode,
    keepAs: z.string().nullable(),
    madeAt: z.string(),
    rawBytes: z.number().int(),
    tables: z.number().int(),
    rows: z.number().int(),
    createRoles: z.array(z.string()),
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
  output: z.object({ database: z.string(), tookMs: z.number().int() }),
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

/** Renames: the restored database takes the name, the one in use is kept under another. */
export const swapDatabase = defineEffect({
  name: 'restore.swapDatabase@1',
  title: 'Put the restored database in place',
  timeoutMs: 120_000,
  deadlineMs: 20 * 60_000,
  settleMs: 60_000,
  retry: { attempts: 4, baseMs: 1_000, maxMs: 20_000 },
  onPartial: 'rerun',
  locks: restoreLock,
  input: restoreScope,
  output: z.object({ database: z.string(), keptAs: z.string(), downMs: z.number().int() }),
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
