import { z } from 'zod';
import { addDeployment } from '../deploy-queue.ts';
import { withClient } from '../postgres/database.ts';
import { mutation, optionalBool, orNotFound, type Procedure, query, text } from '../procedure.ts';
import { deploymentRow, type ScheduleRow, scheduleRow } from '../rows.ts';
import { containersOf } from '../stack/containers.ts';
import { compareVersions, type World } from '../world.ts';
import { composeWithRelations, findCompose } from './compose.ts';

const scheduleId = z.object({ scheduleId: text });
const findSchedule = (world: World, id: string) =>
  orNotFound(
    world.state.rows.schedules.find((row) => row.scheduleId === id),
    'Schedule',
  );

/** A single psql -c statement; nothing else can be run without a container. */
export function parsePsql(command: string): { user: string; sql: string } | undefined {
  const match = /^psql((?:\s+-(?:[A-Za-z]+|-[a-z-]+)(?:[ =][\w.-]+)?)*?)\s+-[A-Za-z]*c\s+(["'])([\s\S]+)\2$/.exec(command.trim());
  if (match === null) return undefined;
  return { user: /-U\s*(\w+)/.exec(match[1] ?? '')?.[1] ?? 'postgres', sql: match[3] ?? '' };
}

/** Runs the command as `docker exec` would; answers its output and whether it ended well. */
async function execute(world: World, schedule: ScheduleRow): Promise<{ ok: boolean; output: string }> {
  const stack = world.stacks.find(schedule.composeId);
  const database = world.stacks.database(schedule.composeId);
  const parsed = parsePsql(schedule.command);
  const container =
    stack === undefined ? undefined : containersOf(stack, Date.now()).find((one) => one.name.endsWith(`-${schedule.serviceName}-1`));
  if (stack === undefined || container === undefined || container.state !== 'running') {
    return { ok: false, output: `❌ Container not found for service ${schedule.serviceName}\n` };
  }
  const line = `docker exec ${container.containerId} ${schedule.shellType} -c ${schedule.command}\n`;
  if (parsed === undefined || database === undefined || schedule.serviceName !== 'db') {
    return { ok: false, output: `${line}no such container shell: the sandbox runs a single psql -c statement on db only\n` };
  }
  try {
    // Inside the container psql comes over the socket, which is trusted for every role.
    const rows = await withClient(database.connect({ user: parsed.user, password: stack.bootPassword }), async (client) => {
      const result = await client.query({ text: parsed.sql, rowMode: 'array' });
      return result.rows.map((row: unknown[]) => row.map((value) => (value === null ? '' : String(value))).join('|'));
    });
    return { ok: true, output: `${line}${rows.map((row) => `${row}\n`).join('')}✅ Command executed successfully\n` };
  } catch (error) {
    return { ok: false, output: `${line}psql: ${error instanceof Error ? error.message : String(error)}\n` };
  }
}

const runsOf = (world: World, { scheduleId: id }: ScheduleRow) =>
  world.state.rows.deployments.filter((row) => row.scheduleId === id).reverse();

async function runNow(world: World, schedule: ScheduleRow) {
  const logFolder = `/etc/dokploy/schedules/${schedule.appName}`;
  const row = deploymentRow({ title: 'Schedule', description: 'Schedule', composeId: null, scheduleId: schedule.scheduleId, logFolder });
  addDeployment(world.state, row);
  const { ok, output } = await execute(world, schedule);
  world.state.rows.deploymentLogs[row.deploymentId] = `Initializing schedule\n${output}`;
  row.status = ok ? 'done' : 'error';
  row.finishedAt = new Date().toISOString();
  return row;
}

const fields = {
  name: text.min(1),
  cronExpression: text.min(1),
  command: text,
  scheduleType: z.enum(['application', 'compose', 'server', 'dokploy-server']).default('application'),
  composeId: text,
  serviceName: text.nullish(),
  shellType: z.enum(['bash', 'sh']).default('bash'),
  enabled: optionalBool,
  appName: text.optional(),
  description: text.nullish(),
};

/** Router schedule; only schedules of compose services exist here. */
export const schedules: Record<string, Procedure> = {
  'schedule.create': mutation(
    z.object(fields),
    (input, { world, applied }) => {
      findCompose(world, input.composeId);
      const row = scheduleRow(input);
      world.state.rows.schedules.push(row);
      applied({ scheduleId: row.scheduleId, composeId: row.composeId });
      return row;
    },
    '0.22.0',
  ),
  'schedule.list': query(
    z.object({ id: text, scheduleType: text }),
    ({ id }, { world }) => {
      const { composeId, appName, name, serverId } = findCompose(world, id);
      return world.state.rows.schedules
        .filter((row) => row.composeId === id)
        .map((row) => ({
          ...row,
          application: null,
          server: null,
          compose: { composeId, appName, name, serverId },
          deployments: runsOf(world, row),
        }));
    },
    '0.22.0',
  ),
  'schedule.one': query(
    scheduleId,
    ({ scheduleId: id }, { world }) => {
      const row = findSchedule(world, id);
      const compose = findCompose(world, row.composeId);
      const { environment } = composeWithRelations(world, compose);
      return { ...row, application: null, compose: { ...compose, environment }, server: null };
    },
    '0.22.0',
  ),
  'schedule.runManually': mutation(
    scheduleId,
    async ({ scheduleId: id }, { world, applied }) => {
      const row = await runNow(world, findSchedule(world, id));
      applied({ scheduleId: id, deploymentId: row.deploymentId });
      if (compareVersions(world.version(), '0.29.14') < 0) return true;
      return { status: row.status, deploymentId: row.deploymentId, logPath: row.logPath };
    },
    '0.22.0',
  ),
  'schedule.delete': mutation(
    scheduleId,
    ({ scheduleId: id }, { world, applied }) => {
      const row = findSchedule(world, id);
      const { rows } = world.state;
      rows.schedules = rows.schedules.filter((one) => one !== row);
      for (const run of rows.deployments.filter((one) => one.scheduleId === id)) delete rows.deploymentLogs[run.deploymentId];
      rows.deployments = rows.deployments.filter((one) => one.scheduleId !== id);
      applied({ scheduleId: id });
      return true;
    },
    '0.22.0',
  ),
};
