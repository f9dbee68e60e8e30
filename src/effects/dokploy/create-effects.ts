/** The project and its compose service: created with our key in the description, found and taken back by it. */
import * as contract from '../../../machines/effects/dokploy.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { readPlan } from '../supabase/plan-document.ts';
import type { DokployClient } from './client.ts';
import { mayRemoveService } from './may-remove.ts';
import { countServices } from './projects.ts';
import type { ComposeOne, ProjectRow } from './schemas.ts';
import { type DokployDeps, isOurs, notTakenBack, openDokploy, orMissing, signOf } from './session.ts';

type KnownIds = { ids: string[] };
type ProjectOutput = { projectId: string; environmentId: string };
type ServiceOutput = { composeId: string; appName: string };

export function createProject(deps: DokployDeps) {
  return defineHandler(contract.createProject, {
    async prepare(ctx, input): Promise<KnownIds> {
      const client = await openDokploy(deps, ctx, input.dokploy);
      return { ids: (await client.projects()).map((project) => project.projectId) };
    },
    async run(ctx, { dokploy, name, plan, planHash }) {
      await readPlan(ctx, { plan, planHash });
      const client = await openDokploy(deps, ctx, dokploy);
      const projects = await client.projects();
      const ours = projects.find((project) => isOurs(project.description, ctx));
      if (ours) return toProjectOutput(ours);
      if (projects.some((project) => project.name.toLowerCase() === name)) throw takenMeanwhile(dokploy, name);
      const created = await client.createProject({ name, description: signOf(ctx) });
      return { projectId: created.project.projectId, environmentId: created.environment.environmentId };
    },
    async probe(ctx, input, before): Promise<Probe<ProjectOutput>> {
      const client = await openDokploy(deps, ctx, input.dokploy);
      const projects = await client.projects();
      const ours = projects.find((project) => isOurs(project.description, ctx));
      if (ours) return { state: 'applied', output: toProjectOutput(ours) };
      const stranger = projects.find((project) => project.name === input.name && before?.ids.includes(project.projectId) === false);
      return stranger
        ? { state: 'unknown', say: `a project named "${input.name}" has appeared whose description does not carry our key.` }
        : { state: 'absent' };
    },
    async undo(ctx, input) {
      const client = await openDokploy(deps, ctx, input.dokploy);
      const ours = (await client.projects()).find((project) => isOurs(project.description, ctx));
      if (!ours) return;
      const services = countServices(await client.project(ours.projectId));
      if (services > 0) throw projectNotEmpty(input.name, services);
      await client.removeProject(ours.projectId);
      const still = (await client.projects()).some((project) => project.projectId === ours.projectId);
      if (still) throw notTakenBack(`the project "${input.name}"`, 'Remove it in Dokploy, then resolve this step as undone.');
    },
  });
}

function toProjectOutput(project: ProjectRow): ProjectOutput {
  const environment = project.environments.find((each) => each.isDefault === true) ?? project.environments[0];
  if (environment) return { projectId: project.projectId, environmentId: environment.environmentId };
  throw new AppError('DOKPLOY_UNEXPECTED_ANSWER', {
    message: `The project "${project.name.slice(0, 40)}" has no environment.`,
    fix: 'Look at the project in Dokploy; a project of this version always has one.',
    applied: 'unknown',
  });
}

function takenMeanwhile(dokploy: string, name: string): AppError {
  return new AppError('NAME_TAKEN', {
    message: `The Dokploy "${dokploy}" has got a project named "${name}" since the plan was made.`,
    fix: 'Roll back to the review, change the name, and approve again.',
  });
}

function projectNotEmpty(name: string, services: number): AppError {
  return new AppError('PROJECT_NOT_EMPTY', {
    message: `The project "${name}" holds ${services} service(s) that this run did not create or has not removed, so it was not removed.`,
    fix: 'Move or remove them in Dokploy, then retry; or resolve this step as undone and keep the project.',
    retry: 'ask',
    details: { services },
  });
}

export function createCompose(deps: DokployDeps) {
  return defineHandler(contract.createCompose, {
    async prepare(ctx, input): Promise<KnownIds> {
      const client = await openDokploy(deps, ctx, input.dokploy);
      return { ids: composeIdsOf(await client.project(input.projectId)) };
    },
    async run(ctx, input) {
      const document = await readPlan(ctx, input);
      const client = await openDokploy(deps, ctx, input.dokploy);
      const ours = await findOurs(client, ctx, input.projectId);
      if (ours) {
        if (ours.sourceType !== 'raw') await client.updateCompose({ composeId: ours.composeId, sourceType: 'raw' });
        return toServiceOutput(ours);
      }
      const created = await client.createCompose({
        name: 'supabase',
        environmentId: input.environmentId,
        appName: document.appName,
        description: signOf(ctx),
        ...(input.serverId === null ? {} : { serverId: input.serverId }),
      });
      return toServiceOutput(created);
    },
    async probe(ctx, input, before): Promise<Probe<ServiceOutput>> {
      const client = await openDokploy(deps, ctx, input.dokploy);
      const project = await orMissing(client.project(input.projectId));
      if (!project) return { state: 'absent' };
      const ours = await findOurs(client, ctx, input.projectId);
      if (ours) {
        return ours.sourceType === 'raw'
          ? { state: 'applied', output: toServiceOutput(ours) }
          : { state: 'partial', say: 'the service exists, but its source is not yet raw text.' };
      }
      const strangers = composeIdsOf(project).filter((id) => before?.ids.includes(id) === false);
      return strangers.length > 0
        ? { state: 'unknown', say: 'a service has appeared in the project whose description does not carry our key.' }
        : { state: 'absent' };
    },
    async mayUndo(ctx, input) {
      const client = await openDokploy(deps, ctx, input.dokploy);
      const project = await orMissing(client.project(input.projectId));
      const ours = project ? await findOurs(client, ctx, input.projectId) : undefined;
      if (!ours) return { ok: true };
      return mayRemoveService(ctx, client, ours, await readPlan(ctx, input), (await ctx.dokploy(input.dokploy)).reach);
    },
    async undo(ctx, input) {
      const client = await openDokploy(deps, ctx, input.dokploy);
      const project = await orMissing(client.project(input.projectId));
      const ours = project ? await findOurs(client, ctx, input.projectId) : undefined;
      if (!ours) return;
      await client.deleteCompose({ composeId: ours.composeId, deleteVolumes: true });
      if (await orMissing(client.composeOne(ours.composeId))) {
        throw notTakenBack(`the service of "${input.name}"`, 'Remove it with its volumes in Dokploy, then resolve this step as undone.');
      }
    },
  });
}

function composeIdsOf(project: ProjectRow): string[] {
  return project.environments.flatMap((environment) => (environment.compose ?? []).map((compose) => compose.composeId));
}

/** The service of our project that carries our key; lists show no description, so each is read. */
async function findOurs(client: DokployClient, ctx: EffectContext, projectId: string): Promise<ComposeOne | undefined> {
  for (const composeId of composeIdsOf(await client.project(projectId))) {
    const row = await orMissing(client.composeOne(composeId));
    if (row && isOurs(row.description, ctx)) return row;
  }
  return undefined;
}

function toServiceOutput(row: { composeId: string; appName: string }): ServiceOutput {
  return { composeId: row.composeId, appName: row.appName };
}
