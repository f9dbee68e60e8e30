import { readFile } from 'node:fs/promises';
import { Hono } from 'hono';
import { z } from 'zod';
import { AppError, toRecord } from '../errors.ts';
import { packageFile } from '../package-root.ts';
import type { World } from './world.ts';

/** What stands on the pretended server: for tests that ask what is left over. */
export function leftovers(world: World) {
  const { rows } = world.state;
  return {
    projects: rows.projects.map(({ projectId, name }) => ({ projectId, name })),
    environments: rows.environments.map(({ environmentId, projectId, name }) => ({ environmentId, projectId, name })),
    composes: rows.composes.map(({ composeId, environmentId, name, appName, composeStatus }) => ({
      composeId,
      environmentId,
      name,
      appName,
      composeStatus,
    })),
    domains: rows.domains.map(({ domainId, composeId, host }) => ({ domainId, composeId, host })),
    mounts: rows.mounts.map(({ mountId, composeId, filePath }) => ({ mountId, composeId, filePath })),
    schedules: rows.schedules.map(({ scheduleId, composeId, name }) => ({ scheduleId, composeId, name })),
    stacks: rows.stacks.map(({ composeId, appName, phase }) => ({ composeId, appName, phase })),
    jobs: world.queue.list().map(({ id, state, data }) => ({ id, state, composeId: data.composeId })),
  };
}

const faultsBody = z.object({ faults: z.array(z.string()) });

/** The sandbox's own door, beside the pretended API: journal, faults and state, with the same key. */
export function controlRoutes(world: World, apiKey: string): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    if (c.req.header('x-api-key') !== apiKey) return c.json({ message: 'Unauthorized' }, 401);
    return next();
  });
  app.get('/journal', (c) => c.json(world.journal.entries()));
  app.get('/state', (c) => c.json(leftovers(world)));
  app.get('/faults', (c) => c.json({ faults: world.faults.list() }));
  app.post('/faults', async (c) => {
    const body = faultsBody.safeParse(await c.req.json().catch(() => undefined));
    try {
      if (!body.success) throw new AppError('SANDBOX_FAULT_UNKNOWN', { message: 'The body is not {"faults": ["name", …]}.' });
      world.faults.set(body.data.faults);
      return c.json({ faults: world.faults.list() });
    } catch (error) {
      return c.json(toRecord(error), 400);
    }
  });
  return app;
}

const blueprint = (file: string): Promise<string> => readFile(packageFile('src', 'sandbox', 'blueprint', file), 'utf8');

const meta = [
  {
    id: 'supabase',
    name: 'SupaBase',
    version: 'sandbox / dokploy >= 0.22.5',
    description: "The sandbox's own small blueprint in the shape of Dokploy's Supabase template.",
    logo: 'supabase.svg',
    links: {
      github: 'https://github.com/supabase/supabase',
      website: 'https://supabase.com/',
      docs: 'https://supabase.com/docs/guides/self-hosting',
    },
    tags: ['database'],
  },
];

const files = ['template.toml', 'docker-compose.yml'];

/** The template server: the same paths as templates.dokploy.com, without a key. */
export function templateRoutes(world: World, hangUp: (request: Request) => void): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    if (!world.faults.take('template-unreachable')) return next();
    hangUp(c.req.raw);
    return new Promise<Response>(() => undefined);
  });
  app.get('/meta.json', (c) => c.json(meta));
  app.get('/blueprints/supabase/:file', async (c) => {
    const file = c.req.param('file');
    return files.includes(file) ? c.text(await blueprint(file)) : c.notFound();
  });
  return app;
}
