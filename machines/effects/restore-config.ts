import { z } from 'zod';
import { changePlan, planInput, planning, serviceOfTarget } from './change.ts';
import { defineEffect } from './contract.ts';
import { quickRead } from './shapes.ts';

export const restoreParts = z.enum(['environment', 'compose', 'files', 'domains']);

export const snapshotChoice = z.strictObject({
  snapshot: z.string().min(1).max(120).describe('A snapshot of the list: artifact:…'),
  parts: z.array(restoreParts).min(1).max(4).optional().describe('Only these parts. Default: all'),
});

/** The kept snapshots of a target against what stands there now, newest first. */
export const listSnapshots = defineEffect({
  name: 'target.listSnapshots@1',
  title: 'List the kept configurations',
  readOnly: true,
  ...quickRead,
  input: serviceOfTarget.extend({ snapshot: z.string() }),
  output: z.object({
    snapshots: z.array(
      z.object({
        snapshot: z.string(),
        at: z.string(),
        why: z.string(),
        same: z.boolean(),
        /** Variables that differ by name, and which other parts do. */
        differs: z.array(z.string()),
      }),
    ),
  }),
});

/** Takes what may go back and keeps what a running instance has grown into; refuses where going back would lose data. */
export const planConfigReturn = defineEffect({
  name: 'restoreConfig.planChange@1',
  title: 'Plan the return to a kept configuration',
  ...planning,
  input: planInput.extend({ request: snapshotChoice }),
  output: changePlan,
});
