import { z } from 'zod';
import { ApiFailure, mutation, nothing, number, orNotFound, type Procedure, query, text } from '../procedure.ts';
import { type EnvironmentRow, environmentRow, projectRow } from '../rows.ts';
import { compareVersions, type World } from '../world.ts';
import { forgetCompose } from './compose.ts';

const noServices = { applications: [], libsql: [], mariadb: [], mongo: [], mysql: [], postgres: [], redis: [] };

const composesOf = (world: World, environmentId: string) => world.state.rows.composes.filter((row) => row.environmentId === environmentId);

const brief = (world: World, row: EnvironmentRow) => ({
  environmentId: row.environmentId,
  name: row.name,
  isDefault: row.isDefault,
  ...noServices,
  compose: composesOf(world, row.environmentId).map(({ composeId, name, composeStatus }) => ({ composeId, name, composeStatus })),
});

const fullCompose = (world: World, environmentId: string) =>
  composesOf(world, environmentId).map(({ composeId, name, appName, description, createdAt, serverId, composeStatus }) => ({
    name,
    description,
    appName,
    createdAt,
    serverId,
    composeId,
    composeStatus,
    server: null,
  }));

const environmentsOf = (world: World, projectId: string) => world.state.rows.environments.filter((row) => row.projectId === projectId);
const findProject = (world: World, projectId: string) =>
  orNotFound(
    world.state.rows.projects.find((row) => row.projectId === projectId),
    'Project',
  );

/** Routers project and environment. */
export const projects: Record<string, Procedure> = {
  'project.all': query(nothing, (_input, { world }) =>
    [...world.state.rows.projects].reverse().map((project) => ({
      ...project,
      environments: environmentsOf(world, project.projectId).map((row) => brief(world, row)),
      projectTags: [],
    })),
  ),
  'project.one': query(z.object({ projectId: text }), ({ projectId }, { world }) => ({
    ...findProject(world, projectId),
    environments: environmentsOf(world, projectId).map((row) => ({
      ...row,
      ...noServices,
      compose: fullCompose(world, row.environmentId),
    })),
    projectTags: [],
  })),
  'project.search': query(
    z.object({ q: text.optional(), name: text.optional(), limit: number.min(1).max(100).default(20), offset: number.min(0).default(0) }),
    ({ q, name, limit, offset }, { world }) => {
      const wanted = (q ?? name ?? '').toLowerCase();
      const items = [...world.state.rows.projects].reverse().filter((row) => row.name.toLowerCase().includes(wanted));
      return { items: items.slice(offset, offset + limit), total: items.length };
    },
    '0.28.3',
  ),
  'project.create': mutation(
    z.object({ name: text.min(1), description: text.nullish(), env: text.optional() }),
    (input, { world, applied }) => {
      const project = projectRow(input);
      const environment = environmentRow({
        projectId: project.projectId,
        name: 'production',
        description: 'Production environment',
        isDefault: true,
      });
      world.state.rows.projects.push(project);
      world.state.rows.environments.push(environment);
      applied({ projectId: project.projectId, environmentId: environment.environmentId });
      // Before 0.25 there were no environments and the answer was the project itself.
      return compareVersions(world.version(), '0.25.0') < 0 ? project : { project, environment };
    },
  ),
  'project.update': mutation(
    z.object({ projectId: text, name: text.min(1).optional(), description: text.nullish(), env: text.optional() }),
    ({ projectId, ...changes }, { world, applied }) => {
      const project = findProject(world, projectId);
      Object.assign(project, definedOnly(changes));
      applied({ projectId });
      return project;
    },
  ),
  // The rows go, by cascade; containers are not touched and stay as orphans, as on the real server.
  'project.remove': mutation(z.object({ projectId: text }), ({ projectId }, { world, applied }) => {
    const project = findProject(world, projectId);
    if (world.faults.take('keep-on-delete')) return project;
    const { rows } = world.state;
    for (const environment of environmentsOf(world, projectId)) {
      for (const compose of composesOf(world, environment.environmentId)) forgetCompose(world, compose);
    }
    rows.environments = rows.environments.filter((row) => row.projectId !== projectId);
    rows.projects = rows.projects.filter((row) => row !== project);
    applied({ projectId });
    return project;
  }),

  'environment.byProjectId': query(
    z.object({ projectId: text }),
    ({ projectId }, { world }) => {
      const project = world.state.rows.projects.find((row) => row.projectId === projectId);
      return environmentsOf(world, projectId).map((row) => ({ ...brief(world, row), description: row.description, project }));
    },
    '0.25.0',
  ),
  'environment.one': query(
    z.object({ environmentId: text }),
    ({ environmentId }, { world }) => {
      const row = orNotFound(
        world.state.rows.environments.find((one) => one.environmentId === environmentId),
        'Environment',
      );
      const { name, description, isDefault, projectId, env } = row;
      const compose = fullCompose(world, environmentId);
      return {
        name,
        description,
        environmentId,
        isDefault,
        projectId,
        env,
        ...noServices,
        compose,
        project: findProject(world, projectId),
      };
    },
    '0.25.0',
  ),
  'environment.create': mutation(
    z.object({ name: text.min(1), projectId: text, description: text.nullish() }),
    ({ name, projectId, description }, { world, applied }) => {
      if (name === 'production') throw new ApiFailure('BAD_REQUEST', "You cannot create a environment with the name 'production'");
      findProject(world, projectId);
      const row = environmentRow({ projectId, name, description: description ?? '', isDefault: false });
      world.state.rows.environments.push(row);
      applied({ environmentId: row.environmentId, projectId });
      return row;
    },
    '0.25.0',
  ),
};

/** The fields that were given. */
export function definedOnly(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
