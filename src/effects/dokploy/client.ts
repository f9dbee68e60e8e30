/**
 * What the hands can do on one Dokploy. Invariants:
 * 1. Every write that the server may drop silently is read back (read-back.ts); a write's result is what was read, not what was answered.
 * 2. An empty list of containers is unknown; an empty body where a row was due is "not found".
 * 3. Secrets that pass through are announced by `onSecret` before they are returned, for the scrubber (engine.md S4).
 * 4. Nothing is retried here: the engine probes and repeats.
 */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { DokployConnection } from '../handler.ts';
import { redactText } from '../http/vendor-text.ts';
import * as bodies from './bodies.ts';
import { type Caller, type CallOptions, createCaller } from './call.ts';
import { type Containers, toContainers } from './containers.ts';
import { type FoundDeployment, findQueued, findRow } from './deployments.ts';
import type { Permissions } from './projects.ts';
import { afterWrite, requireKept } from './read-back.ts';
import * as answers from './schemas.ts';
import { announceSecrets, encodeTemplate } from './template-payload.ts';
import { type Capabilities, capabilitiesOf, requireSupported, type Version } from './versions.ts';

export type DokployClientOptions = CallOptions & {
  /** Called with each secret value found in an answer. */
  onSecret?: (value: string) => void;
};

export type VersionAnswer = Version & { capabilities: Capabilities };
export type ContainerLog = { state: 'known'; text: string } | { state: 'unknown'; say: string };

/** Lines of a container begin with a time, so a text that begins so is docker's own. */
const dockerFailure =
  /^(Cannot connect to the Docker daemon|permission denied while trying to connect to the Docker daemon|error during connect|Error response from daemon|Error: No such container|\S*sh: \d*:? ?docker: not found)/i;

/** docker stop, up and down run inside the request. */
const DOCKER_TIMEOUT_MS = 180_000;
/** One container: ten seconds to stop, then its start. */
const RESTART_TIMEOUT_MS = 60_000;

export type DokployClient = ReturnType<typeof createDokployClient>;

/**
 * Makes the client for one connection; one request takes at most 30 s (docker work 180 s) and its turn at the limiter.
 * Every method throws AppError: see refusals.ts and http/failure.ts for the codes; wrong input of ours is a TypeError.
 */
export function createDokployClient(connection: DokployConnection, options: DokployClientOptions) {
  const caller = createCaller(connection, options);
  return {
    ...systemCalls(caller, connection.name),
    ...projectCalls(caller),
    ...composeCalls(caller, options.onSecret),
    ...domainCalls(caller),
    ...deploymentCalls(caller, connection, options.onSecret),
    ...scheduleCalls(caller),
  };
}

function systemCalls(caller: Caller, name: string) {
  return {
    /** Answers true when a Dokploy stands at the address; sends no key. Throws DOKPLOY_NOT_RECOGNISED for anything else that answers. */
    async health(): Promise<true> {
      try {
        await caller.get('health', answers.okHealth, { withoutKey: true });
        return true;
      } catch (error) {
        throw notRecognised(error, name);
      }
    },
    /** Throws DOKPLOY_TOO_OLD below the floor, DOKPLOY_VERSION_UNKNOWN for an unreadable version. */
    async version(): Promise<VersionAnswer> {
      const version = requireSupported(await caller.get('settings.getDokployVersion', z.string()), name);
      return { ...version, capabilities: capabilitiesOf(version) };
    },
    webServerSettings: () => caller.get('settings.getWebServerSettings', answers.webServerSettings),
    infrastructureHealth: () => caller.get('settings.checkInfrastructureHealth', answers.infrastructureHealth),
    /** `unknown` where this version has no such procedure. */
    async permissions(): Promise<Permissions> {
      try {
        return { state: 'known', areas: await caller.get('user.getPermissions', answers.permissions) };
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'DOKPLOY_PROCEDURE_MISSING') throw error;
        return { state: 'unknown', say: 'This Dokploy does not tell which permissions the key has.' };
      }
    },
    servers: () => caller.get('server.all', z.array(answers.serverRow)),
  };
}

function notRecognised(error: unknown, name: string): unknown {
  const codes = ['DOKPLOY_UNEXPECTED_ANSWER', 'DOKPLOY_PROCEDURE_MISSING', 'DOKPLOY_NOT_FOUND', 'DOKPLOY_REFUSED'];
  if (!(error instanceof AppError) || !codes.includes(error.code)) return error;
  return new AppError('DOKPLOY_NOT_RECOGNISED', {
    message: `What answers at the address of "${name}" is not a Dokploy.`,
    fix: 'Check the address and port: Dokploy listens on port 3000 unless it has a domain of its own.',
  });
}

function projectCalls(caller: Caller) {
  return {
    projects: () => caller.get('project.all', z.array(answers.projectRow)),
    /** Throws DOKPLOY_NOT_FOUND. */
    project: (projectId: string) => caller.get('project.one', answers.projectRow, { query: { projectId } }),
    /** Names are not unique there: look before. Answers the project and its default environment. */
    createProject: (body: bodies.CreateProject) => caller.post('project.create', bodies.createProjectBody, body, answers.createdProject),
    /** Removes the project with everything in it. */
    removeProject: (projectId: string) =>
      caller.post('project.remove', bodies.byProject, { projectId }, answers.removedProject.optional(), {
        timeoutMs: DOCKER_TIMEOUT_MS,
        halfway: true,
      }),
  };
}

function composeCalls(caller: Caller, onSecret: DokployClientOptions['onSecret']) {
  const announce = <T>(row: T): T => announceSecrets(row, onSecret);

  /** All state of a service in one read. Throws DOKPLOY_NOT_FOUND. */
  const composeOne = async (composeId: string) => announce(await caller.get('compose.one', answers.composeOne, { query: { composeId } }));

  /** Writes and reads back. Throws DOKPLOY_WRITE_NOT_KEPT, or DOKPLOY_NOT_FOUND for an unknown id, which the server answers with an empty 200. */
  const updateCompose = async (body: bodies.UpdateCompose) => {
    const answer = await caller.post('compose.update', bodies.updateComposeBody, body, answers.composeRow.optional());
    if (answer === undefined) throw noSuchCompose('compose.update');
    return afterWrite(async () => {
      const kept = await composeOne(body.composeId);
      requireKept('compose.update', body, kept);
      return kept;
    });
  };

  const keptMount = (procedure: string, mountId: string, written: Record<string, unknown>) =>
    afterWrite(async () => {
      const kept = await caller.get('mounts.one', answers.mountRow, { query: { mountId } });
      requireKept(procedure, written, kept);
      return kept;
    });

  return {
    composeOne,
    updateCompose,
    /** Creates a service of source type raw; servers before 0.30 make it github first, which is repaired and read back. appName gets a random suffix. */
    async createCompose(body: bodies.CreateCompose) {
      const full = { ...body, composeType: 'docker-compose', sourceType: 'raw' } as const;
      const { composeId, sourceType } = await caller.post('compose.create', bodies.createComposeBody, full, answers.composeRow);
      return afterWrite(() => (sourceType === 'raw' ? composeOne(composeId) : updateCompose({ composeId, sourceType: 'raw' })));
    },
    /** The text as it is deployed, with the networks and labels of Dokploy. */
    convertedCompose: (composeId: string) => caller.get('compose.getConvertedCompose', z.string().min(1), { query: { composeId } }),
    /** Replaces the whole environment text and reads it back. Throws like updateCompose. */
    async saveEnvironment(composeId: string, env: string) {
      const answer = await caller.post(
        'compose.saveEnvironment',
        bodies.saveEnvironmentBody,
        { composeId, env },
        z.literal(true).optional(),
      );
      if (answer === undefined) throw noSuchCompose('compose.saveEnvironment');
      return afterWrite(async () => {
        const kept = await composeOne(composeId);
        requireKept('compose.saveEnvironment', { env }, { env: kept.env ?? '' });
        return kept;
      });
    },
    /** Expands a template without storing anything. */
    async previewTemplate(template: { compose: string; toml: string }, appName: string) {
      const body = { base64: encodeTemplate(template), appName };
      return announce(
        await caller.post('compose.previewTemplate', bodies.previewTemplateBody, body, answers.templatePreview, { readOnly: true }),
      );
    },
    /** Wipes mounts and domains first, then parses: only for a fresh service, after a preview. A refusal leaves doubt. Answers the service as read back. */
    async importTemplate(composeId: string, template: { compose: string; toml: string }) {
      const body = { composeId, base64: encodeTemplate(template) };
      const answer = await caller.post('compose.import', bodies.importTemplateBody, body, answers.accepted, {
        halfway: true,
        timeoutMs: 60_000,
      });
      requireAccepted('compose.import', answer);
      return afterWrite(() => composeOne(composeId));
    },
    /** Queues a deployment; no id comes back, so title and description carry the operation id. */
    async deploy(body: bodies.Deploy): Promise<void> {
      requireAccepted('compose.deploy', await caller.post('compose.deploy', bodies.deployBody, body, answers.accepted));
    },
    /** Runs docker inside the request. */
    async stop(composeId: string): Promise<void> {
      await caller.post('compose.stop', bodies.byCompose, { composeId }, z.literal(true), { timeoutMs: DOCKER_TIMEOUT_MS });
    },
    /** Runs `up` on the files of the last deployment; does not rewrite the environment. */
    async start(composeId: string): Promise<void> {
      await caller.post('compose.start', bodies.byCompose, { composeId }, z.literal(true), { timeoutMs: DOCKER_TIMEOUT_MS });
    },
    /** The row goes first and docker's errors are swallowed; bind-mounted data is destroyed either way. */
    async deleteCompose(body: bodies.DeleteCompose): Promise<void> {
      const gone = z.looseObject({ composeId: z.string() }).optional();
      await caller.post('compose.delete', bodies.deleteComposeBody, body, gone, { timeoutMs: DOCKER_TIMEOUT_MS, halfway: true });
    },
    /** The answer to an update is the old row, so the new one is read. Throws DOKPLOY_WRITE_NOT_KEPT. */
    async updateMount(body: { mountId: string; content: string }) {
      await caller.post('mounts.update', bodies.updateMountBody, body, answers.mountRow.optional());
      return keptMount('mounts.update', body.mountId, { content: body.content });
    },
    async createFileMount({ composeId, filePath, content }: { composeId: string; filePath: string; content: string }) {
      const body = { type: 'file', filePath, content, mountPath: '/', serviceType: 'compose', serviceId: composeId } as const;
      const { mountId } = await caller.post('mounts.create', bodies.createMountBody, body, answers.mountRow);
      return keptMount('mounts.create', mountId, { filePath, content });
    },
    async removeMount(mountId: string): Promise<void> {
      await caller.post('mounts.remove', bodies.byMount, { mountId }, answers.mountRow.optional());
    },
    /** Service names of the compose text, also before the first deployment. */
    loadServices: (composeId: string) => caller.get('compose.loadServices', z.array(z.string()), { query: { composeId, type: 'fetch' } }),
    mounts: (composeId: string) =>
      caller.get('mounts.listByServiceId', z.array(answers.mountRow), { query: { serviceType: 'compose', serviceId: composeId } }),
  };
}

function domainCalls(caller: Caller) {
  const domain = (domainId: string) => caller.get('domain.one', answers.domainRow, { query: { domainId } });
  const keptDomain = (procedure: string, domainId: string, written: Record<string, unknown>) =>
    afterWrite(async () => {
      const kept = await domain(domainId);
      requireKept(procedure, written, kept);
      return kept;
    });
  return {
    domain,
    domains: (composeId: string) => caller.get('domain.byComposeId', z.array(answers.domainRow), { query: { composeId } }),
    /** Duplicate hosts and unknown services are accepted there: check before. Reads back; takes effect at the next deployment. */
    async createDomain(body: bodies.CreateDomain) {
      const { domainId } = await caller.post(
        'domain.create',
        bodies.createDomainBody,
        { ...body, domainType: 'compose' },
        answers.domainRow,
      );
      return keptDomain('domain.create', domainId, body);
    },
    /** Reads back; takes effect at the next deployment. Throws DOKPLOY_WRITE_NOT_KEPT. */
    async updateDomain(body: bodies.UpdateDomain) {
      await caller.post('domain.update', bodies.updateDomainBody, body, answers.domainRow.optional());
      return keptDomain('domain.update', body.domainId, body);
    },
    async deleteDomain(domainId: string): Promise<void> {
      await caller.post('domain.delete', bodies.byDomain, { domainId }, answers.domainRow.optional());
    },
  };
}

function deploymentCalls(caller: Caller, connection: DokployConnection, onSecret: DokployClientOptions['onSecret']) {
  /** Newest first; the server keeps about ten. */
  const deployments = (composeId: string) =>
    caller.get('deployment.allByCompose', z.array(answers.deploymentRow), { query: { composeId } });
  const queue = () => caller.get('deployment.queueList', z.array(answers.queueRow));
  return {
    deployments,
    queue,
    /** Rows, queue, rows again: between two reads a job may move from the queue to a row. After ten later deployments its row is gone too. */
    async findDeployment(composeId: string, operationId: string): Promise<FoundDeployment> {
      const row = findRow(await deployments(composeId), operationId);
      if (row) return { where: 'row', row };
      const queued = findQueued(await queue(), composeId, operationId);
      if (queued) return { where: 'queue', state: queued.state };
      const moved = findRow(await deployments(composeId), operationId);
      return moved ? { where: 'row', row: moved } : { where: 'nowhere' };
    },
    /** The last lines of a deployment's or schedule's log, with what looks like a secret taken out; still untrusted text. */
    async deploymentLog(deploymentId: string, tail = 100): Promise<string> {
      const text = await caller.get('deployment.readLogs', z.string().optional(), { query: { deploymentId, tail } });
      return redactText(text ?? '', [connection.apiKey]);
    },
    /** Containers of a service by its appName; `unknown` for an empty answer. */
    async containers(appName: string, serverId?: string | null): Promise<Containers> {
      const query = { appName, appType: 'docker-compose', serverId: serverId ?? undefined };
      const rows = await caller.get('docker.getContainersByAppNameMatch', z.array(answers.containerAnswer).optional(), { query });
      return toContainers(rows, appName);
    },
    /** When Docker last started a container; undefined when Dokploy cannot ask Docker, which it answers with nothing. */
    async containerStart(containerId: string, serverId?: string | null): Promise<string | undefined> {
      const query = { containerId, serverId: serverId ?? undefined };
      const found = await caller.get('docker.getConfig', answers.containerConfig.optional(), { query });
      return found?.State.StartedAt;
    },
    /** Image and variables that a container runs with, each value announced as a secret where its name says so; undefined like containerStart. */
    async containerConfig(containerId: string, serverId?: string | null): Promise<{ image: string; env: string[] } | undefined> {
      const query = { containerId, serverId: serverId ?? undefined };
      const found = await caller.get('docker.getConfig', answers.containerConfig.optional(), { query });
      if (!found?.Config) return undefined;
      const { Image: image, Env: env } = found.Config;
      announceSecrets({ env: env.join('\n') }, onSecret);
      return { image, env };
    },
    /** Runs docker inside the request; every failure of docker is swallowed there: ask `containerStart`. */
    async restartContainer(containerId: string, serverId?: string | null): Promise<void> {
      const body = serverId == null ? { containerId } : { containerId, serverId };
      await caller.post('docker.restartContainer', bodies.byContainer, body, z.unknown().optional(), { timeoutMs: RESTART_TIMEOUT_MS });
    },
    /** As `restartContainer`: what docker did is told by `containers` alone. */
    async switchContainer(containerId: string, to: 'running' | 'exited', serverId?: string | null): Promise<void> {
      const body = serverId == null ? { containerId } : { containerId, serverId };
      const procedure = to === 'running' ? 'docker.startContainer' : 'docker.stopContainer';
      await caller.post(procedure, bodies.byContainer, body, z.unknown().optional(), { timeoutMs: RESTART_TIMEOUT_MS });
    },
    /** Docker's own failure comes as a 200 with its words: that is `unknown`. */
    async containerLog(composeId: string, containerId: string, tail = 100, since = 'all'): Promise<ContainerLog> {
      const text = await caller.get('compose.readLogs', z.string().optional(), { query: { composeId, containerId, tail, since } });
      if (text === undefined || dockerFailure.test(text))
        return { state: 'unknown', say: 'Docker could not be asked for the log of this container.' };
      return { state: 'known', text: redactText(text, [connection.apiKey]) };
    },
  };
}

function scheduleCalls(caller: Caller) {
  return {
    schedules: (composeId: string) =>
      caller.get('schedule.list', z.array(answers.scheduleRow), { query: { id: composeId, scheduleType: 'compose' } }),
    /** A disabled schedule with a date that never comes: run by hand it is `docker exec`. The command is stored and logged: no secrets in it. */
    createSchedule: ({ shellType = 'bash', ...body }: bodies.CreateSchedule) =>
      caller.post(
        'schedule.create',
        bodies.createScheduleBody,
        { ...body, shellType, cronExpression: '0 0 31 2 *', scheduleType: 'compose', enabled: false },
        answers.scheduleRow,
      ),
    /** Runs inside the request; `true` (before 0.29.14) says only that it ran. */
    runSchedule: (scheduleId: string, timeoutMs = DOCKER_TIMEOUT_MS) =>
      caller.post('schedule.runManually', bodies.bySchedule, { scheduleId }, answers.scheduleRun, { timeoutMs }),
    async deleteSchedule(scheduleId: string): Promise<void> {
      await caller.post('schedule.delete', bodies.bySchedule, { scheduleId }, z.literal(true).optional());
    },
  };
}

function noSuchCompose(procedure: string): AppError {
  return new AppError('DOKPLOY_NOT_FOUND', {
    message: `Dokploy answered ${procedure} with nothing, which it does when the service does not exist.`,
    fix: 'It may have been removed; look in Dokploy.',
    details: { procedure },
  });
}

function requireAccepted(procedure: string, answer: z.infer<typeof answers.accepted>): void {
  if (answer.success) return;
  throw new AppError('DOKPLOY_REFUSED', {
    message: `Dokploy answered ${procedure} with success: false.`,
    fix: 'Look at Dokploy’s own log.',
    applied: 'unknown',
    details: { procedure },
  });
}
