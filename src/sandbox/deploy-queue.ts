/**
 * The deploy jobs: in memory only, one at a time, without an id in the answer.
 * 1. A waiting job is visible in queueList and nowhere else; its deployment row appears when it starts.
 * 2. Only the ten newest rows of a service are kept, with their logs.
 * 3. A job that really ran is in the journal as job.deploy.
 */
import { deployLogHead, failedDocker, failedEarly } from './deploy-log.ts';
import type { Faults } from './faults.ts';
import type { Journal } from './journal.ts';
import { type ComposeRow, type DeploymentRow, deploymentRow } from './rows.ts';
import { readServices } from './stack/compose-file.ts';
import { fillReferences, parseEnvText } from './stack/env-text.ts';
import { pause, type Stacks } from './stack/stacks.ts';
import type { StackService, State } from './state.ts';

export type Job = {
  id: string;
  name: 'deployments';
  data: {
    composeId: string;
    titleLog: string;
    type: 'deploy' | 'redeploy';
    applicationType: 'compose';
    descriptionLog: string;
    server: boolean;
  };
  timestamp: number;
  processedOn?: number;
  state: 'waiting' | 'active';
};

export type DeployQueue = {
  add(composeId: string, type: Job['data']['type'], title: string, description: string): void;
  /** Deploys at once, beside the queue and without a line in the journal; answers why it failed, or an empty text. */
  bringUp(composeId: string, title: string): Promise<string>;
  /** Newest first. */
  list(): Job[];
  /** Removes the waiting jobs of a service; true if there was one. */
  clean(composeId: string): boolean;
  /** Resolves when no job waits or runs. */
  idle(): Promise<void>;
};

export type QueueOptions = { state: State; faults: Faults; journal: Journal; stacks: Stacks; signal: AbortSignal };

/** A failure before docker was called: a bad reference, an unknown service, a source that is not there. */
class EarlyFailure extends Error {}

const keptDeployments = 10;

/** Adds a running row and forgets the oldest ones (invariant 2). */
export function addDeployment(state: State, row: DeploymentRow): void {
  const { rows } = state;
  rows.deployments.push(row);
  const same = rows.deployments.filter((other) => other.composeId === row.composeId && other.scheduleId === row.scheduleId);
  for (const old of same.slice(0, -keptDeployments)) {
    rows.deployments.splice(rows.deployments.indexOf(old), 1);
    delete rows.deploymentLogs[old.deploymentId];
  }
}

/** The queue of one sandbox. */
export function createDeployQueue({ state, faults, journal, stacks, signal }: QueueOptions): DeployQueue {
  const { rows } = state;
  const jobs: Job[] = [];
  let working: Promise<void> | undefined;

  /** What docker compose would be called with; throws EarlyFailure as Dokploy does before it calls docker. */
  function prepare(compose: ComposeRow): StackService[] {
    const environment = rows.environments.find((row) => row.environmentId === compose.environmentId);
    const project = rows.projects.find((row) => row.projectId === environment?.projectId);
    const sources = { project: parseEnvText(project?.env ?? ''), environment: parseEnvText(environment?.env ?? '') };
    try {
      if (compose.sourceType !== 'raw') throw new Error(`${compose.sourceType} provider not found`);
      const variables = parseEnvText(fillReferences(compose.env ?? '', sources));
      const services = readServices(compose.composeFile, {
        ...variables,
        APP_NAME: compose.appName,
        COMPOSE_PROJECT_NAME: compose.appName,
      });
      const stray = rows.domains.find(
        (row) => row.composeId === compose.composeId && !services.some(({ name }) => name === row.serviceName),
      );
      if (stray !== undefined) {
        throw new Error(`Domain "${stray.host}" is attached to service "${stray.serviceName}" which does not exist in the compose`);
      }
      return services;
    } catch (error) {
      throw new EarlyFailure(error instanceof Error ? error.message : String(error));
    }
  }

  async function carryOut(compose: ComposeRow): Promise<string> {
    try {
      const services = prepare(compose);
      if (faults.take('slow-deploy')) await pause(8_000, signal);
      if (faults.take('stuck-deploy'))
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      if (signal.aborted) return '';
      const own = <T extends { composeId: string | null }>(all: T[]) => all.filter((row) => row.composeId === compose.composeId);
      await stacks.deploy({ compose, services, domains: own(rows.domains), mounts: own(rows.mounts) });
      return '';
    } catch (error) {
      if (error instanceof EarlyFailure) return failedEarly(error.message);
      // Whatever else went wrong ends this job, never the queue.
      return failedDocker(error instanceof Error ? error.message : String(error));
    }
  }

  /** One deployment from its row to its end; undefined when the sandbox ended in the middle or the service was deleted. */
  async function deployOnce(
    compose: ComposeRow,
    title: string,
    description: string,
  ): Promise<{ row: DeploymentRow; failure: string } | undefined> {
    const logFolder = `/etc/dokploy/logs/${compose.appName}`;
    const row = deploymentRow({ title, description, composeId: compose.composeId, scheduleId: null, logFolder });
    addDeployment(state, row);
    rows.deploymentLogs[row.deploymentId] = deployLogHead(
      compose,
      rows.mounts.filter((mount) => mount.composeId === compose.composeId).length,
    );
    compose.composeStatus = 'running';
    state.save();
    const failure = await carryOut(compose);
    // Ended in the middle: the row stays running and becomes cancelled at the next start.
    if (signal.aborted) return undefined;
    // A service deleted meanwhile has taken its rows along.
    if (rows.composes.includes(compose)) {
      rows.deploymentLogs[row.deploymentId] += failure || 'Docker Compose Deployed: ✅\n';
      row.status = failure === '' ? 'done' : 'error';
      row.finishedAt = new Date().toISOString();
      compose.composeStatus = row.status === 'done' ? 'done' : 'error';
    } else await stacks.remove(compose.composeId);
    state.save();
    return { row, failure };
  }

  async function runJob(job: Job): Promise<void> {
    const compose = rows.composes.find((row) => row.composeId === job.data.composeId);
    if (compose === undefined) return;
    const { titleLog: title, descriptionLog: description } = job.data;
    const ended = await deployOnce(compose, title, description);
    if (ended === undefined) return;
    const { row } = ended;
    const identity = { composeId: compose.composeId, deploymentId: row.deploymentId };
    const body = { title, description, composeId: compose.composeId, result: row.status };
    journal.add({ procedure: 'job.deploy', method: 'JOB', status: 0, applied: true, identity, body, rawBody: JSON.stringify(body) });
  }

  async function work(): Promise<void> {
    for (let job = jobs[0]; job !== undefined && !signal.aborted; job = jobs[0]) {
      job.state = 'active';
      job.processedOn = Date.now();
      await runJob(job);
      jobs.shift();
    }
    working = undefined;
  }

  return {
    add(composeId, type, titleLog, descriptionLog) {
      if (faults.take('drop-job')) return;
      rows.jobCount += 1;
      const data = { composeId, titleLog, type, applicationType: 'compose' as const, descriptionLog, server: false };
      jobs.push({ id: `job-${rows.jobCount}`, name: 'deployments', data, timestamp: Date.now(), state: 'waiting' });
      // One tick later, so that the answer to the call is on its way before the row exists.
      working ??= new Promise<void>((resolve) => setImmediate(resolve)).then(work);
    },
    async bringUp(composeId, title) {
      const compose = rows.composes.find((row) => row.composeId === composeId);
      if (compose === undefined) return 'there is no such service';
      const ended = await deployOnce(compose, title, '');
      return ended === undefined ? 'the sandbox is ending' : ended.failure;
    },
    list: () => [...jobs].reverse(),
    clean(composeId) {
      const waiting = jobs.filter((job) => job.state === 'waiting' && job.data.composeId === composeId);
      for (const job of waiting) jobs.splice(jobs.indexOf(job), 1);
      return waiting.length > 0;
    },
    idle: async () => working,
  };
}
