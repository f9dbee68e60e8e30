/**
 * Deploying, and waiting until the stack is healthy. Invariants:
 * 1. No deployment id comes back from Dokploy: title and description carry our key, and only a row or job that carries it is ours.
 * 2. Neither queued nor begun means lost (a restart of Dokploy empties its queue); a row that such a restart cancelled is queued again.
 * 3. Dokploy's own verdict is told on, never believed: containers decide.
 */
import * as contract from '../../../machines/effects/dokploy.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { hashKept, readApproved, readPlan, stackPlan } from '../supabase/plan-document.ts';
import type { DokployClient } from './client.ts';
import { findQueued, findRow } from './deployments.ts';
import { type Health, judgeHealth } from './health.ts';
import type { DeploymentRow } from './schemas.ts';
import { changedBySomebodyElse, type DokployDeps, openDokploy, orMissing, signOf } from './session.ts';

type Output = { deploymentId: string; status: DeploymentRow['status'] };

/** Looks that must all find nothing before a job counts as lost: between queue and row there is a moment without either. */
const looksUntilLost = 4;

export function deployCompose(deps: DokployDeps) {
  return defineHandler(contract.deployCompose, {
    async prepare(ctx, input): Promise<{ deploymentIds: string[] }> {
      const client = await openDokploy(deps, ctx, input.dokploy);
      return { deploymentIds: (await client.deployments(input.composeId)).map((row) => row.deploymentId) };
    },
    async run(ctx, input) {
      const client = await openDokploy(deps, ctx, input.dokploy);
      const row = await client.composeOne(input.composeId);
      const wrong = [
        hashKept(row.env) === input.envHash ? '' : 'env',
        hashKept(row.composeFile) === input.composeHash ? '' : 'composeFile',
      ].filter((field) => field !== '');
      if (wrong.length > 0) throw changedBySomebodyElse(`The service of "${input.name}"`, { composeId: input.composeId, fields: wrong });
      const earlier = new Set((await client.deployments(input.composeId)).map((each) => each.deploymentId));
      await client.deploy({ composeId: input.composeId, title: `Set up ${input.name} (${ctx.key})`, description: signOf(ctx) });
      return followDeployment(ctx, client, input.composeId, earlier);
    },
    async probe(ctx, input): Promise<Probe<Output>> {
      const client = await openDokploy(deps, ctx, input.dokploy);
      if (!(await orMissing(client.composeOne(input.composeId)))) return { state: 'absent' };
      const found = await client.findDeployment(input.composeId, ctx.key);
      switch (found.where) {
        case 'row':
          if (found.row.status === 'cancelled') return { state: 'partial', say: 'the deployment was cancelled.' };
          return { state: 'applied', output: { deploymentId: found.row.deploymentId, status: found.row.status } };
        case 'queue':
          return { state: 'unknown', say: 'the deployment is queued and has not begun.' };
        case 'nowhere':
          return { state: 'absent' };
        default:
          return found satisfies never;
      }
    },
    async undo(ctx, input) {
      const client = await openDokploy(deps, ctx, input.dokploy);
      if (!(await orMissing(client.composeOne(input.composeId)))) return;
      const { serverId } = await readPlan(ctx, input);
      await settled(ctx, client, input.composeId);
      if ((await running(client, input.appName, serverId)) === 'none') return;
      await client.stop(input.composeId);
      const left = await running(client, input.appName, serverId);
      if (left === 'none') return;
      throw new AppError('UNDO_STATE_UNKNOWN', {
        message:
          left === 'some'
            ? `Containers of "${input.name}" still run after the stop.`
            : `Whether containers of "${input.name}" still run cannot be told: Dokploy lists none and cannot ask Docker.`,
        fix: 'The stop is tried again; if it stays so, stop the service in Dokploy.',
        retry: 'later',
        applied: 'unknown',
      });
    },
  });
}

/** Follows the job of an operation from queue to row to its end. Throws JOB_LOST, or DEPLOYMENT_CANCELLED when Dokploy was restarted meanwhile. */
export async function followDeployment(
  ctx: EffectContext,
  client: DokployClient,
  composeId: string,
  earlier: ReadonlySet<string>,
  operation: string = ctx.key,
  /** Asked between two looks; throws when there was enough waiting. */
  patience: () => void = () => undefined,
): Promise<Output> {
  for (let looks = 0, empty = 0; ; looks++) {
    const rows = (await client.deployments(composeId)).filter((row) => !earlier.has(row.deploymentId));
    const row = findRow(rows, operation);
    if (row) {
      empty = 0;
      if (row.status === 'cancelled') throw cancelled();
      if (row.status !== 'running') return { deploymentId: row.deploymentId, status: row.status };
      ctx.progress('Dokploy is deploying');
    } else if (findQueued(await client.queue(), composeId, operation)) {
      empty = 0;
      ctx.progress('The deployment is queued');
    } else if (++empty >= looksUntilLost) {
      throw lost();
    }
    patience();
    await ctx.sleep(looks < 20 ? 1_000 : 3_000);
  }
}

/** A stop during a running job would be undone by the job: waits for its end, at most ten minutes, since a job can hang for ever. */
async function settled(ctx: EffectContext, client: DokployClient, composeId: string): Promise<void> {
  for (const until = ctx.now() + 600_000; ctx.now() < until; await ctx.sleep(2_000)) {
    const found = await client.findDeployment(composeId, ctx.key);
    if (found.where === 'nowhere' || (found.where === 'row' && found.row.status !== 'running')) return;
    ctx.progress('The deployment is still under way; it is stopped when it has ended');
  }
}

function lost(): AppError {
  return new AppError('JOB_LOST', {
    message: 'The deployment is neither in Dokploy’s queue nor among its deployments: the job was lost, usually by a restart of Dokploy.',
    fix: 'Nothing to do: it is queued again.',
    retry: 'later',
  });
}

function cancelled(): AppError {
  return new AppError('DEPLOYMENT_CANCELLED', {
    message: 'Dokploy cancelled the deployment, usually because it was restarted.',
    fix: 'Nothing to do: it is queued again.',
    retry: 'later',
    // It had begun: some containers may run.
    applied: 'unknown',
  });
}

/** `none` is said of known containers, or of an empty list while Dokploy reaches Docker. */
export async function running(client: DokployClient, appName: string, serverId: string | null): Promise<'some' | 'none' | 'unknown'> {
  const containers = await client.containers(appName, serverId);
  if (containers.state === 'known')
    return containers.rows.some((row) => row.state === 'running' || row.state === 'restarting') ? 'some' : 'none';
  // Only of Dokploy's own machine does its health say that Docker answers.
  if (serverId !== null) return 'unknown';
  const { traefik } = await client.infrastructureHealth();
  return traefik.status === 'healthy' ? 'none' : 'unknown';
}

export type HealthDeps = DokployDeps & { /** Default 600 000 ms. */ healthTimeoutMs?: number };

export function awaitHealth(deps: HealthDeps) {
  return defineHandler(contract.awaitHealth, {
    async run(ctx, input) {
      const plan = stackPlan.parse(await readApproved(ctx, input));
      const client = await openDokploy(deps, ctx, input.dokploy);
      const until = ctx.now() + (input.waitMs ?? deps.healthTimeoutMs ?? 600_000);
      for (;;) {
        const health = judgeHealth(plan.services, await client.containers(input.appName, plan.serverId));
        const { healthy, withoutCheck, finished } = health;
        if (health.verdict === 'healthy') return { services: plan.services.length, healthy, withoutCheck, finished };
        ctx.progress(health.say, Math.round((100 * (healthy + withoutCheck + finished)) / Math.max(1, plan.services.length)));
        if (ctx.now() >= until) throw await notHealthy(client, input.deploymentId, plan.name, health);
        await ctx.sleep(2_000);
      }
    },
  });
}

async function notHealthy(client: DokployClient, deploymentId: string, name: string, health: Health): Promise<AppError> {
  const { quoteVendorText } = await import('../http/vendor-text.ts');
  const log = await client.deploymentLog(deploymentId, 40).catch(() => '');
  const details = { services: health.waiting, log: quoteVendorText(log.slice(-4_000), [], 2_000) };
  if (health.verdict === 'unknown') {
    return new AppError('DEPLOYMENT_HEALTH_UNKNOWN', {
      message: `Whether the services of "${name}" are healthy cannot be told. ${health.say}`,
      fix: 'Check that Docker runs on the machine, then retry; or roll back.',
      details,
    });
  }
  return new AppError('DEPLOYMENT_UNHEALTHY', {
    message: `Not every service of "${name}" became healthy in time: ${health.waiting.map(({ service, state }) => `${service} (${state})`).join(', ')}.`,
    fix: 'Read the log in the details; retry to wait longer, retry with redeploy to deploy again, or roll back.',
    details,
  });
}
