/** A registered target and the Dokploy service that it is, opened for one effect. */
import { AppError } from '../../errors.ts';
import type { DokployClient } from '../dokploy/client.ts';
import type { ComposeOne } from '../dokploy/schemas.ts';
import { type DokployDeps, openDokploy } from '../dokploy/session.ts';
import type { EffectContext, TargetRecord } from '../handler.ts';

export type OpenTarget = { record: TargetRecord; dokploy: string; composeId: string; client: DokployClient };

/** Throws TARGET_UNKNOWN and TARGET_NOT_ON_DOKPLOY. */
export async function openTarget(deps: DokployDeps, ctx: EffectContext, name: string): Promise<OpenTarget> {
  const record = await ctx.target(name);
  if (!record.dokploy)
    throw new AppError('TARGET_NOT_ON_DOKPLOY', {
      message: `The target ${name} does not say which service of which Dokploy it is, so this workflow cannot change it.`,
      fix: 'Register it through its Dokploy (capstan dokploy add), then start again.',
    });
  const { name: dokploy, composeId } = record.dokploy;
  return { record, dokploy, composeId, client: await openDokploy(deps, ctx, dokploy) };
}

export type OpenService = OpenTarget & { row: ComposeOne };

/** The target with its service row. Throws DOKPLOY_NOT_FOUND when the service is gone. */
export async function openService(deps: DokployDeps, ctx: EffectContext, name: string): Promise<OpenService> {
  const open = await openTarget(deps, ctx, name);
  return { ...open, row: await open.client.composeOne(open.composeId) };
}
