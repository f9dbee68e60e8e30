import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { oneWrite, planReference, quickRead, targetName } from './shapes.ts';

/** One statement of somebody else, with its values. */
export const statement = z.object({
  target: targetName,
  sql: z.string().min(1).max(30_000),
  parameters: z.array(z.union([z.string().max(20_000), z.number(), z.boolean(), z.null()])).max(1_000),
  timeoutMs: z.number().int().min(1).max(600_000),
});

const way = { role: z.string(), rung: z.string() };

/** Judges the statement and looks how it would get there; nothing is run. */
export const planStatement = defineEffect({
  name: 'sql.planStatement@1',
  title: 'Judge the statement',
  readOnly: true,
  ...quickRead,
  input: statement,
  output: planReference.extend({
    ...way,
    /** What kinds of statement it holds, such as `DELETE public.orders`. */
    classes: z.array(z.string()),
    /** The statement as a person reads it: hidden characters spelled out, cut. */
    shown: z.string(),
    /** The first time, a schema for our own notes is made in that database. */
    makesNotes: z.boolean(),
  }),
});

/** Runs the approved statement in one transaction together with a note of its key, so that a lost answer is never taken for a failure. */
export const runStatement = defineEffect({
  name: 'sql.runStatement@1',
  title: 'Run the statement',
  ...oneWrite,
  timeoutMs: 11 * 60_000,
  deadlineMs: 30 * 60_000,
  settleMs: 11 * 60_000,
  locks: ({ target }) => [`target:${target}`],
  leaves: 'what the statement changed in the database stays changed',
  input: planReference.extend({ target: targetName }),
  output: z.object({ ...way, /** Rows changed or returned; null where the way does not tell. */ rowCount: z.number().int().nullable() }),
});
