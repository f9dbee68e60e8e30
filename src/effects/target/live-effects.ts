/**
 * Proof that a running target works: its containers and live requests, never Dokploy's own word. Invariants:
 * 1. What could not be asked is unknown, and unknown is never passed.
 * 2. Keys are sent over a trusted connection only (effects/doctor/live.ts).
 */
import * as contract from '../../../machines/effects/target-live.ts';
import { envVariables, parseEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import type { HealthDeps } from '../dokploy/deploy-effects.ts';
import { type Health, judgeHealth, type ServiceWish } from '../dokploy/health.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { openService } from './place.ts';

type Check = { name: string; ok: boolean | null; side: string; say: string };
type Proof = { verdict: 'passed' | 'failed' | 'unknown'; checks: Check[]; say: string };

export function createTargetLiveHandlers(deps: HealthDeps) {
  return {
    'target.proveLive@1': defineHandler(contract.proveLive, {
      async run(ctx, input) {
        const until = ctx.now() + (input.patienceMs ?? 0);
        for (;;) {
          const proof = await prove(deps, ctx, input.target);
          if (proof.verdict === 'passed' || ctx.now() >= until) return proof;
          ctx.progress(proof.say);
          await ctx.sleep(2_500);
        }
      },
    }),
    'target.awaitHealth@1': defineHandler(contract.awaitTargetHealth, {
      async run(ctx, input) {
        const { client, row } = await openService(deps, ctx, input.target);
        const wishes = await servicesOf(row.composeFile, input.services);
        const until = ctx.now() + (input.waitMs ?? deps.healthTimeoutMs ?? 600_000);
        for (;;) {
          const health = judgeHealth(wishes, await client.containers(row.appName, row.serverId));
          const { healthy, withoutCheck, finished } = health;
          if (health.verdict === 'healthy') return { services: wishes.length, healthy, withoutCheck, finished };
          ctx.progress(health.say, Math.round((100 * (healthy + withoutCheck + finished)) / Math.max(1, wishes.length)));
          if (ctx.now() >= until) throw notHealthy(input.target, health);
          await ctx.sleep(1_000);
        }
      },
    }),
  };
}

async function prove(deps: DokployDeps, ctx: EffectContext, target: string): Promise<Proof> {
  const { row, dokploy } = await openService(deps, ctx, target);
  const [{ gatherLive }, { toDomain }] = await Promise.all([import('../doctor/live.ts'), import('../doctor/texts.ts')]);
  const { reach } = await ctx.dokploy(dokploy);
  const { certificate, live, unknown } = await gatherLive({
    env: envVariables(parseEnv(row.env ?? '')),
    domains: row.domains.map(toDomain),
    reach,
    now: ctx.now,
    signal: ctx.signal,
  });
  if (live === null)
    return { verdict: 'unknown', checks: [], say: certificate && 'say' in certificate ? certificate.say : (unknown[0] ?? '') };
  const failed = live.filter(({ ok }) => ok !== true);
  if (failed.length === 0) return { verdict: 'passed', checks: [...live], say: `All ${live.length} live checks pass.` };
  return {
    verdict: 'failed',
    checks: [...live],
    say: `${failed.length} of ${live.length} live checks fail: ${failed.map(({ name }) => name).join(', ')}.`,
  };
}

/** The compose file says what there should be: a container that is missing is not healthy. */
async function servicesOf(composeFile: string, wanted: readonly string[] | null): Promise<ServiceWish[]> {
  const { readComposeFacts } = await import('../supabase/compose-facts.ts');
  const { services } = readComposeFacts(composeFile);
  if (wanted === null) return services;
  return wanted.map((name) => services.find((each) => each.name === name) ?? { name, healthcheck: false });
}

function notHealthy(target: string, health: Health): AppError {
  if (health.verdict === 'unknown')
    return new AppError('TARGET_HEALTH_UNKNOWN', {
      message: `Whether the services of ${target} are healthy cannot be told. ${health.say}`,
      fix: 'Check that Docker runs on the machine, then look again.',
    });
  return new AppError('TARGET_UNHEALTHY', {
    message: `Not every service of ${target} became healthy in time: ${health.waiting.map(({ service, state }) => `${service} (${state})`).join(', ')}.`,
    fix: `Read its logs (read_logs, capstan logs --target ${target}), then look again or try again.`,
    details: { services: health.waiting },
  });
}
