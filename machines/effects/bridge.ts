import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { oneWrite, planReference, quickRead, targetLocks, targetName } from './shapes.ts';

export const bridgeWish = z.strictObject({
  host: z
    .string()
    .regex(/^(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/, 'give a host name, such as bridge.example.com')
    .describe('A host name that leads to the machine of the target; it gets https of its own'),
});

const inTarget = z.object({ target: targetName }).extend(planReference.shape);

/** Reads in which network the database is, makes a key pair, and writes the relay's compose text as the plan (A1). */
export const planInstallation = defineEffect({
  name: 'bridge.planInstallation@1',
  title: 'Find the network of the database',
  readOnly: true,
  ...quickRead,
  input: z.object({ target: targetName }).extend(bridgeWish.shape),
  output: planReference.extend({
    network: z.string(),
    image: z.string(),
    until: z.string(),
    writes: z.array(z.string()),
    notes: z.array(z.string()),
  }),
});

/** Makes, routes and deploys the relay's service; its undo deletes it. */
export const installRelay = defineEffect({
  name: 'bridge.installRelay@1',
  title: 'Deploy the bridge',
  ...oneWrite,
  timeoutMs: 10 * 60_000,
  deadlineMs: 20 * 60_000,
  settleMs: 35_000,
  onPartial: 'rerun',
  locks: targetLocks,
  input: inTarget,
  output: z.object({ composeId: z.string(), url: z.string() }),
});

/** The target's record names the bridge and the key that signs its tokens. */
export const noteBridge = defineEffect({
  name: 'target.noteBridge@1',
  title: 'Note the bridge at the target',
  timeoutMs: 30_000,
  deadlineMs: 60_000,
  settleMs: 100,
  onPartial: 'rerun',
  locks: targetLocks,
  input: inTarget.extend({ composeId: z.string() }),
  output: z.object({ noted: z.literal(true) }),
});

/** Opens a session through the bridge; waits for route and certificate. */
export const proveBridge = defineEffect({
  name: 'bridge.prove@1',
  title: 'Reach the database through the bridge',
  readOnly: true,
  timeoutMs: 3 * 60_000,
  deadlineMs: 5 * 60_000,
  retry: { attempts: 2, baseMs: 1_000, maxMs: 5_000 },
  input: z.object({ target: targetName }),
  output: z.object({ role: z.string(), postgres: z.number().int() }),
});

/** Deletes the service after use; the target forgets it in the same commit. */
export const removeRelay = defineEffect({
  name: 'bridge.removeRelay@1',
  title: 'Remove the bridge',
  ...oneWrite,
  onPartial: 'rerun',
  locks: targetLocks,
  leaves: 'a bridge that was removed after use is not put back',
  input: inTarget.extend({ composeId: z.string() }),
  output: z.object({ removed: z.literal(true) }),
});

const standing = z.object({ composeId: z.string(), appName: z.string(), host: z.string().nullable(), why: z.string() });

/** Which bridges stand in the project of a target: those of this installation whose use is over, and the others. */
export const planBridgeRemoval = defineEffect({
  name: 'bridge.planRemoval@1',
  title: 'Find bridges whose use is over',
  readOnly: true,
  ...quickRead,
  input: z.object({ target: targetName }),
  output: planReference.extend({ remove: z.array(standing), stays: z.array(standing) }),
});

/** Deletes the bridges of the plan that are still left over; the target forgets the one that it named. */
export const removeBridges = defineEffect({
  name: 'bridge.removeBridges@1',
  title: 'Remove bridges whose use is over',
  ...oneWrite,
  onPartial: 'rerun',
  locks: targetLocks,
  leaves: 'a bridge whose use was over is not put back',
  input: inTarget,
  output: z.object({
    removed: z.array(standing.pick({ composeId: true, appName: true })),
    kept: z.array(standing.pick({ appName: true, why: true })),
  }),
});
