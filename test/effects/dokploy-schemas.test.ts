import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { toContainers } from '../../src/effects/dokploy/containers.ts';
import { countServices } from '../../src/effects/dokploy/projects.ts';
import * as answers from '../../src/effects/dokploy/schemas.ts';

/** Procedure to the schema that the client parses its answer with. */
const SCHEMAS: Record<string, z.ZodType> = {
  health: answers.okHealth,
  'settings.getDokployVersion': z.string(),
  'settings.getWebServerSettings': answers.webServerSettings,
  'settings.checkInfrastructureHealth': answers.infrastructureHealth,
  'user.getPermissions': answers.permissions,
  'project.all': z.array(answers.projectRow),
  'project.one': answers.projectRow,
  'project.create': answers.createdProject,
  'compose.create': answers.composeRow,
  'compose.update': answers.composeRow.optional(),
  'compose.saveEnvironment': z.literal(true),
  'compose.one': answers.composeOne,
  'compose.previewTemplate': answers.templatePreview,
  'compose.import': answers.accepted,
  'compose.deploy': answers.accepted,
  'compose.stop': z.literal(true),
  'compose.start': z.literal(true),
  'compose.delete': z.looseObject({ composeId: z.string() }),
  'compose.loadServices': z.array(z.string()),
  'mounts.listByServiceId': z.array(answers.mountRow),
  'domain.create': answers.domainRow,
  'domain.update': answers.domainRow,
  'domain.one': answers.domainRow,
  'domain.byComposeId': z.array(answers.domainRow),
  'domain.delete': answers.domainRow,
  'deployment.allByCompose': z.array(answers.deploymentRow),
  'deployment.queueList': z.array(answers.queueRow),
  'deployment.readLogs': z.string(),
  'docker.getContainersByAppNameMatch': z.array(answers.containerAnswer),
  'compose.readLogs': z.string(),
  'schedule.create': answers.scheduleRow,
  'schedule.list': z.array(answers.scheduleRow),
  'schedule.runManually': answers.scheduleRun,
  'schedule.delete': z.literal(true),
  'server.all': z.array(answers.serverRow),
};

type Recorded = { name: string; path: string; status: number; body: unknown };

function procedureOf(path: string): string {
  return path.replace(/^\/api\//, '');
}

function check(recorded: Recorded[]): string[] {
  return recorded.flatMap(({ name, path, status, body }) => {
    const schema = SCHEMAS[procedureOf(path)];
    if (!schema || status !== 200) return [];
    const parsed = schema.safeParse(body === '' && procedureOf(path) === 'compose.update' ? undefined : body);
    return parsed.success
      ? []
      : [`${name}: ${parsed.error.issues.map(({ path: at, message }) => `${at.join('.')} ${message}`).join('; ')}`];
  });
}

const fixtures: Recorded[] = z
  .array(z.object({ name: z.string(), path: z.string(), status: z.number(), body: z.unknown() }))
  .parse(JSON.parse(readFileSync(new URL('../fixtures/dokploy-answers.json', import.meta.url), 'utf8')));

describe('answers recorded from a real Dokploy', () => {
  it('fit the schemas, condensed', () => {
    expect(check(fixtures)).toEqual([]);
  });

  it('cover every procedure of the client', () => {
    const covered = new Set(fixtures.map(({ path }) => procedureOf(path)));
    expect(Object.keys(SCHEMAS).filter((name) => !covered.has(name))).toEqual([]);
  });

  const full = new URL('../../../shared/dokploy/examples.json', import.meta.url);
  it.skipIf(!existsSync(full))('fit the schemas, in full', () => {
    const recording = z
      .object({
        examples: z.array(
          z.object({
            name: z.string(),
            request: z.object({ path: z.string() }),
            response: z.object({ status: z.number(), body: z.unknown() }).optional(),
          }),
        ),
      })
      .parse(JSON.parse(readFileSync(full, 'utf8')));
    const recorded = recording.examples.flatMap(({ name, request, response }) =>
      response ? [{ name, path: request.path, ...response }] : [],
    );
    const ours = recorded.filter(({ path, status }) => SCHEMAS[procedureOf(path)] && status === 200);
    expect(ours.length).toBeGreaterThan(90);
    expect(check(recorded)).toEqual([]);
  });

  it('count services of every kind, also of kinds not known yet', () => {
    const project = answers.projectRow.parse(fixtures.find(({ name }) => name === 'project.one')?.body);
    expect(countServices(project)).toBe(0);
    const environment = project.environments[0];
    if (!environment) throw new Error('the fixture has an environment');
    expect(countServices({ ...project, environments: [{ ...environment, redis: [{ redisId: 'r' }], clickhouse: [{ id: 'c' }] }] })).toBe(2);
  });

  it('never take an empty container list for "stopped"', () => {
    expect(toContainers([], 'app')).toMatchObject({ state: 'unknown' });
    expect(toContainers(undefined, 'app')).toMatchObject({ state: 'unknown' });
  });
});

describe('a row of containers', () => {
  it.each([
    ['app-x1-db-1', 'running', 'Up 2 minutes (healthy)', 'db', 'healthy', null],
    ['app-x1-db-1', 'running', 'Up 2 minutes (unhealthy)', 'db', 'unhealthy', null],
    ['app-x1-edge-functions-12', 'running', 'Up 3 seconds (health: starting)', 'edge-functions', 'starting', null],
    ['/app-x1_kong_1', 'running', 'Up 2 minutes', 'kong', 'none', null],
    ['app-x1-init-1', 'exited', 'Exited (0) 5 seconds ago', 'init', 'exited', 0],
    ['app-x1-vector-1', 'exited', 'Exited (137) 5 seconds ago', 'vector', 'exited', 137],
    ['app-x1-rest-1', 'restarting', 'Restarting (1) 3 seconds ago', 'rest', 'restarting', null],
    ['app-x1-auth-1', 'created', 'Created', 'auth', 'none', null],
    ['somebody-else', 'running', 'Up 1 hour (healthy)', null, 'healthy', null],
  ])('%s, %s, "%s" is service %s, %s', (name, state, status, service, health, exitCode) => {
    const containers = toContainers([{ containerId: 'c1', name, state, status }], 'app-x1');
    expect(containers).toEqual({ state: 'known', rows: [{ containerId: 'c1', name, service, state, health, exitCode }] });
  });
});
