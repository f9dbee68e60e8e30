import { z } from 'zod';
import { convertCompose } from '../converted-compose.ts';
import { composeCommand, tailOf } from '../deploy-log.ts';
import { ApiFailure, bool, mutation, number, optionalBool, orNotFound, type Procedure, query, text } from '../procedure.ts';
import { type ComposeRow, composeRow } from '../rows.ts';
import { serviceNames } from '../stack/compose-file.ts';
import { containerLog } from '../stack/container-logs.ts';
import { DeployFailure } from '../stack/stacks.ts';
import { compareVersions, type World } from '../world.ts';

export const composeId = z.object({ composeId: text.min(1) });

export const findCompose = (world: World, id: string): ComposeRow =>
  orNotFound(
    world.state.rows.composes.find((row) => row.composeId === id),
    'Compose',
  );

const owned = <T extends { composeId: string | null }>(all: T[], id: string): T[] => all.filter((row) => row.composeId === id);

/** The row with all that belongs to it, as compose.one and compose.delete answer. */
export function composeWithRelations(world: World, row: ComposeRow) {
  const { rows } = world.state;
  const environment = rows.environments.find((one) => one.environmentId === row.environmentId);
  const project = rows.projects.find((one) => one.projectId === environment?.projectId);
  return {
    ...row,
    environment: { ...environment, project },
    deployments: owned(rows.deployments, row.composeId),
    mounts: owned(rows.mounts, row.composeId),
    domains: owned(rows.domains, row.composeId),
    github: null,
    gitlab: null,
    bitbucket: null,
    gitea: null,
    server: null,
    backups: [],
  };
}

/** Deletes the row and, by cascade, what hangs on it. */
export function forgetCompose(world: World, row: ComposeRow): void {
  const { rows } = world.state;
  const others = <T extends { composeId: string | null }>(all: T[]) => all.filter((one) => one.composeId !== row.composeId);
  rows.composes = others(rows.composes);
  rows.domains = others(rows.domains);
  rows.mounts = others(rows.mounts);
  rows.schedules = others(rows.schedules);
  for (const deployment of owned(rows.deployments, row.composeId)) delete rows.deploymentLogs[deployment.deploymentId];
  rows.deployments = others(rows.deployments);
}

const createInput = z.object({
  name: text.min(1),
  environmentId: text,
  description: text.nullish(),
  composeType: z.enum(['docker-compose', 'stack']).optional(),
  appName: text.optional(),
  serverId: text.nullish(),
  composeFile: text.optional(),
  sourceType: z.enum(['git', 'github', 'gitlab', 'bitbucket', 'gitea', 'raw']).optional(),
});

/** appName is not among them: it is silently ignored. */
const updateInput = z.object({
  composeId: text,
  name: text.min(1).optional(),
  description: text.nullish(),
  env: text.nullish(),
  composeFile: text.optional(),
  sourceType: createInput.shape.sourceType,
  composeType: createInput.shape.composeType,
  composePath: text.min(1).optional(),
  command: text.optional(),
  suffix: text.optional(),
  randomize: optionalBool,
  isolatedDeployment: optionalBool,
  isolatedDeploymentsVolume: optionalBool,
  autoDeploy: optionalBool.nullable(),
  createEnvFile: optionalBool,
  composeStatus: z.enum(['idle', 'running', 'done', 'error']).optional(),
});

const deployInput = composeId.extend({ title: text.optional(), description: text.optional() });

function enqueue(type: 'deploy' | 'redeploy', message: string, title: string): Procedure {
  return mutation(deployInput, (input, { world, applied }) => {
    findCompose(world, input.composeId);
    world.queue.add(input.composeId, type, input.title || title, input.description ?? '');
    applied({ composeId: input.composeId });
    return compareVersions(world.version(), '0.25.7') < 0 ? undefined : { success: true, message, composeId: input.composeId };
  });
}

/** start and stop run docker inside the request. */
function switchTo(verb: 'start' | 'stop', command: string): Procedure {
  return mutation(composeId, async ({ composeId: id }, { world, applied }) => {
    const row = findCompose(world, id);
    const failed = (reason: string): never => {
      row.composeStatus = verb === 'start' ? 'idle' : 'error';
      applied({ composeId: id });
      const line = `env -i PATH="$PATH" docker compose -p ${row.appName} ${command}`;
      throw new ApiFailure('INTERNAL_SERVER_ERROR', `Command execution failed: Command failed: ${line}\n${reason}\n`);
    };
    if (world.faults.take('no-docker', `compose.${verb}`)) return failed('Cannot connect to the Docker daemon.');
    const found = await world.stacks[verb](id).catch((error: unknown) =>
      failed(error instanceof DeployFailure ? error.message : String(error)),
    );
    if (!found && verb === 'start') return failed('no configuration file provided: not found');
    row.composeStatus = verb === 'start' ? 'done' : 'idle';
    applied({ composeId: id });
    return true;
  });
}

/** Router compose, without templates. */
export const compose: Record<string, Procedure> = {
  'compose.create': mutation(createInput, (input, { world, applied }) => {
    orNotFound(
      world.state.rows.environments.find((row) => row.environmentId === input.environmentId),
      'Environment',
    );
    // A field that an older version does not know is dropped without a word.
    const knowsSource = compareVersions(world.version(), '0.30.0') >= 0;
    const row = composeRow({ ...input, sourceType: knowsSource ? input.sourceType : undefined });
    world.state.rows.composes.push(row);
    applied({ composeId: row.composeId, environmentId: input.environmentId });
    return row;
  }),
  // An unknown id is no error here: 200 with an empty body.
  'compose.update': mutation(updateInput, ({ composeId: id, ...changes }, { world, applied }) => {
    const row = world.state.rows.composes.find((one) => one.composeId === id);
    if (row === undefined) return undefined;
    for (const [name, value] of Object.entries(changes)) if (value !== undefined) Object.assign(row, { [name]: value });
    applied({ composeId: id });
    return row;
  }),
  'compose.saveEnvironment': mutation(
    composeId.extend({ env: z.nonoptional(text.nullish()), createEnvFile: optionalBool }),
    ({ composeId: id, env, createEnvFile }, { world, applied }) => {
      const row = findCompose(world, id);
      row.env = env;
      row.createEnvFile = createEnvFile ?? row.createEnvFile;
      applied({ composeId: id });
      return true;
    },
    '0.29.0',
  ),
  'compose.one': query(composeId, ({ composeId: id }, { world }) => ({
    ...composeWithRelations(world, findCompose(world, id)),
    hasGitProviderAccess: true,
    unauthorizedProvider: null,
  })),
  'compose.search': query(
    z.object({ q: text.optional(), name: text.optional(), limit: number.min(1).max(100).default(20), offset: number.min(0).default(0) }),
    ({ q, name, limit, offset }, { world }) => {
      const wanted = (q ?? name ?? '').toLowerCase();
      const found = [...world.state.rows.composes].reverse().filter((row) => `${row.name} ${row.appName}`.toLowerCase().includes(wanted));
      const items = found.slice(offset, offset + limit).map((row) => ({
        composeId: row.composeId,
        name: row.name,
        appName: row.appName,
        description: row.description,
        environmentId: row.environmentId,
        composeStatus: row.composeStatus,
        sourceType: row.sourceType,
        createdAt: row.createdAt,
      }));
      return { items, total: found.length };
    },
    '0.28.3',
  ),
  'compose.deploy': enqueue('deploy', 'Deployment queued', 'Manual deployment'),
  'compose.redeploy': enqueue('redeploy', 'Redeployment queued', 'Rebuild deployment'),
  'compose.start': switchTo('start', '-f docker-compose.yml up -d'),
  'compose.stop': switchTo('stop', 'stop'),
  // The row goes first, then containers and data; deleteVolumes changes nothing for bind mounts, which go with the folder.
  'compose.delete': mutation(composeId.extend({ deleteVolumes: bool }), async ({ composeId: id }, { world, applied }) => {
    const row = findCompose(world, id);
    const answer = structuredClone(composeWithRelations(world, row));
    if (world.faults.take('keep-on-delete')) return answer;
    forgetCompose(world, row);
    world.queue.clean(id);
    applied({ composeId: id });
    await world.stacks.remove(id);
    return answer;
  }),
  'compose.loadServices': query(
    composeId.extend({ type: z.enum(['fetch', 'cache']).default('cache') }),
    ({ composeId: id, type }, { world }) => {
      const row = findCompose(world, id);
      // The cache is the cloned file of the last deployment.
      if (type === 'cache' && world.stacks.find(id) === undefined) throw new ApiFailure('NOT_FOUND', 'Services not found');
      return serviceNames(row.composeFile);
    },
  ),
  'compose.getDefaultCommand': query(composeId, ({ composeId: id }, { world }) =>
    composeCommand({ ...findCompose(world, id), command: '' }),
  ),
  'compose.getConvertedCompose': query(composeId, ({ composeId: id }, { world }) => {
    const row = findCompose(world, id);
    return convertCompose(row, owned(world.state.rows.domains, id));
  }),
  'compose.cleanQueues': mutation(composeId, ({ composeId: id }, { world, applied }) => {
    findCompose(world, id);
    if (world.queue.clean(id)) applied({ composeId: id });
    return { success: true, message: 'Queues cleaned successfully' };
  }),
  'compose.cancelDeployment': mutation(composeId, () => {
    throw new ApiFailure('BAD_REQUEST', 'Deployment cancellation only available in cloud version');
  }),
  'compose.readLogs': query(
    composeId.extend({
      containerId: text.min(1),
      tail: number.min(1).max(10_000).default(100),
      since: text.regex(/^(all|\d+[smhd])$/).default('all'),
      search: text.optional(),
    }),
    async ({ composeId: id, containerId, tail, since, search }, { world }) => {
      findCompose(world, id);
      if (world.faults.take('no-docker', 'compose.readLogs')) {
        return 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n';
      }
      const log = await containerLog(world.stacks.find(id), world.stacks.database(id), containerId, since);
      const found =
        search === undefined
          ? log
          : log
              .split('\n')
              .filter((line) => line.includes(search))
              .join('\n');
      return tailOf(found, tail);
    },
    '0.29.0',
  ),
};
