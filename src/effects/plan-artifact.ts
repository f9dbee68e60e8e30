/** Plans of any shape as encrypted artifacts (engine.md A1): later writes take their content from here only, after its hash was compared. */
import type { z } from 'zod';
import type { EffectContext } from './handler.ts';
import { hashText, readApproved } from './supabase/plan-document.ts';

export type PlanReference = { plan: string; planHash: string };

/** Stores a plan; the hash is what an approval is bound to. */
export async function storeDocument<S extends z.ZodType>(ctx: EffectContext, schema: S, document: z.input<S>): Promise<PlanReference> {
  const text = JSON.stringify(schema.parse(document));
  return { plan: await ctx.artifacts.put('plan', 'application/json', text), planHash: hashText(text) };
}

/** Reads the approved plan. Throws PLAN_CHANGED when it is not the one that was approved. */
export async function readDocument<S extends z.ZodType>(ctx: EffectContext, schema: S, reference: PlanReference): Promise<z.infer<S>> {
  return schema.parse(await readApproved(ctx, reference));
}
