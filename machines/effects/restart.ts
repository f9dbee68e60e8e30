import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { oneWrite, planReference, quickRead, targetLocks, targetName } from './shapes.ts';

/** Which containers a restart would touch; writes the plan as an artifact (A1). */
export const planRestart = defineEffect({
  name: 'dokploy.planRestart@1',
  title: 'Look which containers would be restarted',
  readOnly: true,
  ...quickRead,
  timeoutMs: 60_000,
  input: z.object({
    target: targetName,
    /** One compose service; null for all. */
    service: z.string().nullable(),
  }),
  output: planReference.extend({
    /** In the order in which they are restarted. */
    containers: z.array(z.object({ service: z.string(), container: z.string(), state: z.string() })),
    databaseRestarts: z.boolean(),
    notes: z.array(z.string()),
  }),
});

/** Restarts the planned containers one after the other; one counts as restarted when Docker tells a later start. */
export const restartContainers = defineEffect({
  name: 'dokploy.restartContainers@1',
  title: 'Restart the containers',
  ...oneWrite,
  // Each container is given its time to stop; thirteen of them.
  timeoutMs: 10 * 60_000,
  deadlineMs: 30 * 60_000,
  // One request may take as long as docker works in it.
  settleMs: 65_000,
  // Those that were restarted already are left alone.
  onPartial: 'rerun',
  leaves: 'containers that were restarted stay restarted; nothing of their settings was changed',
  locks: targetLocks,
  input: z.object({ target: targetName }).extend(planReference.shape),
  output: z.object({ restarted: z.array(z.string()) }),
});
