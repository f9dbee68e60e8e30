import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { planReference, quickRead, targetLocks, targetName } from './shapes.ts';

const counted = z.object({ class: z.string(), count: z.number().int() });

/** Reads the file, parses every statement and looks whether it was seeded before; writes text and verdict as the plan (A1). */
export const planSeed = defineEffect({
  name: 'postgres.planSeed@1',
  title: 'Read the seed file and look whether it was seeded before',
  readOnly: true,
  ...quickRead,
  timeoutMs: 60_000,
  deadlineMs: 120_000,
  input: z.object({ target: targetName, file: z.string(), as: z.string().nullable() }),
  output: planReference.extend({
    /** The name under which it is recorded in supabase_migrations.seed_files. */
    recordedAs: z.string(),
    sha256: z.string(),
    bytes: z.number().int(),
    statements: z.number().int(),
    classes: z.array(counted),
    /** new: never seeded; changed: another version of it was; same: this very file was. */
    state: z.enum(['new', 'changed', 'same']),
    role: z.string(),
    notes: z.array(z.string()),
  }),
});

/** All statements of the plan and the record of it, in one transaction. */
export const applySeed = defineEffect({
  name: 'postgres.applySeed@1',
  title: 'Run the seed in one transaction',
  // The server ends a seed after 5 minutes.
  timeoutMs: 6 * 60_000,
  // Its transaction begins by comparing the record with the one that was planned for: of two attempts one does nothing.
  dedupes: true,
  deadlineMs: 30 * 60_000,
  retry: { attempts: 3, baseMs: 1_000, maxMs: 20_000 },
  pointOfNoReturn: true,
  locks: targetLocks,
  input: z.object({ target: targetName }).extend(planReference.shape),
  output: z.object({ recordedAs: z.string(), sha256: z.string(), statements: z.number().int() }),
});
