/**
 * Writing a configuration, deploying it, and going back. Invariants:
 * 1. A part is written only over what the plan expects there, and taken back only over what the plan wrote (E9).
 * 2. A deployment takes what is stored: whoever takes a deployment back puts the earlier texts back first, then deploys those.
 * 3. A deployment that Dokploy calls an error and that made no container anew has changed nothing; any other verdict is left to health.
 */
import * as contract from '../../../machines/effects/change.ts';
import { AppError } from '../../errors.ts';
import type { DokployClient } from '../dokploy/client.ts';
import { followDeployment } from '../dokploy/deploy-effects.ts';
import { judgeHealth } from '../dokploy/health.ts';
import type { ComposeOne } from '../dokploy/schemas.ts';
import { changedBySomebodyElse, type DokployDeps, openDokploy, orMissing, signOf } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { quoteVendorText } from '../http/vendor-text.ts';
import { putDatabase } from './database/write.ts';
import { type ChangeDocument, readChange } from './document.ts';
import { type Found, partsOf } from './parts.ts';

export type ChangeDeps = DokployDeps & {
  /** How long a deployment may run, in ms. Default 20 min. */
  deployPatienceMs?: number;
  /** How long its services may take to become healthy, in ms. Default 10 min. */
  healthTimeoutMs?: number;
};

type Input = { target: string; dokploy: string; composeId: string; appName: string; plan: string; planHash: string };

export function writeConfiguration(deps: ChangeDeps) {
  return defineHandler(contract.writeConfiguration, {
    /** The earlier texts stand word for word in the plan; here only which of them was found. */
    async prepare(ctx, input): Promise<{ found: Record<string, Found> }> {
      const { client, document } = await open(deps, ctx, input);
      const row = await client.composeOne(input.composeId);
      return { found: Object.fromEntries(partsOf(document).map((part) => [part.name, part.judge(row)])) };
    },
    async run(ctx, input) {
      const { client, document } = await open(deps, ctx, input);
      return { written: await putParts(client, document, 'write', await client.composeOne(input.composeId)) };
    },
    async probe(ctx, input): Promise<Probe<{ written: string[] }>> {
      const { client, document } = await open(deps, ctx, input);
      const row = await orMissing(client.composeOne(input.composeId));
      if (!row) return { state: 'absent' };
      const parts = partsOf(document);
      const found = parts.map((part) => part.judge(row));
      if (found.every((state) => state === 'after')) return { state: 'applied', output: { written: parts.map(({ name }) => name) } };
      if (found.every((state) => state === 'before')) return { state: 'absent' };
      // Judged again, and refused with the comparison, by the run or undo that follows.
      return { state: 'partial', say: 'the configuration is neither the earlier nor the planned one.' };
    },
    async undo(ctx, input) {
      const { client, document } = await open(deps, ctx, input);
      const row = await orMissing(client.composeOne(input.composeId));
      if (row) await putParts(client, document, 'restore', row);
    },
  });
}

async function open(deps: ChangeDeps, ctx: EffectContext, input: Input): Promise<{ client: DokployClient; document: ChangeDocument }> {
  const document = await readChange(ctx, input);
  return { client: await openDokploy(deps, ctx, input.dokploy), document };
}

/** All parts are judged before the first is written. Throws CHANGED_BY_SOMEBODY_ELSE with the three versions. */
async function putParts(client: DokployClient, document: ChangeDocument, how: 'write' | 'restore', row: ComposeOne): Promise<string[]> {
  const parts = partsOf(document);
  const strange = parts.filter((part) => part.judge(row) === 'foreign');
  const [first] = strange;
  if (first) {
    const others = strange.length > 1 ? ` and ${strange.length - 1} more` : '';
    throw changedBySomebodyElse(
      `${capital(first.name)}${others} of "${document.name}"`,
      Object.assign({}, ...strange.map((part) => part.compare(row))),
    );
  }
  const wanted: Found = how === 'write' ? 'after' : 'before';
  const written: string[] = [];
  for (const part of parts) {
    if (part.judge(row) === wanted) continue;
    await part[how](client, row);
    written.push(part.name);
  }
  return written;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

type DeployImage = { deploymentIds: string[]; containers: Record<string, string> | null };

export function redeploy(deps: ChangeDeps) {
  return defineHandler(contract.redeploy, {
    async prepare(ctx, input): Promise<DeployImage> {
      const { client, document } = await open(deps, ctx, input);
      const deploymentIds = (await client.deployments(input.composeId)).map((row) => row.deploymentId);
      return { deploymentIds, containers: await containersOf(client, document) };
    },
    async run(ctx, input, before) {
      const { client, document } = await open(deps, ctx, input);
      const row = await client.composeOne(input.composeId);
      const { deployed } = document;
      const wrong = [(row.env ?? '') === deployed.env ? '' : 'environment', row.composeFile === deployed.compose ? '' : 'compose file'];
      const fields = wrong.filter((field) => field !== '');
      if (fields.length > 0)
        throw changedBySomebodyElse(`The ${fields.join(' and the ')} of "${document.name}"`, { composeId: input.composeId, fields });
      const ended = await deployAndFollow(deps, ctx, client, document, ctx.key);
      const recreated = renewed(before.containers, await containersOf(client, document));
      if (ended.status === 'error' && changedNothing(document, recreated))
        throw await deploymentFailed(client, document, ended.deploymentId);
      return { ...ended, recreated };
    },
    async probe(ctx, input, before) {
      const { client, document } = await open(deps, ctx, input);
      const recreated = renewed(before?.containers ?? null, await containersOf(client, document));
      return probeDeployment(client, input.composeId, ctx.key, before?.deploymentIds ?? [], ({ deploymentId, status }) => {
        if (status === 'error' && changedNothing(document, recreated)) return { state: 'absent' };
        if (status === 'running' && changedNothing(document, recreated))
          return { state: 'unknown', say: 'the deployment runs and has made no container anew yet.' };
        return { state: 'applied', output: { deploymentId, status, recreated } };
      });
    },
    async undo(ctx, input) {
      const { client, document } = await open(deps, ctx, input);
      const row = await orMissing(client.composeOne(input.composeId));
      if (row) await goBack(deps, ctx, client, document, `undo:${ctx.key}`, row);
    },
  });
}

export function returnConfiguration(deps: ChangeDeps) {
  return defineHandler(contract.returnConfiguration, {
    async prepare(ctx, input): Promise<{ deploymentIds: string[] }> {
      const { client } = await open(deps, ctx, input);
      return { deploymentIds: (await client.deployments(input.composeId)).map((row) => row.deploymentId) };
    },
    async run(ctx, input) {
      const { client, document } = await open(deps, ctx, input);
      return { deploymentId: await goBack(deps, ctx, client, document, ctx.key, await client.composeOne(input.composeId)) };
    },
    async probe(ctx, input, before) {
      const { client } = await open(deps, ctx, input);
      return probeDeployment(client, input.composeId, ctx.key, before?.deploymentIds ?? [], ({ deploymentId }) => ({
        state: 'applied',
        output: { deploymentId },
      }));
    },
    // The earlier configuration stands and runs: there is nothing further back to go to.
    async undo() {},
  });
}

/** Puts the earlier texts back, deploys them under this operation and waits until the services are well. */
async function goBack(
  deps: ChangeDeps,
  ctx: EffectContext,
  client: DokployClient,
  document: ChangeDocument,
  operation: string,
  row: ComposeOne,
): Promise<string> {
  // First what the database keeps: the earlier containers could not log in before it.
  if (document.database) await putDatabase(deps, ctx, document, 'before');
  await putParts(client, document, 'restore', row);
  const { deploymentId } = await deployAndFollow(deps, ctx, client, document, operation);
  await untilHealthy(deps, ctx, client, document, deploymentId);
  return deploymentId;
}

/** Queues once per operation, whatever was interrupted in between. */
async function deployAndFollow(deps: ChangeDeps, ctx: EffectContext, client: DokployClient, document: ChangeDocument, operation: string) {
  const { composeId } = document;
  const found = await client.findDeployment(composeId, operation);
  const cancelled = found.where === 'row' && found.row.status === 'cancelled';
  const known = await client.deployments(composeId);
  const earlier = new Set(
    known.filter((row) => cancelled || found.where !== 'row' || row.deploymentId !== found.row.deploymentId).map((row) => row.deploymentId),
  );
  if (found.where === 'nowhere' || cancelled) {
    const sign = operation === ctx.key ? signOf(ctx) : `capstan ${operation}`;
    await client.deploy({ composeId, title: `${document.workflow} ${document.target} (${operation})`, description: sign });
  }
  const patience = deps.deployPatienceMs ?? 20 * 60_000;
  const until = ctx.now() + patience;
  return followDeployment(ctx, client, composeId, earlier, operation, () => {
    if (ctx.now() >= until) throw stuck(document, patience);
  });
}

async function probeDeployment<T>(
  client: DokployClient,
  composeId: string,
  operation: string,
  earlier: readonly string[],
  judge: (ended: { deploymentId: string; status: 'running' | 'done' | 'error' | 'cancelled' }) => Probe<T>,
): Promise<Probe<T>> {
  if (!(await orMissing(client.composeOne(composeId)))) return { state: 'absent' };
  const found = await client.findDeployment(composeId, operation);
  switch (found.where) {
    case 'row':
      if (found.row.status === 'cancelled') return { state: 'partial', say: 'the deployment was cancelled.' };
      return judge({ deploymentId: found.row.deploymentId, status: found.row.status });
    case 'queue':
      return { state: 'unknown', say: 'the deployment is queued and has not begun.' };
    case 'nowhere': {
      const rows = await client.deployments(composeId);
      // Dokploy keeps about ten: where none of the earlier ones is left, ours may have gone with them.
      const forgotten = earlier.length > 0 && rows.length >= 10 && !rows.some(({ deploymentId }) => earlier.includes(deploymentId));
      return forgotten ? judge({ deploymentId: 'forgotten', status: 'done' }) : { state: 'absent' };
    }
    default:
      return found satisfies never;
  }
}

/** Throws RETURN_UNHEALTHY after a return, SERVICES_UNHEALTHY where no deployment was made. */
export async function untilHealthy(
  deps: ChangeDeps,
  ctx: EffectContext,
  client: DokployClient,
  document: ChangeDocument,
  deploymentId: string | null,
): Promise<void> {
  for (const until = ctx.now() + (deps.healthTimeoutMs ?? 600_000); ; await ctx.sleep(2_000)) {
    const health = judgeHealth(document.services, await client.containers(document.appName, document.serverId));
    if (health.verdict === 'healthy') return;
    ctx.progress(health.say);
    if (ctx.now() < until) continue;
    const waiting = health.waiting.map(({ service, state }) => `${service} (${state})`).join(', ');
    const done =
      deploymentId === null
        ? `Containers of "${document.name}" were restarted`
        : `The earlier configuration of "${document.name}" was put back and deployed`;
    throw new AppError(deploymentId === null ? 'SERVICES_UNHEALTHY' : 'RETURN_UNHEALTHY', {
      message: `${done}, but not every service became healthy: ${waiting}.`,
      fix: 'Look at the containers in Dokploy; retry to wait longer.',
      retry: 'ask',
      applied: 'unknown',
      details: { ...(deploymentId === null ? {} : { deploymentId }), services: health.waiting },
    });
  }
}

/** Containers were to be made anew, Docker could be asked, and not one was. */
function changedNothing({ recreated: planned }: ChangeDocument, recreated: string[] | null): boolean {
  return recreated?.length === 0 && planned?.length !== 0;
}

/** Service to container id; null when Docker could not be asked. */
async function containersOf(client: DokployClient, { appName, serverId }: ChangeDocument): Promise<Record<string, string> | null> {
  const found = await client.containers(appName, serverId);
  if (found.state === 'unknown') return null;
  return Object.fromEntries(found.rows.flatMap(({ service, containerId }) => (service === null ? [] : [[service, containerId]])));
}

function renewed(before: Record<string, string> | null, after: Record<string, string> | null): string[] | null {
  if (!before || !after) return null;
  return Object.entries(after).flatMap(([service, id]) => (before[service] === id ? [] : [service]));
}

async function deploymentFailed(client: DokployClient, document: ChangeDocument, deploymentId: string): Promise<AppError> {
  const log = await client.deploymentLog(deploymentId, 40).catch(() => '');
  return new AppError('DEPLOYMENT_FAILED', {
    message: `The deployment of "${document.name}" failed before any container was made anew: the instance runs with its earlier configuration.`,
    fix: 'Read the log in the details; roll back to the review, or mend what it names and retry.',
    details: { deploymentId, log: quoteVendorText(log.slice(-4_000), [], 2_000) },
  });
}

function stuck(document: ChangeDocument, patienceMs: number): AppError {
  return new AppError('DEPLOYMENT_STUCK', {
    message: `The deployment of "${document.name}" has not ended after ${Math.round(patienceMs / 60_000)} minutes; Dokploy has no safe way to cancel it.`,
    fix: 'Look at its log in Dokploy; restarting Dokploy ends a hanging deployment. Then retry, or roll back to the review.',
    applied: 'unknown',
  });
}
