/**
 * Writing the environment. Invariants:
 * 1. Secrets are put into the text here and nowhere else.
 * 2. Written only over the before-image, taken back only over what we wrote (E9); the hash decides, a masked comparison explains.
 */
import * as contract from '../../../machines/effects/dokploy.ts';
import { compareThreeWays } from '../../masking.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { hashKept, type PlanDocument, readPlan } from '../supabase/plan-document.ts';
import { assembleEnvironment } from '../supabase/plan-setup.ts';
import { changedBySomebodyElse, type DokployDeps, openDokploy, orMissing } from './session.ts';

type EnvImage = { env: string };
type Output = { envHash: string; variables: number };

export function saveEnvironment(deps: DokployDeps) {
  return defineHandler(contract.saveEnvironment, {
    async prepare(ctx, input): Promise<EnvImage> {
      const client = await openDokploy(deps, ctx, input.dokploy);
      return { env: (await client.composeOne(input.composeId)).env ?? '' };
    },
    async run(ctx, input, before) {
      const plan = await readPlan(ctx, input);
      const ours = await environmentOf(ctx, plan);
      const client = await openDokploy(deps, ctx, input.dokploy);
      const found = (await client.composeOne(input.composeId)).env ?? '';
      if (hashKept(found) === hashKept(ours)) return toOutput(ours, plan);
      if (hashKept(found) !== hashKept(before.env)) throw edited(input.name, before.env, found, ours);
      await client.saveEnvironment(input.composeId, ours);
      return toOutput(ours, plan);
    },
    async probe(ctx, input, before): Promise<Probe<Output>> {
      const plan = await readPlan(ctx, input);
      const ours = await environmentOf(ctx, plan);
      const client = await openDokploy(deps, ctx, input.dokploy);
      const row = await orMissing(client.composeOne(input.composeId));
      if (!row) return { state: 'absent' };
      const found = hashKept(row.env);
      if (found === hashKept(ours)) return { state: 'applied', output: toOutput(ours, plan) };
      if (found === hashKept(before?.env)) return { state: 'absent' };
      // Judged again, and refused with the comparison, by the run or undo that follows.
      return { state: 'partial', say: 'the environment is neither the earlier nor the planned one.' };
    },
    async undo(ctx, input, before) {
      const plan = await readPlan(ctx, input);
      const client = await openDokploy(deps, ctx, input.dokploy);
      const row = await orMissing(client.composeOne(input.composeId));
      if (!row) return;
      const found = row.env ?? '';
      if (hashKept(found) === hashKept(before.env)) return;
      const ours = await environmentOf(ctx, plan);
      if (hashKept(found) !== hashKept(ours)) throw edited(input.name, before.env, found, ours);
      await client.saveEnvironment(input.composeId, before.env);
    },
  });
}

function environmentOf(ctx: EffectContext, plan: PlanDocument): Promise<string> {
  return assembleEnvironment(plan.env, (reference) => ctx.secrets.reveal(reference));
}

function toOutput(text: string, plan: PlanDocument): Output {
  return {
    envHash: hashKept(text),
    variables: plan.env.filter((line) => 'name' in line || /^\s*(export\s+)?\w+\s*=/.test(line.text)).length,
  };
}

function edited(name: string, before: string, found: string, ours: string) {
  return changedBySomebodyElse(`The environment of "${name}"`, { variables: compareThreeWays(before, found, ours).slice(0, 50) });
}
