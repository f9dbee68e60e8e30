/**
 * Answers of Dokploy, as recorded from a real v0.30.2. Invariants:
 * 1. Needed keys are required, unknown keys are kept: a newer server may say more, never less.
 * 2. What Dokploy may leave null is nullable here; a default is never made up.
 */
import { z } from 'zod';

const id = z.string().min(1);
const nullableText = z.string().nullable();

/** A list that the server leaves out or sets to null when it has nothing to say. */
const rows = <T extends z.ZodType>(row: T) => z.array(row).nullish();

export const okHealth = z.looseObject({ ok: z.literal(true) });

export const webServerSettings = z.looseObject({
  serverIp: nullableText,
  host: nullableText,
  https: z.boolean(),
  certificateType: z.string(),
  letsEncryptEmail: nullableText,
  buildsConcurrency: z.number().optional(),
  remoteServersOnly: z.boolean().optional(),
});
export type WebServerSettings = z.infer<typeof webServerSettings>;

const partHealth = z.looseObject({ status: z.string(), message: z.string().optional() });
export const infrastructureHealth = z.looseObject({ postgres: partHealth, traefik: partHealth });
export type InfrastructureHealth = z.infer<typeof infrastructureHealth>;

export const permissions = z.record(z.string(), z.record(z.string(), z.boolean()));

const composeBrief = z.looseObject({ composeId: id, name: z.string(), composeStatus: z.string().optional() });

export const environmentRow = z.looseObject({
  environmentId: id,
  name: z.string(),
  isDefault: z.boolean().optional(),
  compose: rows(composeBrief),
});
export type EnvironmentRow = z.infer<typeof environmentRow>;

const projectCore = { projectId: id, name: z.string(), description: nullableText };
export const projectRow = z.looseObject({ ...projectCore, environments: z.array(environmentRow) });
export type ProjectRow = z.infer<typeof projectRow>;
export const removedProject = z.looseObject({ projectId: id });

export const createdProject = z.looseObject({ project: z.looseObject(projectCore), environment: environmentRow });
export type CreatedProject = z.infer<typeof createdProject>;

export const serverRow = z.looseObject({ serverId: id, name: z.string(), ipAddress: z.string(), serverStatus: z.string().optional() });
export type ServerRow = z.infer<typeof serverRow>;

export const composeRow = z.looseObject({
  composeId: id,
  name: z.string(),
  appName: z.string().min(1),
  description: nullableText,
  env: nullableText,
  composeFile: z.string(),
  sourceType: z.string(),
  composeType: z.string(),
  composeStatus: z.string(),
  environmentId: id,
  serverId: nullableText,
});
export type ComposeRow = z.infer<typeof composeRow>;

export const deploymentStatus = z.enum(['running', 'done', 'error', 'cancelled']);
export type DeploymentStatus = z.infer<typeof deploymentStatus>;

export const deploymentRow = z.looseObject({
  deploymentId: id,
  title: z.string(),
  description: nullableText,
  status: deploymentStatus,
  createdAt: z.string(),
  startedAt: nullableText.optional(),
  finishedAt: nullableText.optional(),
  errorMessage: nullableText.optional(),
});
export type DeploymentRow = z.infer<typeof deploymentRow>;

export const queueRow = z.looseObject({
  id: z.union([z.string(), z.number()]),
  state: z.string(),
  data: z.looseObject({ composeId: z.string().nullish(), titleLog: z.string().nullish(), descriptionLog: z.string().nullish() }),
});
export type QueueRow = z.infer<typeof queueRow>;

export const domainRow = z.looseObject({
  domainId: id,
  host: z.string().min(1),
  https: z.boolean(),
  port: z.number().nullable(),
  path: nullableText,
  serviceName: nullableText,
  certificateType: z.string(),
  composeId: nullableText,
});
export type DomainRow = z.infer<typeof domainRow>;

export const mountRow = z.looseObject({
  mountId: id,
  type: z.string(),
  filePath: nullableText,
  content: nullableText,
  mountPath: z.string(),
});
export type MountRow = z.infer<typeof mountRow>;

export const composeOne = z.looseObject({
  ...composeRow.shape,
  environment: z.looseObject({ environmentId: id, name: z.string(), projectId: id }),
  deployments: z.array(deploymentRow),
  mounts: z.array(mountRow),
  domains: z.array(domainRow),
});
export type ComposeOne = z.infer<typeof composeOne>;

export const templatePreview = z.looseObject({
  compose: z.string().min(1),
  template: z.looseObject({
    domains: z.array(
      z.looseObject({ serviceName: z.string(), port: z.number(), host: z.string().optional(), path: nullableText.optional() }),
    ),
    envs: z.array(z.string()),
    mounts: z.array(z.looseObject({ filePath: z.string(), content: z.string() })),
  }),
});
export type TemplatePreview = z.infer<typeof templatePreview>;

export const accepted = z.looseObject({ success: z.boolean(), message: z.string().optional() });

export const containerAnswer = z.looseObject({ containerId: id, name: z.string(), state: z.string(), status: z.string() });
export type ContainerAnswer = z.infer<typeof containerAnswer>;

/** docker inspect; its environment holds secrets. */
export const containerConfig = z.looseObject({
  State: z.looseObject({ StartedAt: z.string().min(1) }),
  Config: z.looseObject({ Image: z.string(), Env: z.array(z.string()) }).optional(),
});

export const scheduleRow = z.looseObject({ scheduleId: id, name: z.string(), enabled: z.boolean() });
export type ScheduleRow = z.infer<typeof scheduleRow>;

/** Since 0.29.14; before, it answers true or fails. */
export const scheduleRun = z.union([z.looseObject({ status: z.enum(['done', 'error']), deploymentId: id }), z.literal(true)]);
export type ScheduleRun = z.infer<typeof scheduleRun>;
