/**
 * Bridges whose use is over. Invariants:
 * 1. Only those of the approved plan are deleted, each judged again under the target's lock: what is in use by then, or is not ours, stays.
 * 2. A bridge counts as removed when its service reads back as missing; a target that named it forgets it in the same commit.
 */
import { z } from 'zod';
import * as contract from '../../../machines/effects/bridge.ts';
import type { DokployClient } from '../dokploy/client.ts';
import { type DokployDeps, openDokploy, orMissing } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { readDocument, storeDocument } from '../plan-artifact.ts';
import { openService } from '../target/place.ts';
import { removeService, withoutBridge } from './service.ts';
import { aroundOf, bridgeIdOf, type HomeFacts, standingBridges, standingOf } from './standing.ts';

const removalPlan = z.strictObject({
  version: z.literal(1),
  kind: z.literal('bridge removal'),
  target: z.string(),
  dokploy: z.string(),
  remove: z.array(z.object({ composeId: z.string(), appName: z.string() })),
});
type Plan = z.infer<typeof removalPlan>;
type Output = z.infer<(typeof contract.removeBridges)['output']>;

export type RemoveDeps = DokployDeps & { home: HomeFacts };

export function createRemoveHandlers(deps: RemoveDeps) {
  return {
    'bridge.planRemoval@1': defineHandler(contract.planBridgeRemoval, {
      async run(ctx, { target }) {
        const { client, row, dokploy, record } = await openService(deps, ctx, target);
        const all = await standingBridges(row.environment.projectId, aroundOf(deps.home, ctx, client, record));
        const told = all.map(({ composeId, appName, host, why }) => ({ composeId, appName, host, why }));
        const remove = told.filter((_, index) => all[index]?.whose === 'left over');
        const plan: Plan = { version: 1, kind: 'bridge removal', target, dokploy, remove };
        return { ...(await storeDocument(ctx, removalPlan, plan)), remove, stays: told.filter((each) => !remove.includes(each)) };
      },
    }),
    'bridge.removeBridges@1': defineHandler(contract.removeBridges, {
      async prepare(ctx, input): Promise<{ there: string[] }> {
        return { there: await left(await open(deps, ctx, input)) };
      },
      async run(ctx, input): Promise<Output> {
        const { plan, client } = await open(deps, ctx, input);
        const around = aroundOf(deps.home, ctx, client, await ctx.target(plan.target));
        const removed: Plan['remove'] = [];
        const kept: Output['kept'] = [];
        for (const { composeId, appName } of plan.remove) {
          const row = await orMissing(client.composeOne(composeId));
          const standing = row && (await standingOf(row, around));
          if (standing && standing.whose !== 'left over') kept.push({ appName, why: standing.why });
          else {
            await removeService(client, composeId);
            removed.push({ composeId, appName });
          }
        }
        await forget(ctx, plan.target, removed);
        return { removed, kept };
      },
      async probe(ctx, input, before: { there: string[] } | undefined): Promise<Probe<Output>> {
        const opened = await open(deps, ctx, input);
        const stand = await left(opened);
        if (stand.length === 0) {
          const { target, remove } = opened.plan;
          await forget(ctx, target, remove);
          return { state: 'applied', output: { removed: remove, kept: [] } };
        }
        return stand.length === before?.there.length ? { state: 'absent' } : { state: 'partial', say: 'some of the bridges are gone.' };
      },
    }),
  };
}

async function open(deps: RemoveDeps, ctx: EffectContext, input: { plan: string; planHash: string }) {
  const plan = await readDocument(ctx, removalPlan, input);
  return { plan, client: await openDokploy(deps, ctx, plan.dokploy) };
}

async function left({ plan, client }: { plan: Plan; client: DokployClient }): Promise<string[]> {
  const rows = await Promise.all(plan.remove.map(({ composeId }) => orMissing(client.composeOne(composeId))));
  return rows.flatMap((row) => (row === undefined ? [] : [row.composeId]));
}

/** A target names no bridge that was taken away. */
async function forget(ctx: EffectContext, name: string, gone: Plan['remove']): Promise<void> {
  const target = await ctx.target(name);
  const named = bridgeIdOf(target);
  if (gone.some(({ composeId }) => composeId === named)) ctx.saveTarget({ ...target, ...withoutBridge(target) });
}
