import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { planReference } from './shapes.ts';

/** Contracts of retention: which backups of the index may go, and their going. */

const count = z.int().min(1).max(10_000).optional();
export const retentionPolicy = z.strictObject({
  keepLast: count.describe('Keep the newest N of each target'),
  keepDays: count.describe('Keep what is younger than N days'),
  daily: count.describe('Keep the newest of each of the last N days that have one'),
  weekly: count.describe('Likewise per ISO week'),
  monthly: count.describe('Likewise per month'),
});

export const planCleanup = defineEffect({
  name: 'backup.planCleanup@1',
  title: 'Find the backups that may go',
  readOnly: true,
  timeoutMs: 30_000,
  deadlineMs: 60_000,
  input: z.object({ target: z.string().nullable(), policy: retentionPolicy }),
  output: planReference.extend({
    targets: z.array(z.string()),
    remove: z.array(z.object({ id: z.string(), target: z.string(), madeAt: z.string(), bytes: z.number().int() })),
    removeBytes: z.number().int(),
    keep: z.number().int(),
  }),
});

export const removeBackups = defineEffect({
  name: 'backup.removeBackups@1',
  title: 'Remove the backups of the plan',
  timeoutMs: 60 * 60_000,
  deadlineMs: 6 * 60 * 60_000,
  settleMs: 30_000,
  retry: { attempts: 6, baseMs: 1_000, maxMs: 20_000 },
  onPartial: 'rerun',
  pointOfNoReturn: true,
  locks: ({ targets }) => targets.map((target) => `target:${target}`),
  input: planReference.extend({ targets: z.array(z.string()) }),
  output: z.object({ removed: z.array(z.string()), bytes: z.number().int() }),
});
