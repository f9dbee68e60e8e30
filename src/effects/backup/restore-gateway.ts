/**
 * The gateway of a target closes for the time in which its database is replaced. Invariants:
 * 1. Dokploy swallows every failure of docker: only the state that Docker lists counts.
 * 2. Where no gateway can be reached from here, that is said; the database then refuses by itself, and nothing pretends to be closed.
 */
import * as contract from '../../../machines/effects/restore.ts';
import { AppError } from '../../errors.ts';
import type { DokployClient } from '../dokploy/client.ts';
import type { Container } from '../dokploy/containers.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { openService } from '../target/place.ts';
import type { BackupDeps } from './deps.ts';
import { openPlan } from './restore-document.ts';

type Switch = 'running' | 'exited';
type Opened = { client: DokployClient; serverId: string | null; appName: string; service: string };

const gateways = ['kong', 'api-gw'];
/** Docker works inside the request, so what is not told by then did not take place. */
const patienceMs = 15_000;

/** Service whose container stands before all others, or why there is none that Capstan can close. */
export async function gatewayOf(deps: BackupDeps, ctx: EffectContext, target: string): Promise<{ service: string | null; say: string }> {
  const record = await ctx.target(target);
  if (!record.dokploy)
    return {
      service: null,
      say: 'The target is known by its address alone, so its gateway cannot be closed from here: callers get errors from the services while the database is away.',
    };
  const { client, row } = await openService(deps, ctx, target);
  const found = (await containersOf(client, row.appName, row.serverId)).find(
    ({ service }) => service !== null && gateways.includes(service),
  );
  if (!found?.service)
    return {
      service: null,
      say: 'The target has no container of a gateway (kong, api-gw): callers get errors from the services meanwhile.',
    };
  return {
    service: found.service,
    say: `The container of ${found.service} is stopped, so that nobody outside reaches the services meanwhile.`,
  };
}

export function closeGateway(deps: BackupDeps) {
  return defineHandler(contract.closeGateway, {
    /** An undo starts no others. */
    prepare: (ctx, input) => runningIn(deps, ctx, input),
    async run(ctx, input) {
      const opened = await openGatewayOf(deps, ctx, input);
      if (!opened) return none(ctx);
      await switchAll(ctx, opened, 'exited');
      return closed(ctx, opened);
    },
    async probe(ctx, input, { running }: { running: string[] }): Promise<Probe<ReturnType<typeof closed>>> {
      const opened = await openGatewayOf(deps, ctx, input);
      if (!opened) return { state: 'applied', output: none(ctx) };
      const up = (await gatewayRows(opened)).filter(({ state }) => state === 'running').length;
      if (up === 0) return { state: 'applied', output: closed(ctx, opened) };
      return up === running.length ? { state: 'absent' } : { state: 'partial', say: `${up} containers of the gateway still run.` };
    },
    async undo(ctx, input, { running }: { running: string[] }) {
      const opened = await openGatewayOf(deps, ctx, input);
      if (opened && running.length > 0) await switchAll(ctx, opened, 'running');
    },
  });
}

export function openGateway(deps: BackupDeps) {
  return defineHandler(contract.openGateway, {
    prepare: (ctx, input) => runningIn(deps, ctx, input),
    async run(ctx, input) {
      const opened = await openGatewayOf(deps, ctx, input);
      if (opened) await switchAll(ctx, opened, 'running');
      return { gateway: opened ? ('open' as const) : ('none' as const), downMs: downOf(ctx, input) };
    },
    async probe(ctx, input): Promise<Probe<{ gateway: 'open' | 'none'; downMs: number | null }>> {
      const opened = await openGatewayOf(deps, ctx, input);
      const downMs = downOf(ctx, input);
      if (!opened) return { state: 'applied', output: { gateway: 'none', downMs } };
      const up = (await gatewayRows(opened)).every(({ state }) => state === 'running');
      return up ? { state: 'applied', output: { gateway: 'open', downMs } } : { state: 'absent' };
    },
    /** What comes after in a rollback changes names: nobody shall come in between. */
    async undo(ctx, input, { running }: { running: string[] }) {
      const opened = await openGatewayOf(deps, ctx, input);
      if (opened && running.length === 0) await switchAll(ctx, opened, 'exited');
    },
  });
}

const closed = (
  ctx: EffectContext,
  { service }: Pick<Opened, 'service'>,
): { gateway: 'closed' | 'none'; say: string; closedAt: string } => ({
  gateway: 'closed',
  say: `The container of ${service} is stopped.`,
  closedAt: new Date(ctx.now()).toISOString(),
});
const none = (ctx: EffectContext) => ({
  gateway: 'none' as const,
  say: 'There is no gateway that can be closed from here.',
  closedAt: new Date(ctx.now()).toISOString(),
});

const downOf = (ctx: EffectContext, { closedAt }: { closedAt: string | null }): number | null =>
  closedAt === null ? null : ctx.now() - Date.parse(closedAt);

async function openGatewayOf(
  deps: BackupDeps,
  ctx: EffectContext,
  input: { plan: string; planHash: string; target: string },
): Promise<Opened | undefined> {
  const { plan } = await openPlan(ctx, input);
  if (plan.gateway === null) return undefined;
  const { client, row } = await openService(deps, ctx, plan.target);
  return { client, serverId: row.serverId, appName: row.appName, service: plan.gateway };
}

/** Containers of the gateway that run now. */
async function runningIn(deps: BackupDeps, ctx: EffectContext, input: Parameters<typeof openGatewayOf>[2]): Promise<{ running: string[] }> {
  const opened = await openGatewayOf(deps, ctx, input);
  const rows = opened ? await gatewayRows(opened) : [];
  return { running: rows.filter(({ state }) => state === 'running').map(({ containerId }) => containerId) };
}

async function gatewayRows({ client, appName, serverId, service }: Opened): Promise<Container[]> {
  return (await containersOf(client, appName, serverId)).filter((row) => row.service === service);
}

async function containersOf(client: DokployClient, appName: string, serverId: string | null): Promise<Container[]> {
  const found = await client.containers(appName, serverId);
  if (found.state === 'known') return found.rows;
  throw new AppError('CONTAINERS_UNKNOWN', {
    message: `Which containers the target has is not known. ${found.say}`,
    fix: 'Check that the instance is deployed and that Docker runs on its machine, then try again.',
    retry: 'later',
  });
}

/** Throws GATEWAY_NOT_SWITCHED when Docker does not tell that it took place. */
async function switchAll(ctx: EffectContext, opened: Opened, to: Switch): Promise<void> {
  const { client, serverId, service } = opened;
  for (const { containerId, state } of await gatewayRows(opened))
    if ((state === 'running') !== (to === 'running')) await client.switchContainer(containerId, to, serverId);
  for (const until = ctx.now() + patienceMs; ; await ctx.sleep(500)) {
    const rows = await gatewayRows(opened);
    if (rows.length > 0 && rows.every(({ state }) => (state === 'running') === (to === 'running'))) return;
    if (ctx.now() < until) continue;
    throw new AppError('GATEWAY_NOT_SWITCHED', {
      message: `Dokploy accepted to ${to === 'running' ? 'start' : 'stop'} ${service}, but Docker does not tell that it did.`,
      fix: 'Look at Docker on the machine (docker ps), then try again.',
    });
  }
}
