/** Plans as encrypted artifacts (engine.md A1): later writes take their content from here only, after its hash was compared. */
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { AppError } from '../errors.ts';
import type { EffectContext } from './handler.ts';

export type PlanReference = { plan: string; planHash: string };

/** Stores a plan; the hash is what an approval is bound to. */
export async function storeDocument<S extends z.ZodType>(ctx: EffectContext, schema: S, document: z.input<S>): Promise<PlanReference> {
  const text = JSON.stringify(schema.parse(document), null, 2);
  return { plan: await ctx.artifacts.put('plan', 'application/json', text), planHash: hashOf(text) };
}

/** Reads the approved plan. Throws PLAN_CHANGED when it is not the one that was approved. */
export async function readDocument<S extends z.ZodType>(ctx: EffectContext, schema: S, reference: PlanReference): Promise<z.infer<S>> {
  const text = await ctx.artifacts.read(reference.plan);
  if (hashOf(text) === reference.planHash) return schema.parse(JSON.parse(text));
  throw new AppError('PLAN_CHANGED', {
    message: 'The stored plan is not the one that was approved.',
    fix: 'Roll back to the review and approve a new plan; nothing of the changed one was written.',
  });
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
