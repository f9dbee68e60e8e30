/**
 * Removing an instance for good. Invariants:
 * 1. Dokploy deletes the row first and swallows docker's errors: removed is what neither Dokploy nor Docker knows any more.
 * 2. An empty list of containers counts as none only while Dokploy reaches Docker.
 * 3. A project goes only while nothing is in it at that very moment.
 */
import { z } from 'zod';
import * as contract from '../../../machines/effects/remove.ts';
import { envVariables, parseEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import { type BackupRow, defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { readDocument, storeDocument } from '../plan-artifact.ts';
import { type OpenService, openService, openTarget } from '../target/place.ts';
import type { DokployClient } from './client.ts';
import { running } from './deploy-effects.ts';
import { countServices } from './projects.ts';
import { type DokployDeps, orMissing } from './session.ts';

const removalPlan = z.strictObject({
  version: z.literal(1),
  kind: z.literal('removal'),
  target: z.string(),
  composeId: z.string(),
  appName: z.string(),
  serverId: z.string().nullable(),
  /** Null when the project stays. */
  projectId: z.string().nullable(),
});
type Plan = z.infer<typeof removalPlan>;

export type RemoveDeps = DokployDeps & {
  /** The index of backups; left out, there are none. */
  backups?: { backups(target?: string): Promise<BackupRow[]> };
};

const dayMs = 24 * 60 * 60_000;

export function createRemoveHandlers(deps: RemoveDeps) {
  return {
    'removal.planChange@1': defineHandler(contract.planRemoval, {
      async run(ctx, input) {
        const open = await openService(deps, ctx, input.target);
        const { row, client, composeId } = open;
        const project = await client.project(row.environment.projectId);
        const projectGoes = countServices(project) === 1;
        const reference = await storeDocument(ctx, removalPlan, {
          version: 1,
          kind: 'removal',
          target: input.target,
          composeId,
          appName: row.appName,
          serverId: row.serverId,
          projectId: projectGoes ? project.projectId : null,
        });
        const [data, backup] = [await dataOf(ctx, open), await newestBackup(deps, ctx, input.target)];
        return {
          ...reference,
          service: row.appName,
          hosts: row.domains.map(({ host }) => host),
          data,
          backup,
          projectGoes,
          writes: [
            `delete the service ${row.appName} with its containers, volumes and files`,
            ...(projectGoes ? ['delete its Dokploy project, in which nothing else is'] : []),
            `take ${input.target} out of the list of targets`,
          ],
          notes: [
            ...(data === null ? ['How much data it holds is not known: its database could not be asked.'] : []),
            ...(backup === null ? ['No backup of it was ever found whole.'] : []),
            ...(backup !== null && !backup.fresh ? ['The newest backup that was found whole is older than a day.'] : []),
            ...(backup?.fresh === true
              ? []
              : [
                  `Run the workflow backup for ${input.target} first and look again: then one confirmation is enough, and there is a way back.`,
                ]),
            ...(projectGoes ? [] : ['Its Dokploy project stays: other services are in it.']),
          ],
        };
      },
    }),
    'dokploy.removeService@1': defineHandler(contract.removeService, {
      async prepare(ctx, input) {
        const { composeId, appName } = await readDocument(ctx, removalPlan, input);
        return { composeId, appName };
      },
      async run(ctx, input) {
        const plan = await readDocument(ctx, removalPlan, input);
        const { client } = await openTarget(deps, ctx, input.target);
        const row = await orMissing(client.composeOne(plan.composeId));
        if (row && row.appName !== plan.appName) throw new TypeError('a service keeps its appName for life');
        if (row) await client.deleteCompose({ composeId: plan.composeId, deleteVolumes: true });
        if (await orMissing(client.composeOne(plan.composeId))) throw notRemoved(plan);
        await requireNoContainers(client, plan);
        return { removed: true as const };
      },
      async probe(ctx, input): Promise<Probe<{ removed: true }>> {
        const plan = await readDocument(ctx, removalPlan, input);
        const { client } = await openTarget(deps, ctx, input.target);
        if (await orMissing(client.composeOne(plan.composeId))) return { state: 'absent' };
        switch (await running(client, plan.appName, plan.serverId)) {
          case 'none':
            return { state: 'applied', output: { removed: true } };
          case 'some':
            return { state: 'partial', say: 'the service is gone from Dokploy, but containers of it still run.' };
          default:
            return { state: 'unknown', say: 'Docker cannot be asked whether containers of it still run.' };
        }
      },
    }),
    'dokploy.removeEmptyProject@1': defineHandler(contract.removeEmptyProject, {
      async prepare(ctx, input) {
        const { projectId } = await readDocument(ctx, removalPlan, input);
        return { projectId };
      },
      async run(ctx, input) {
        const { projectId } = await readDocument(ctx, removalPlan, input);
        const { client } = await openTarget(deps, ctx, input.target);
        if (projectId === null) return { removed: false };
        const project = await orMissing(client.project(projectId));
        if (project && countServices(project) > 0) return { removed: false };
        if (project) await client.removeProject(projectId);
        if (!(await orMissing(client.project(projectId)))) return { removed: true };
        throw new AppError('REMOVAL_NOT_KEPT', {
          message: `Dokploy accepted the removal of the project of ${input.target}, but it is still there.`,
          fix: 'Remove the empty project in Dokploy, then retry.',
        });
      },
      async probe(ctx, input): Promise<Probe<{ removed: boolean }>> {
        const { projectId } = await readDocument(ctx, removalPlan, input);
        const { client } = await openTarget(deps, ctx, input.target);
        if (projectId === null) return { state: 'applied', output: { removed: false } };
        return (await orMissing(client.project(projectId))) ? { state: 'absent' } : { state: 'applied', output: { removed: true } };
      },
    }),
    'target.forget@1': defineHandler(contract.forgetTarget, {
      async run(ctx, input) {
        ctx.forgetTarget(input.target);
        return { forgotten: input.target };
      },
    }),
  };
}

/** Null when the gateway or the database does not answer; nothing is written to ask. */
async function dataOf(ctx: EffectContext, { row, dokploy }: OpenService) {
  const [{ addressOf }, { toDomain }, { userData }] = await Promise.all([
    import('../doctor/live.ts'),
    import('../doctor/texts.ts'),
    import('../supabase/sql.ts'),
  ]);
  const env = envVariables(parseEnv(row.env ?? ''));
  const url = addressOf({ env, domains: row.domains.map(toDomain) });
  const serviceKey = env.get('SERVICE_ROLE_KEY') ?? '';
  if (!url || serviceKey === '') return null;
  const { reach } = await ctx.dokploy(dokploy);
  try {
    return await userData({ baseUrl: url.origin, serviceKey, reach, signal: ctx.signal, timeoutMs: 20_000 });
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
    return null;
  }
}

async function newestBackup({ backups }: RemoveDeps, ctx: EffectContext, target: string) {
  const rows = (await backups?.backups(target)) ?? [];
  const whole = rows.filter((row): row is BackupRow & { verifiedAt: number } => row.verifiedAt !== null);
  const newest = whole.toSorted((a, b) => b.madeAt - a.madeAt)[0];
  if (!newest) return null;
  const { id, madeAt, verifiedAt } = newest;
  return { id, madeAt: new Date(madeAt).toISOString(), verifiedAt: new Date(verifiedAt).toISOString(), fresh: ctx.now() - madeAt < dayMs };
}

async function requireNoContainers(client: DokployClient, { target, appName, serverId }: Plan): Promise<void> {
  const left = await running(client, appName, serverId);
  if (left === 'none') return;
  throw new AppError(left === 'some' ? 'CONTAINERS_LEFT' : 'CONTAINERS_UNKNOWN', {
    message:
      left === 'some'
        ? `Dokploy forgot the service of ${target}, but containers of it still run.`
        : `Dokploy forgot the service of ${target}; whether containers of it still run cannot be told.`,
    fix: `On its machine run: docker compose -p ${appName} down --volumes, then retry.`,
    retry: 'ask',
    applied: 'unknown',
    details: { appName },
  });
}

function notRemoved({ target }: Plan): AppError {
  return new AppError('REMOVAL_NOT_KEPT', {
    message: `Dokploy accepted the removal of ${target}, but the service is still there.`,
    fix: 'Retry; if it stays so, look at Dokploy’s own log.',
  });
}
