import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { oneWrite, planReference, projectLocks, projectScope, quickRead, serviceScope, warning } from './shapes.ts';

/** Six cheap reads before anything is created. */
export const checkConnection = defineEffect({
  name: 'dokploy.checkConnection@1',
  title: 'Check the Dokploy connection',
  readOnly: true,
  ...quickRead,
  input: z.object({ dokploy: z.string(), serverId: z.string().nullable() }),
  output: z.object({
    version: z.string(),
    /** Address of the machine that will serve the instance; null when Dokploy does not know it. */
    serverIp: z.string().nullable(),
    letsEncryptEmail: z.string().nullable(),
    projects: z.number().int(),
    servers: z.number().int(),
    warnings: z.array(warning),
  }),
});

/** Refuses a name that a project or compose service of this Dokploy already has. */
export const checkName = defineEffect({
  name: 'dokploy.checkName@1',
  title: 'Check that the name is free',
  readOnly: true,
  ...quickRead,
  input: z.object({ dokploy: z.string(), name: z.string() }),
  output: z.object({ free: z.literal(true) }),
});

export const createProject = defineEffect({
  name: 'dokploy.createProject@1',
  title: 'Create the Dokploy project',
  ...oneWrite,
  locks: projectLocks,
  input: projectScope,
  output: z.object({ projectId: z.string(), environmentId: z.string() }),
});

export const createCompose = defineEffect({
  name: 'dokploy.createCompose@1',
  title: 'Create the compose service',
  ...oneWrite,
  onPartial: 'rerun',
  locks: projectLocks,
  input: projectScope.extend({ serverId: z.string().nullable(), projectId: z.string(), environmentId: z.string() }),
  output: z.object({ composeId: z.string(), appName: z.string() }),
});

export const importTemplate = defineEffect({
  name: 'dokploy.importTemplate@1',
  title: 'Import the Supabase template',
  ...oneWrite,
  // The request may take 60 s.
  timeoutMs: 120_000,
  settleMs: 70_000,
  onPartial: 'rerun',
  locks: projectLocks,
  input: serviceScope,
  output: z.object({ composeHash: z.string(), mounts: z.number().int(), domains: z.number().int() }),
});

export const saveEnvironment = defineEffect({
  name: 'dokploy.saveEnvironment@1',
  title: 'Write the environment',
  ...oneWrite,
  // `partial` stands for a state that is neither: run and undo judge it again and refuse it by E9.
  onPartial: 'rerun',
  locks: projectLocks,
  input: serviceScope,
  output: z.object({ envHash: z.string(), variables: z.number().int() }),
});

export const configureDomain = defineEffect({
  name: 'dokploy.configureDomain@1',
  title: 'Route the domain',
  ...oneWrite,
  // `partial` stands for a state that is neither: run and undo judge it again and refuse it by E9.
  onPartial: 'rerun',
  locks: projectLocks,
  input: serviceScope,
  output: z.object({ domainId: z.string(), host: z.string(), https: z.boolean() }),
});

/** Queues the deployment and follows it to its end. Its verdict is told, not believed: health decides. */
export const deployCompose = defineEffect({
  name: 'dokploy.deployCompose@1',
  title: 'Deploy',
  ...oneWrite,
  timeoutMs: 25 * 60_000,
  deadlineMs: 40 * 60_000,
  // The request that queues it ends after 30 s; Dokploy shows the job in its queue at once.
  settleMs: 35_000,
  // A deployment that a restart of Dokploy cancelled is queued again.
  onPartial: 'rerun',
  locks: projectLocks,
  input: serviceScope.extend({ envHash: z.string(), composeHash: z.string() }),
  output: z.object({ deploymentId: z.string(), status: z.enum(['running', 'done', 'error', 'cancelled']) }),
});

/** Waits until every service is healthy; an empty container list counts as unknown, never as healthy. */
export const awaitHealth = defineEffect({
  name: 'dokploy.awaitHealth@1',
  title: 'Wait until every service is healthy',
  readOnly: true,
  timeoutMs: 11 * 60_000,
  deadlineMs: 12 * 60_000,
  retry: { attempts: 5, baseMs: 1_000, maxMs: 5_000 },
  input: z
    .object({
      dokploy: z.string(),
      composeId: z.string(),
      appName: z.string(),
      deploymentId: z.string(),
      /** How long to wait, in ms. Default 600 000. */
      waitMs: z.number().int().positive().optional(),
    })
    .extend(planReference.shape),
  output: z.object({ services: z.number().int(), healthy: z.number().int(), withoutCheck: z.number().int(), finished: z.number().int() }),
});
