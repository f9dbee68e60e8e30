/**
 * What goes out to Dokploy, strictly. Invariants:
 * 1. A boolean is a real boolean and is never left out where its absence means something: the server turns a missing one into
 *    false and the text "false" into true, and compose.delete would then keep or destroy volumes.
 * 2. A key that is not listed here is our own bug, since Dokploy drops unknown keys with a 200.
 */
import { z } from 'zod';

const id = z.string().min(1);

export const byProject = z.strictObject({ projectId: id });
export const byCompose = z.strictObject({ composeId: id });
export const byDomain = z.strictObject({ domainId: id });
export const byContainer = z.strictObject({ containerId: z.string().regex(/^[a-zA-Z0-9._-]+$/), serverId: id.optional() });
export const bySchedule = z.strictObject({ scheduleId: id });

export const createProjectBody = z.strictObject({ name: z.string().min(1), description: z.string().optional() });

export const createComposeBody = z.strictObject({
  name: z.string().min(1),
  environmentId: id,
  composeType: z.literal('docker-compose'),
  appName: z.string().regex(/^[a-zA-Z0-9._-]{1,63}$/),
  description: z.string().optional(),
  composeFile: z.string().optional(),
  serverId: id.optional(),
  /** Dropped silently before 0.30.0, so the client reads the row and repairs it. */
  sourceType: z.literal('raw'),
});

export const updateComposeBody = z.strictObject({
  composeId: id,
  name: z.string().min(1).optional(),
  description: z.string().optional(),
  env: z.string().optional(),
  composeFile: z.string().optional(),
  sourceType: z.literal('raw').optional(),
  composePath: z.string().min(1).optional(),
  isolatedDeployment: z.boolean().optional(),
  randomize: z.boolean().optional(),
  autoDeploy: z.boolean().optional(),
});

export const saveEnvironmentBody = z.strictObject({ composeId: id, env: z.string() });
export const previewTemplateBody = z.strictObject({ base64: z.base64().min(1), appName: z.string().min(1), serverId: id.optional() });
export const importTemplateBody = z.strictObject({ base64: z.base64().min(1), composeId: id });
export const deployBody = z.strictObject({ composeId: id, title: z.string().min(1), description: z.string().min(1) });
export const deleteComposeBody = z.strictObject({ composeId: id, deleteVolumes: z.boolean() });

const certificateType = z.enum(['letsencrypt', 'none', 'custom']);
const port = z.number().int().min(1).max(65_535);

export const createDomainBody = z.strictObject({
  host: z.string().min(1),
  https: z.boolean(),
  certificateType,
  port,
  path: z.string().min(1).optional(),
  serviceName: z.string().min(1),
  composeId: id,
  domainType: z.literal('compose'),
});

/** Dokploy wants the host even when another field changes. */
export const updateDomainBody = z.strictObject({
  domainId: id,
  host: z.string().min(1),
  https: z.boolean().optional(),
  certificateType: certificateType.optional(),
  port: port.optional(),
  path: z.string().min(1).optional(),
  serviceName: z.string().min(1).optional(),
});

export const createMountBody = z.strictObject({
  type: z.literal('file'),
  filePath: z.string().min(1),
  content: z.string(),
  /** The template has it empty; over the API one character is the least. */
  mountPath: z.literal('/'),
  serviceType: z.literal('compose'),
  serviceId: id,
});
export const updateMountBody = z.strictObject({ mountId: id, content: z.string() });
export const byMount = z.strictObject({ mountId: id });

export const createScheduleBody = z.strictObject({
  name: z.string().min(1),
  /** A date that never comes: the schedule is only ever run by hand. */
  cronExpression: z.literal('0 0 31 2 *'),
  command: z.string().min(1),
  scheduleType: z.literal('compose'),
  composeId: id,
  serviceName: z.string().min(1),
  shellType: z.enum(['bash', 'sh']),
  enabled: z.literal(false),
});

export type CreateProject = z.input<typeof createProjectBody>;
export type CreateCompose = Omit<z.input<typeof createComposeBody>, 'composeType' | 'sourceType'>;
export type UpdateCompose = z.input<typeof updateComposeBody>;
export type Deploy = z.input<typeof deployBody>;
export type DeleteCompose = z.input<typeof deleteComposeBody>;
export type CreateDomain = Omit<z.input<typeof createDomainBody>, 'domainType'>;
export type UpdateDomain = z.input<typeof updateDomainBody>;
export type CreateSchedule = { name: string; command: string; composeId: string; serviceName: string; shellType?: 'bash' | 'sh' };
