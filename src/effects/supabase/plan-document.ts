/**
 * The plan artifact (engine.md A1): everything that step 7 writes, word for word. Invariants:
 * 1. Later writes take their content from here only, after its hash was compared with the approved one.
 * 2. Secrets are references; ids that Dokploy mints later are named in `slots` and filled from this run's outputs only.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { EffectContext } from '../handler.ts';

const plannedLine = z.union([
  z.strictObject({ text: z.string() }),
  z.strictObject({ name: z.string(), value: z.string() }),
  z.strictObject({ name: z.string(), secret: z.string() }),
]);

export const planDocument = z.strictObject({
  version: z.literal(1),
  dokploy: z.string(),
  serverId: z.string().nullable(),
  name: z.string(),
  appName: z.string(),
  templateSha256: z.string(),
  /** template.toml as fetched, and the compose text with its patches. */
  template: z.strictObject({ toml: z.string(), compose: z.string() }),
  composeHash: z.string(),
  env: z.array(plannedLine),
  /** Files and domain rows that the import itself makes. */
  mounts: z.array(z.string()),
  importedDomains: z.number().int(),
  services: z.array(z.strictObject({ name: z.string(), healthcheck: z.boolean() })),
  domain: z.strictObject({
    host: z.string(),
    https: z.boolean(),
    certificateType: z.enum(['letsencrypt', 'none', 'custom']),
    port: z.number().int(),
    path: z.string(),
    serviceName: z.string(),
  }),
  url: z.string(),
  keys: z.strictObject({ anon: z.string(), serviceRole: z.string() }),
  slots: z.array(z.enum(['projectId', 'environmentId', 'composeId', 'appName', 'domainId', 'deploymentId'])),
  /** The writes in order, for people. */
  writes: z.array(z.string()),
});

export type PlanDocument = z.infer<typeof planDocument>;

export function hashText(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Hash of a text that Dokploy gives back, where only line ends and space at the end may differ. */
export function hashKept(text: string | null | undefined): string {
  return hashText((text ?? '').replace(/\r\n/g, '\n').trimEnd());
}

/** Stores the plan; the hash is what an approval is bound to. */
export async function storePlan(ctx: EffectContext, document: PlanDocument): Promise<{ plan: string; planHash: string }> {
  const text = JSON.stringify(planDocument.parse(document), null, 2);
  return { plan: await ctx.artifacts.put('plan', 'application/json', text), planHash: hashText(text) };
}

/** What every plan of a stack says, whichever workflow made it. */
export const stackPlan = z.looseObject({ name: z.string(), serverId: z.string().nullable(), services: planDocument.shape.services });

/** Reads the approved plan of a new instance. Throws PLAN_CHANGED. */
export async function readPlan(ctx: EffectContext, reference: { plan: string; planHash: string }): Promise<PlanDocument> {
  return planDocument.parse(await readApproved(ctx, reference));
}

/** Reads an approved plan of any kind. Throws PLAN_CHANGED when it is not the one that was approved. */
export async function readApproved(ctx: EffectContext, reference: { plan: string; planHash: string }): Promise<unknown> {
  const text = await ctx.artifacts.read(reference.plan);
  if (hashText(text) === reference.planHash) return JSON.parse(text);
  throw new AppError('PLAN_CHANGED', {
    message: 'The stored plan is not the one that was approved.',
    fix: 'Roll back to the review and approve a new plan; nothing of the changed one was written.',
  });
}
