import { z } from 'zod';
import { longStream } from './backup.ts';
import { defineEffect } from './contract.ts';
import { restoreLock, restoreScope } from './restore.ts';
import { warning } from './shapes.ts';

/** Contracts of bringing one schema back: the whole copy beside is proven first, then its schema is exchanged in one transaction. */

/** The plan of the exchange, with the exact definitions that are written anew. */
const schemaReference = z.object({ schemaPlan: z.string(), schemaPlanHash: z.string() });

export const planSchema = defineEffect({
  name: 'restore.planSchema@1',
  title: 'Look what points into the schema',
  readOnly: true,
  timeoutMs: 120_000,
  deadlineMs: 10 * 60_000,
  retry: { attempts: 3, baseMs: 500, maxMs: 4_000 },
  input: restoreScope.extend({
    /** Leaves what pointed into the schema and was dropped since as it is. */
    leaveLost: z.boolean(),
  }),
  output: schemaReference.extend({
    schema: z.string(),
    /** The name under which the present one is kept, in the same database. */
    keepAs: z.string(),
    tables: z.number().int(),
    rows: z.number().int(),
    /** Tables and views of the backup that are not there now. */
    returns: z.array(z.string()),
    /** Tables and views of now that the backup does not have: they are in the kept schema only. */
    goes: z.array(z.string()),
    /** Objects of other schemas that are written anew so that they point to the restored one. */
    repoints: z.array(z.string()),
    moreRepoints: z.number().int(),
    /** What other schemas had of it in the backup, was dropped since, and is made again. */
    makesAgain: z.array(z.string()),
    publications: z.array(z.string()),
    keepCopy: z.boolean(),
    /** Stands in the question to the person. */
    say: z.string(),
    writes: z.array(z.string()),
    warnings: z.array(warning),
  }),
});

/** Renames, definitions, rows, what points into it, and the proof, in one transaction: all of it or nothing. */
export const replaceSchema = defineEffect({
  name: 'restore.replaceSchema@1',
  title: 'Exchange the schema',
  ...longStream,
  settleMs: 60_000,
  onPartial: 'rerun',
  locks: restoreLock,
  leaves: 'where somebody has written into the restored schema since, it stays beside under another name',
  input: restoreScope.extend(schemaReference.shape),
  output: z.object({
    schema: z.string(),
    keptAs: z.string(),
    tables: z.number().int(),
    rows: z.number().int(),
    /** Objects that were compared with the backup before the transaction was confirmed. */
    objects: z.number().int(),
    repointed: z.number().int(),
  }),
});

/** The copy was only where the schema came from; the backup still holds it. */
export const dropCopy = defineEffect({
  name: 'restore.dropCopy@1',
  title: 'Drop the copy beside',
  timeoutMs: 10 * 60_000,
  deadlineMs: 60 * 60_000,
  settleMs: 30_000,
  retry: { attempts: 4, baseMs: 1_000, maxMs: 20_000 },
  onPartial: 'rerun',
  locks: restoreLock,
  leaves: 'the copy beside is gone; a new restore of the same backup makes it again',
  input: restoreScope,
  output: z.object({ database: z.string() }),
});
