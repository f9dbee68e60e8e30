import pg from 'pg';
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

type Psql = { user: string; database: string; sql: string; verbose?: boolean };

/** A single psql -c statement, or a script that base64 hands to psql; nothing else can be run without a container. */
export function parsePsql(command: string): Psql | undefined {
  const script = /^echo ([A-Za-z0-9+/=]+) \| base64 -d \| (?:PGPASSWORD=\w+ )?psql((?: -[A-Za-z]+(?: [\w.-]+(?:=\w+)?)?)*)(?: 2>&1)?$/.exec(
    command.trim(),
  );
  if (script !== null) {
    const [, encoded = '', flags = ''] = script;
    return { ...placeOf(flags), sql: Buffer.from(encoded, 'base64').toString('utf8'), verbose: flags.includes('VERBOSITY=verbose') };
  }
  const match = /^psql((?:\s+-(?:[A-Za-z]+|-[a-z-]+)(?:[ =][\w.-]+)?)*?)\s+-[A-Za-z]*c\s+(["'])([\s\S]+)\2$/.exec(command.trim());
  if (match === null) return undefined;
  return { ...placeOf(match[1] ?? ''), sql: match[3] ?? '' };
}

function placeOf(flags: string): Pick<Psql, 'user' | 'database'> {
  return { user: /-U\s*(\w+)/.exec(flags)?.[1] ?? 'postgres', database: /-d\s*(\w+)/.exec(flags)?.[1] ?? 'postgres' };
}

/** A script that base64 hands to bash, with plain words as its arguments; only the container of the functions runs one. */
export function parseScript(command: string): { script: string; args: string[] } | undefined {
  const found = /^echo ([A-Za-z0-9+/=]+) \| base64 -d \| bash -s --((?: [A-Za-z0-9+/=_-]+)*)$/.exec(command.trim());
  if (found === null) return undefined;
  const [, encoded = '', args = ''] = found;
  return { script: Buffer.from(encoded, 'base64').toString('utf8'), args: args.split(' ').filter((each) => each !== '') };
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
  const script = schedule.serviceName === 'functions' ? parseScript(schedule.command) : undefined;
  if (script !== undefined) {
    const { ok, output } = await world.files.runInFunctions(schedule.composeId, script.script, script.args);
    return { ok, output: `${line}${output}${ok ? '✅ Command executed successfully\n' : ''}` };
  }
  if (parsed === undefined || database === undefined || schedule.serviceName !== 'db') {
    return { ok: false, output: `${line}no such container shell: the sandbox runs psql on db and scripts on functions only\n` };
  }
  if (world.faults.take('asks-password')) {
    const refused = `FATAL:  password authentication failed for user "${parsed.user}"`;
    return { ok: false, output: `${line}psql: error: connection to server at "localhost" (127.0.0.1), port 5432 failed: ${refused}\n` };
  }
  try {
    const rows = await withClient(database.local(parsed), async (client) => {
      // Several statements give several results, although the types speak of one; psql prints those that have rows.
      const result: pg.QueryArrayResult | pg.QueryArrayResult[] = await client.query({ text: parsed.sql, rowMode: 'array' });
      const all = Array.isArray(result) ? result : [result];
      return all.flatMap(({ rows: some }) =>
        some.map((row: unknown[]) => row.map((value) => (value === null ? '' : String(value))).join('|')),
      );
    });
    return { ok: true, output: `${line}${rows.map((row) => `${row}\n`).join('')}✅ Command executed successfully\n` };
  } catch (error) {
    const code = parsed.verbose === true && error instanceof pg.DatabaseError ? `ERROR:  ${error.code}: ` : '';
    return {
      ok: false,
      output: `${line}psql:${code === '' ? ' ' : '<stdin>:1: '}${code}${error instanceof Error ? error.message : String(error)}\n`,
    };
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
