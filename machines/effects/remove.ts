import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { oneWrite, planReference, quickRead, targetLocks, targetName } from './shapes.ts';

const scope = z.object({ target: targetName }).extend(planReference.shape);

/** What a removal would destroy, and whether a backup of it was found whole. */
export const planRemoval = defineEffect({
  name: 'removal.planChange@1',
  title: 'Look what a removal would destroy',
  readOnly: true,
  ...quickRead,
  timeoutMs: 60_000,
  input: z.object({ target: targetName }),
  output: planReference.extend({
    service: z.string(),
    hosts: z.array(z.string()),
    /** Tables, users and stored objects; null when the database could not be asked. */
    data: z.object({ tables: z.number(), users: z.number(), objects: z.number() }).nullable(),
    /** The newest backup that was found whole, and whether it is of the last day. */
    backup: z.object({ id: z.string(), madeAt: z.string(), verifiedAt: z.string(), fresh: z.boolean() }).nullable(),
    /** True when the service is the only thing in its Dokploy project, which then goes as well. */
    projectGoes: z.boolean(),
    writes: z.array(z.string()),
    notes: z.array(z.string()),
  }),
});

/** Deletes the service with its containers, volumes and files. */
export const removeService = defineEffect({
  name: 'dokploy.removeService@1',
  title: 'Remove the service and its data',
  ...oneWrite,
  // docker works inside the request.
  timeoutMs: 5 * 60_000,
  deadlineMs: 20 * 60_000,
  settleMs: 185_000,
  pointOfNoReturn: true,
  onPartial: 'rerun',
  locks: targetLocks,
  input: scope,
  output: z.object({ removed: z.literal(true) }),
});

/** Removes the project that held nothing but the service. */
export const removeEmptyProject = defineEffect({
  name: 'dokploy.removeEmptyProject@1',
  title: 'Remove the empty project',
  ...oneWrite,
  pointOfNoReturn: true,
  onPartial: 'rerun',
  locks: targetLocks,
  input: scope,
  /** False when somebody put something into it meanwhile: then it stays. */
  output: z.object({ removed: z.boolean() }),
});

/** Takes the target out of the list of targets. */
export const forgetTarget = defineEffect({
  name: 'target.forget@1',
  title: 'Forget the target',
  local: true,
  pointOfNoReturn: true,
  timeoutMs: 30_000,
  deadlineMs: 60_000,
  input: z.object({ target: targetName }),
  output: z.object({ forgotten: z.string() }),
});
