/**
 * Restarting containers. Invariants:
 * 1. Dokploy swallows every failure of docker here: only a later start that Docker itself tells of counts as a restart.
 * 2. A container that was restarted since the before-image is left alone, so a repetition never restarts one twice.
 * 3. Only the containers that were approved are touched: another id under the same name is somebody else's change.
 */
import { z } from 'zod';
import * as contract from '../../../machines/effects/restart.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { quoteVendorText } from '../http/vendor-text.ts';
import { readDocument, storeDocument } from '../plan-artifact.ts';
import { openService, openTarget } from '../target/place.ts';
import type { DokployClient } from './client.ts';
import type { Container } from './containers.ts';
import type { DokployDeps } from './session.ts';

const restartPlan = z.strictObject({
  version: z.literal(1),
  kind: z.literal('restart'),
  target: z.string(),
  composeId: z.string(),
  appName: z.string(),
  serverId: z.string().nullable(),
  containers: z.array(z.strictObject({ service: z.string(), containerId: z.string(), name: z.string() })),
});
type Planned = z.infer<typeof restartPlan>['containers'][number];

type Before = { startedAt: Record<string, string> };
type Output = { restarted: string[] };

/** The database first, so that the others find it; the gateway last, so that it finds the others. */
const order = (service: string): number => (service === 'db' ? 0 : ['kong', 'api-gw'].includes(service) ? 2 : 1);
/** Docker works inside the request, so a start that is not told by then did not take place. */
const restartPatienceMs = 10_000;

export function createRestartHandlers(deps: DokployDeps) {
  return {
    'dokploy.planRestart@1': defineHandler(contract.planRestart, {
      async run(ctx, input) {
        const { client, row, composeId } = await openService(deps, ctx, input.target);
        const found = await client.containers(row.appName, row.serverId);
        if (found.state === 'unknown') throw containersUnknown(input.target, found.say);
        const chosen = chooseContainers(input.target, found.rows, input.service);
        const reference = await storeDocument(ctx, restartPlan, {
          version: 1,
          kind: 'restart',
          target: input.target,
          composeId,
          appName: row.appName,
          serverId: row.serverId,
          containers: chosen.map(({ service, containerId, name }) => ({ service, containerId, name })),
        });
        const databaseRestarts = chosen.some(({ service }) => service === 'db');
        return {
          ...reference,
          containers: chosen.map(({ service, name, state, health }) => ({
            service,
            container: name,
            state: health === 'none' ? state : health,
          })),
          databaseRestarts,
          notes: [
            databaseRestarts
              ? 'The database restarts: every open connection breaks and nothing is answered until it is up again.'
              : 'The database is not restarted.',
            'A restart does not pick up a changed environment, route or compose file: only a redeployment does (rebuild, update-env).',
          ],
        };
      },
    }),
    'dokploy.restartContainers@1': defineHandler(contract.restartContainers, {
      async prepare(ctx, input): Promise<Before> {
        const plan = await readDocument(ctx, restartPlan, input);
        const { client } = await openTarget(deps, ctx, input.target);
        await requireSameContainers(client, plan);
        const startedAt: Record<string, string> = {};
        for (const each of plan.containers) startedAt[each.service] = await startOf(client, each, plan.serverId);
        return { startedAt };
      },
      async run(ctx, input, before): Promise<Output> {
        const plan = await readDocument(ctx, restartPlan, input);
        const { client } = await openTarget(deps, ctx, input.target);
        await requireSameContainers(client, plan);
        for (const [index, each] of plan.containers.entries()) {
          ctx.progress(
            `Restarting ${each.service} (${index + 1} of ${plan.containers.length})`,
            Math.round((100 * index) / plan.containers.length),
          );
          if ((await startOf(client, each, plan.serverId)) !== before.startedAt[each.service]) continue;
          await client.restartContainer(each.containerId, plan.serverId);
          await awaitStart(ctx, client, each, plan.serverId, before);
        }
        return toOutput(plan.containers);
      },
      async probe(ctx, input, before): Promise<Probe<Output>> {
        const plan = await readDocument(ctx, restartPlan, input);
        const { client } = await openTarget(deps, ctx, input.target);
        let restarted = 0;
        for (const each of plan.containers) {
          const now = await client.containerStart(each.containerId, plan.serverId);
          if (now === undefined) return { state: 'unknown', say: `Docker does not tell when ${each.service} was started.` };
          if (now !== before.startedAt[each.service]) restarted += 1;
        }
        if (restarted === plan.containers.length) return { state: 'applied', output: toOutput(plan.containers) };
        return restarted === 0
          ? { state: 'absent' }
          : { state: 'partial', say: `${restarted} of ${plan.containers.length} were restarted.` };
      },
    }),
  };
}

const toOutput = (containers: readonly Planned[]): Output => ({ restarted: containers.map(({ service }) => service) });

type Named = Container & { service: string };

function chooseContainers(target: string, rows: readonly Container[], service: string | null): Named[] {
  const named = rows.filter((row): row is Named => row.service !== null);
  const chosen = service === null ? named : named.filter((row) => row.service === service);
  if (chosen.length > 0) return chosen.toSorted((a, b) => order(a.service) - order(b.service) || a.service.localeCompare(b.service));
  const known = [...new Set(named.map((row) => row.service))].filter((name) => /^[\w.-]{1,64}$/.test(name)).sort();
  throw new AppError('SERVICE_UNKNOWN', {
    message: `${target} has no container of a service ${quoteVendorText(service ?? '')}.`,
    fix: `Known are: ${known.join(', ')}.`,
    details: { known },
  });
}

async function startOf(client: DokployClient, { service, containerId }: Planned, serverId: string | null): Promise<string> {
  const at = await client.containerStart(containerId, serverId);
  if (at !== undefined) return at;
  throw new AppError('CONTAINERS_UNKNOWN', {
    message: `Docker does not tell when the container of ${service} was started, so a restart could not be proven.`,
    fix: 'Check that Docker runs on the machine and that the container is still there; then try again.',
    retry: 'later',
  });
}

/** Dokploy answers with the same nothing whether docker worked or not. */
async function awaitStart(
  ctx: EffectContext,
  client: DokployClient,
  each: Planned,
  serverId: string | null,
  before: Before,
): Promise<void> {
  for (const until = ctx.now() + restartPatienceMs; ; await ctx.sleep(1_000)) {
    const now = await client.containerStart(each.containerId, serverId);
    if (now !== undefined && now !== before.startedAt[each.service]) return;
    if (ctx.now() < until) continue;
    throw new AppError('RESTART_NOT_SEEN', {
      message: `Dokploy accepted the restart of ${each.service}, but Docker tells of no later start.`,
      fix: 'Look at Docker on the machine (docker ps, docker events), then try again.',
    });
  }
}

async function requireSameContainers(client: DokployClient, plan: z.infer<typeof restartPlan>): Promise<void> {
  const found = await client.containers(plan.appName, plan.serverId);
  if (found.state === 'unknown') throw containersUnknown(plan.target, found.say);
  const gone = plan.containers.filter(({ containerId }) => !found.rows.some((row) => row.containerId === containerId));
  if (gone.length === 0) return;
  const services = gone.map(({ service }) => service);
  throw new AppError('CONTAINERS_RECREATED', {
    message: `Since the plan was approved, containers of ${plan.target} were recreated by somebody else: ${services.join(', ')}. None was restarted.`,
    fix: 'Plan the restart anew (retry), if it is still wanted.',
    details: { services },
  });
}

function containersUnknown(target: string, say: string): AppError {
  return new AppError('CONTAINERS_UNKNOWN', {
    message: `Which containers ${target} has is not known. ${say}`,
    fix: 'Check that the instance is deployed and that Docker runs on its machine, then try again.',
    retry: 'later',
  });
}
