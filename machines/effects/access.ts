import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { oneWrite, planReference, quickRead, targetLocks, targetName } from './shapes.ts';

/** Which rights are wished for: as check_access takes them. */
export const accessWish = z.strictObject({
  role: z
    .string()
    .min(1)
    .max(63)
    .regex(/^(?!pg_)/, 'predefined roles (pg_…) are not given rights')
    .describe('A role of the database, such as anon or one of your own'),
  schema: z.string().min(1).max(63).describe('A schema, such as public'),
  want: z.enum(['read', 'write']).describe('read: select on every table and view; write: insert, update, delete and sequences too'),
});

const inTarget = z.object({ target: targetName }).extend(planReference.shape);

/** Compares what the role may do with what is wished for; the missing grants, object by object, become the plan (A1). */
export const planGrants = defineEffect({
  name: 'postgres.planGrants@1',
  title: 'See which rights are missing',
  readOnly: true,
  ...quickRead,
  input: z.object({ target: targetName }).extend(accessWish.shape),
  output: planReference.extend({
    nothing: z.boolean(),
    /** As whom the grants will be sent, and how. */
    by: z.string(),
    rung: z.string(),
    objects: z.number().int(),
    /** The first ones, each cut where it is long. */
    statements: z.array(z.string()),
    notes: z.array(z.string()),
  }),
});

/** Sends the missing grants in one transaction; its undo revokes those, and nothing that stood there before. */
export const grantRights = defineEffect({
  name: 'postgres.grantRights@1',
  title: 'Give the missing rights',
  ...oneWrite,
  onPartial: 'rerun',
  locks: targetLocks,
  input: inTarget,
  output: z.object({ granted: z.number().int() }),
});

/** Looks whether the reading role can log in, and makes a password and its verifier for the plan; the database hears nothing of it yet. */
export const planReadLogin = defineEffect({
  name: 'postgres.planReadLogin@1',
  title: 'Look at the reading role and make a password for it',
  readOnly: true,
  ...quickRead,
  input: z.object({ target: targetName, renew: z.boolean() }),
  output: planReference.extend({
    /** The target already has its password, and it is the right one. */
    nothing: z.boolean(),
    role: z.string(),
    /** As whom the change will be made, and how. */
    by: z.string(),
    rung: z.string(),
    hadPassword: z.boolean(),
    notes: z.array(z.string()),
  }),
});

/** Gives the role its login, as a verifier: no password travels. Its undo puts the earlier verifier, or none, back. */
export const setReadLogin = defineEffect({
  name: 'postgres.setReadLogin@1',
  title: 'Give the reading role its password',
  ...oneWrite,
  onPartial: 'rerun',
  locks: targetLocks,
  input: inTarget,
  output: z.object({ role: z.string() }),
});

/** The target's record names the new secret. */
export const noteReadLogin = defineEffect({
  name: 'target.noteReadLogin@1',
  title: 'Note the secret at the target',
  timeoutMs: 30_000,
  deadlineMs: 60_000,
  settleMs: 100,
  onPartial: 'rerun',
  locks: targetLocks,
  input: inTarget,
  output: z.object({ secret: z.string() }),
});

/** Opens the way that an agent's reading SQL gets now, and looks as whom. */
export const proveReadLogin = defineEffect({
  name: 'postgres.proveReadLogin@1',
  title: 'Log in as the reading role',
  readOnly: true,
  ...quickRead,
  input: z.object({ target: targetName }),
  output: z.object({ rung: z.string(), role: z.string() }),
});
