/**
 * What a change of a running instance writes, word for word (engine.md A1, E9). Invariants:
 * 1. `before` is exactly what stood there when the plan was made; a write expects it, an undo puts it back byte for byte.
 * 2. Texts hold secrets in clear: the document lives in an encrypted artifact only.
 */
import { z } from 'zod';
import type { EffectContext } from '../handler.ts';
import { hashText, readApproved } from '../supabase/plan-document.ts';
import { databaseDocument } from './database/cells.ts';

const text = z.strictObject({ before: z.string(), after: z.string() });

export const routeFields = z.strictObject({
  /** Null for a route that is made new. */
  domainId: z.string().nullable(),
  host: z.string(),
  https: z.boolean(),
  certificateType: z.string(),
  port: z.number().int().nullable(),
  path: z.string(),
  serviceName: z.string().nullable(),
});
export type PlannedRoute = z.infer<typeof routeFields>;

export const changeDocument = z.strictObject({
  version: z.literal(1),
  kind: z.literal('change'),
  workflow: z.string(),
  target: z.string(),
  dokploy: z.string(),
  serverId: z.string().nullable(),
  composeId: z.string(),
  appName: z.string(),
  /** For people: the name of the service in Dokploy. */
  name: z.string(),
  services: z.array(z.strictObject({ name: z.string(), healthcheck: z.boolean() })),
  environment: text.nullable(),
  compose: text.nullable(),
  /** File mounts; `before` is null where the file was not there. */
  files: z.array(
    z.strictObject({ mountId: z.string().nullable(), filePath: z.string(), before: z.string().nullable(), after: z.string() }),
  ),
  routes: z.strictObject({ before: z.array(routeFields), after: z.array(routeFields) }).nullable(),
  /** What must stand there when it is deployed, and what the live probes are asked with. */
  deployed: z.strictObject({ env: z.string(), compose: z.string(), routes: z.array(routeFields) }),
  recreated: z.array(z.string()).nullable(),
  /** Values inside the database that are written before the texts, in one transaction. */
  database: databaseDocument.nullable(),
  /** The JWT secret that the database shall keep, as a reference. */
  jwtSecret: z.string().nullable(),
  /** What the target's record takes over when all is done; secrets by their names there, as references. */
  note: z.strictObject({ secrets: z.record(z.string(), z.string()), url: z.string().nullable(), facts: z.record(z.string(), z.unknown()) }),
  writes: z.array(z.string()),
});
export type ChangeDocument = z.infer<typeof changeDocument>;

/** Stores the plan; the hash is what an approval is bound to. */
export async function storeChange(ctx: EffectContext, document: ChangeDocument): Promise<{ plan: string; planHash: string }> {
  const plain = JSON.stringify(changeDocument.parse(document));
  return { plan: await ctx.artifacts.put('plan', 'application/json', plain), planHash: hashText(plain) };
}

/** Reads the approved plan. Throws PLAN_CHANGED. */
export async function readChange(ctx: EffectContext, reference: { plan: string; planHash: string }): Promise<ChangeDocument> {
  return changeDocument.parse(await readApproved(ctx, reference));
}
