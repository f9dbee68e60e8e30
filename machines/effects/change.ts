import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { oneWrite, planReference, quickRead, warning } from './shapes.ts';
import { liveCheck } from './supabase.ts';

/**
 * Changing a running instance, the same for every workflow that does: look, prove, plan, write, deploy, prove again.
 * What is written stands word for word in the plan artifact (A1); ids come from the snapshot, and each write expects the hash it had there (E9).
 */

/** Name of a registered target. */
export const targetName = z.string().min(1).max(120).describe('Name of a target (list_targets)');

/** The service that a target is. */
export const serviceOfTarget = z.object({
  target: z.string(),
  dokploy: z.string(),
  composeId: z.string(),
  appName: z.string(),
});

/** One write of an approved change. */
export const changeScope = serviceOfTarget.extend(planReference.shape);

/** E10: one change at a time per target. */
export function targetLocks(input: { target: string }): string[] {
  return [`target:${input.target}`];
}

/** Reads environment, compose file, mounts and domains of a target whole, and keeps them as a snapshot that belongs to the target. */
export const takeSnapshot = defineEffect({
  name: 'target.takeSnapshot@1',
  title: 'Read the instance and keep a snapshot',
  readOnly: true,
  ...quickRead,
  timeoutMs: 60_000,
  input: z.object({ target: z.string(), why: z.string() }),
  output: serviceOfTarget.extend({
    snapshot: z.string(),
    /** Which generation of the template it is, by the doctor's marks. */
    generation: z.string(),
    variables: z.number().int(),
    files: z.number().int(),
    hosts: z.array(z.string()),
  }),
});

/** `passed` only when every check is; `unknown` when nothing could be asked. */
export const proof = z.object({
  verdict: z.enum(['passed', 'failed', 'unknown']),
  url: z.string().nullable(),
  checks: z.array(liveCheck),
  say: z.string(),
});

/** Live probes of a target: with the keys of the snapshot, or, where a plan is given, with those that the plan wrote. */
export const proveTarget = defineEffect({
  name: 'target.prove@1',
  title: 'Prove the instance with live requests',
  readOnly: true,
  timeoutMs: 3 * 60_000,
  deadlineMs: 5 * 60_000,
  retry: { attempts: 4, baseMs: 1_000, maxMs: 5_000 },
  input: serviceOfTarget.extend({ snapshot: z.string(), plan: planReference.nullable() }),
  output: proof,
});

/** One difference between what stands there and what is planned, secrets masked. */
export const configurationChange = z.object({
  what: z.enum(['variable', 'file', 'compose', 'domain', 'database']),
  name: z.string(),
  before: z.string(),
  after: z.string(),
  why: z.string(),
});

/** What every `*.planChange` of a running instance answers. */
export const changePlan = planReference.extend({
  /** nothing: all is well; configuration: texts are written and deployed; database: only what the database keeps; both: the JWT secret after the texts. */
  kind: z.enum(['nothing', 'configuration', 'database', 'both']),
  /** What will happen, in one sentence. */
  say: z.string(),
  changes: z.array(configurationChange),
  /** Services whose containers are made anew. */
  recreated: z.array(z.string()),
  databaseRestarts: z.boolean(),
  /** What happens, in order. */
  writes: z.array(z.string()),
  warnings: z.array(warning),
});
export type ChangePlan = z.infer<typeof changePlan>;

/** What every planner of a change is told besides its own request. */
export const planInput = serviceOfTarget.extend({ snapshot: z.string(), before: proof.nullable() });

/** Building a plan reads outside once more and writes only an encrypted artifact. */
export const planning = { readOnly: true, ...quickRead, timeoutMs: 60_000, deadlineMs: 3 * 60_000 } as const;

/** Writes the texts and rows of the plan that differ; what somebody else changed meanwhile is never overwritten (E9). */
export const writeConfiguration = defineEffect({
  name: 'dokploy.writeConfiguration@1',
  title: 'Write the configuration',
  ...oneWrite,
  // `partial` is a state between the earlier and the planned one: the run goes on from there, the undo goes back from there.
  onPartial: 'rerun',
  locks: targetLocks,
  input: changeScope,
  output: z.object({ written: z.array(z.string()) }),
});

/** Queues a deployment and follows it to its end; taken back by putting the earlier texts back and deploying those. */
export const redeploy = defineEffect({
  name: 'dokploy.redeploy@1',
  title: 'Deploy the change',
  ...oneWrite,
  timeoutMs: 25 * 60_000,
  deadlineMs: 40 * 60_000,
  settleMs: 35_000,
  onPartial: 'rerun',
  locks: targetLocks,
  input: changeScope,
  output: z.object({
    deploymentId: z.string(),
    status: z.enum(['running', 'done', 'error', 'cancelled']),
    /** Services whose containers are new; null when Docker could not be asked. */
    recreated: z.array(z.string()).nullable(),
  }),
});

/** The automatic return: the earlier texts are put back and deployed, because the instance was well before and is not now. */
export const returnConfiguration = defineEffect({
  name: 'dokploy.returnConfiguration@1',
  title: 'Return to the earlier configuration',
  ...oneWrite,
  timeoutMs: 25 * 60_000,
  deadlineMs: 40 * 60_000,
  settleMs: 35_000,
  onPartial: 'rerun',
  locks: targetLocks,
  input: changeScope,
  output: z.object({ deploymentId: z.string() }),
});

/** Writes values that the database keeps beside the texts, such as the pooler's tenant and the verifiers of roles: all in one transaction, read back. */
export const changeDatabase = defineEffect({
  name: 'supabase.changeDatabase@1',
  title: 'Change what the database keeps',
  ...oneWrite,
  timeoutMs: 12 * 60_000,
  deadlineMs: 40 * 60_000,
  onPartial: 'rerun',
  locks: targetLocks,
  input: changeScope,
  output: z.object({ changed: z.array(z.string()) }),
});

/** Sets `app.settings.jwt_secret` of the database to the planned secret; the statement shows the secret to no log. */
export const storeJwtSecret = defineEffect({
  name: 'supabase.storeJwtSecret@1',
  title: 'Tell the database the JWT secret',
  ...oneWrite,
  onPartial: 'rerun',
  locks: targetLocks,
  input: changeScope,
  output: z.object({ sha256: z.string() }),
});

/** The target's record names the secrets that stand there now. */
export const noteChange = defineEffect({
  name: 'target.noteChange@1',
  title: 'Note the change at the target',
  timeoutMs: 30_000,
  deadlineMs: 60_000,
  settleMs: 100,
  onPartial: 'rerun',
  locks: targetLocks,
  input: changeScope,
  output: z.object({ secrets: z.array(z.string()) }),
});
