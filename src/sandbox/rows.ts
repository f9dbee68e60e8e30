/** The rows of the pretended server, with the fields and their order as a real v0.30.2 answers them. */
import { newId, randomLetters } from './ids.ts';

export const organizationId = 'sandboxOrganization00';

const now = (): string => new Date().toISOString();

/** A fresh project row. */
export const projectRow = (input: { name: string; description?: string | null | undefined; env?: string | undefined }) => ({
  projectId: newId(),
  name: input.name,
  description: input.description ?? null,
  createdAt: now(),
  organizationId,
  env: input.env ?? '',
});
export type ProjectRow = ReturnType<typeof projectRow>;

/** A fresh environment row; every project has one default, named production. */
export const environmentRow = (input: {
  projectId: string;
  name: string;
  description?: string | null | undefined;
  isDefault: boolean;
}) => ({
  environmentId: newId(),
  name: input.name,
  description: input.description ?? null,
  createdAt: now(),
  env: '',
  projectId: input.projectId,
  isDefault: input.isDefault,
});
export type EnvironmentRow = ReturnType<typeof environmentRow>;

export type ComposeStatus = 'idle' | 'running' | 'done' | 'error';

type NewCompose = {
  name: string;
  environmentId: string;
  appName?: string | undefined;
  description?: string | null | undefined;
  composeFile?: string | undefined;
  composeType?: string | undefined;
  sourceType?: string | undefined;
  serverId?: string | null | undefined;
};

const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '');

/** A fresh compose row; the appName always gets a random suffix and the source is github unless told otherwise. */
export const composeRow = (input: NewCompose) => ({
  composeId: newId(),
  name: input.name,
  appName: `${slug(input.appName ?? '') || `compose-${randomLetters(8)}`}-${randomLetters(6)}`,
  description: input.description ?? null,
  // Kept as the text that compose.one answers.
  env: null as string | null,
  composeFile: input.composeFile ?? '',
  refreshToken: newId(),
  sourceType: input.sourceType ?? 'github',
  composeType: input.composeType ?? 'docker-compose',
  repository: null,
  owner: null,
  branch: null,
  autoDeploy: true,
  gitlabProjectId: null,
  gitlabRepository: null,
  gitlabOwner: null,
  gitlabBranch: null,
  gitlabPathNamespace: null,
  bitbucketRepository: null,
  bitbucketRepositorySlug: null,
  bitbucketOwner: null,
  bitbucketBranch: null,
  giteaRepository: null,
  giteaOwner: null,
  giteaBranch: null,
  customGitUrl: null,
  customGitBranch: null,
  customGitSSHKeyId: null,
  command: '',
  createEnvFile: true,
  enableSubmodules: false,
  composePath: './docker-compose.yml',
  suffix: '',
  randomize: false,
  isolatedDeployment: false,
  isolatedDeploymentsVolume: false,
  triggerType: 'push',
  // Widened from the literal: it walks through all four.
  composeStatus: 'idle' as ComposeStatus,
  icon: null,
  environmentId: input.environmentId,
  createdAt: now(),
  watchPaths: null,
  githubId: null,
  gitlabId: null,
  bitbucketId: null,
  giteaId: null,
  serverId: input.serverId ?? null,
  serviceNetworks: [],
});
export type ComposeRow = ReturnType<typeof composeRow>;

type NewDomain = {
  host: string;
  composeId?: string | null | undefined;
  serviceName?: string | null | undefined;
  port?: number | null | undefined;
  https?: boolean | undefined;
  path?: string | null | undefined;
  domainType?: string | null | undefined;
  certificateType?: string | undefined;
  customCertResolver?: string | null | undefined;
  internalPath?: string | null | undefined;
  stripPath?: boolean | undefined;
};

/** A fresh domain row; port 3000 and no https are the (surprising) defaults. */
export const domainRow = (input: NewDomain, uniqueConfigKey: number) => ({
  domainId: newId(),
  host: input.host,
  https: input.https ?? false,
  port: input.port ?? 3000,
  customEntrypoint: null,
  path: input.path ?? '/',
  serviceName: input.serviceName ?? null,
  domainType: input.domainType ?? 'application',
  uniqueConfigKey,
  createdAt: now(),
  composeId: input.composeId ?? null,
  customCertResolver: input.customCertResolver ?? null,
  applicationId: null,
  previewDeploymentId: null,
  certificateType: input.certificateType ?? 'none',
  internalPath: input.internalPath ?? '/',
  stripPath: input.stripPath ?? false,
  middlewares: [],
  forwardAuthEnabled: false,
  enabled: true,
});
export type DomainRow = ReturnType<typeof domainRow>;

type NewMount = {
  composeId: string;
  type?: string | undefined;
  filePath?: string | null | undefined;
  content?: string | null | undefined;
  mountPath: string;
  hostPath?: string | null | undefined;
  volumeName?: string | null | undefined;
};

/** A fresh mount row of a compose service. */
export const mountRow = (input: NewMount) => ({
  mountId: newId(),
  type: input.type ?? 'file',
  hostPath: input.hostPath ?? null,
  volumeName: input.volumeName ?? null,
  filePath: input.filePath ?? null,
  content: input.content ?? null,
  serviceType: 'compose',
  mountPath: input.mountPath,
  applicationId: null,
  composeId: input.composeId,
  libsqlId: null,
  mariadbId: null,
  mongoId: null,
  mysqlId: null,
  postgresId: null,
  redisId: null,
});
export type MountRow = ReturnType<typeof mountRow>;

export type DeploymentStatus = 'running' | 'done' | 'error' | 'cancelled';

type NewDeployment = { title: string; description: string; composeId: string | null; scheduleId: string | null; logFolder: string };

/** A fresh deployment row, running. errorMessage stays null even when docker fails, as on the real server. */
export const deploymentRow = (input: NewDeployment) => {
  const at = now();
  const name = input.logFolder.split('/').at(-1) ?? '';
  return {
    deploymentId: newId(),
    title: input.title,
    description: input.description,
    // Widened from the literal: it ends in one of the others.
    status: 'running' as DeploymentStatus,
    logPath: `${input.logFolder}/${name}-${at.slice(0, 19).replace('T', ':')}.log`,
    pid: null,
    applicationId: null,
    composeId: input.composeId,
    serverId: null,
    isPreviewDeployment: false,
    previewDeploymentId: null,
    createdAt: at,
    startedAt: at,
    // Set when it ends.
    finishedAt: null as string | null,
    errorMessage: null,
    scheduleId: input.scheduleId,
    backupId: null,
    rollbackId: null,
    volumeBackupId: null,
    buildServerId: null,
  };
};
export type DeploymentRow = ReturnType<typeof deploymentRow>;

type NewSchedule = {
  name: string;
  cronExpression: string;
  command: string;
  composeId: string;
  serviceName?: string | null | undefined;
  shellType?: string | undefined;
  scheduleType?: string | undefined;
  enabled?: boolean | undefined;
  appName?: string | undefined;
  description?: string | null | undefined;
};

/** A fresh schedule row. */
export const scheduleRow = (input: NewSchedule) => ({
  scheduleId: newId(),
  name: input.name,
  description: input.description ?? null,
  cronExpression: input.cronExpression,
  appName: input.appName ?? `schedule-${randomLetters(6)}`,
  serviceName: input.serviceName ?? null,
  shellType: input.shellType ?? 'bash',
  scheduleType: input.scheduleType ?? 'application',
  command: input.command,
  script: null,
  applicationId: null,
  composeId: input.composeId,
  serverId: null,
  organizationId: null,
  enabled: input.enabled ?? true,
  timezone: null,
  createdAt: now(),
});
export type ScheduleRow = ReturnType<typeof scheduleRow>;
