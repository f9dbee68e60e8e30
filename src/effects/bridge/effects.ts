/**
 * A relay beside a target. Invariants:
 * 1. What is deployed is the text of the approved plan; the service carries the key of the effect that made it, and only that one is ever deleted.
 * 2. The key pair is made here: the private key is a secret of the target, the compose text holds the public one.
 * 3. Taking it back, and removing it after use, is the deletion of that service, read back.
 */
import { z } from 'zod';
import * as contract from '../../../machines/effects/bridge.ts';
import { AppError } from '../../errors.ts';
import type { DokployClient } from '../dokploy/client.ts';
import { followDeployment } from '../dokploy/deploy-effects.ts';
import type { ComposeOne } from '../dokploy/schemas.ts';
import { type DokployDeps, isOurs, notTakenBack, openDokploy, orMissing, signOf } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe, type TargetRecord } from '../handler.ts';
import { readDocument, storeDocument } from '../plan-artifact.ts';
import { withSession } from '../postgres/effects.ts';
import { openTargetSession } from '../postgres/target-session.ts';
import { openService } from '../target/place.ts';
import { networkOf } from './network.ts';
import { relayCompose, relayImage, relayPort, relayService } from './relay.ts';
import { makeBridgeKeys } from './token.ts';

const bridgePlan = z.strictObject({
  version: z.literal(1),
  kind: z.literal('bridge'),
  target: z.string(),
  dokploy: z.string(),
  environmentId: z.string(),
  projectId: z.string(),
  serverId: z.string().nullable(),
  host: z.string(),
  composeFile: z.string(),
  /** Ms since the epoch: the relay ends by itself. */
  until: z.number(),
  secret: z.string(),
});
type Plan = z.infer<typeof bridgePlan>;
type Output = z.infer<(typeof contract.installRelay)['output']>;
type Ids = { ids: string[] };
type Image = Pick<TargetRecord, 'secrets' | 'facts'>;

const serviceName = 'capstan-bridge';
const secretName = 'bridgeKey';
/** The run removes it after four hours of use; an hour is left for the approval. */
const lifeMs = 5 * 3_600_000;

export function createBridgeHandlers(deps: DokployDeps) {
  return {
    'bridge.planInstallation@1': defineHandler(contract.planInstallation, {
      async run(ctx, { target, host }) {
        const { client, row, dokploy, record } = await openService(deps, ctx, target);
        const network = networkOf(await client.convertedCompose(row.composeId), row.appName);
        const { privateKey, publicKey } = makeBridgeKeys();
        const until = ctx.now() + lifeMs;
        const plan: Plan = {
          version: 1,
          kind: 'bridge',
          target,
          dokploy,
          environmentId: row.environment.environmentId,
          projectId: row.environment.projectId,
          serverId: row.serverId ?? null,
          host,
          composeFile: relayCompose({ network, host, publicKey, until, databasePort: 5432 }),
          until,
          secret: ctx.secrets.mint(secretName, privateKey),
        };
        const others = await bridgesIn(client, plan);
        if (others.some(({ domains }) => domains.some((each) => each.host.toLowerCase() === host.toLowerCase()))) throw hostTaken(host);
        return {
          ...(await storeDocument(ctx, bridgePlan, plan)),
          network,
          image: relayImage,
          until: new Date(until).toISOString(),
          writes: [
            `make the service ${serviceName} in the project of ${target}, joined to the network ${network}`,
            `route https://${host} to it, without any published port`,
            `keep the key that signs its tokens as a secret of ${target}`,
          ],
          notes: [
            'Whoever holds that key can speak to the database; each token that it signs opens one stream, and logins are asked for as ever.',
            ...(others.length > 0
              ? [`${others.length} other bridge(s) stand in that project: ${others.map(({ appName }) => appName).join(', ')}.`]
              : []),
            ...(record.facts['bridge'] === undefined
              ? []
              : ['The bridge that this target had is no longer used; roll its run back to remove it.']),
          ],
        };
      },
    }),
    'bridge.installRelay@1': defineHandler(contract.installRelay, {
      async prepare(ctx, input): Promise<Ids> {
        const { client, plan } = await open(deps, ctx, input);
        return { ids: (await bridgesIn(client, plan)).map(({ composeId }) => composeId) };
      },
      async run(ctx, input) {
        const { client, plan } = await open(deps, ctx, input);
        const found = await findOurs(client, plan, ctx);
        const service =
          found ??
          (await client.createCompose({
            name: serviceName,
            environmentId: plan.environmentId,
            appName: serviceName,
            description: signOf(ctx),
            ...(plan.serverId === null ? {} : { serverId: plan.serverId }),
          }));
        const { composeId } = service;
        await client.updateCompose({ composeId, sourceType: 'raw', composeFile: plan.composeFile });
        if ((await client.domains(composeId)).length === 0)
          await client.createDomain({
            composeId,
            host: plan.host,
            https: true,
            certificateType: 'letsencrypt',
            port: relayPort,
            path: '/',
            serviceName: relayService,
          });
        const earlier = await client.deployments(composeId);
        if (!earlier.some(({ status }) => status === 'done')) {
          await client.deploy({ composeId, title: `Bridge to ${plan.target} (${ctx.key})`, description: signOf(ctx) });
          const { status } = await followDeployment(ctx, client, composeId, new Set(earlier.map(({ deploymentId }) => deploymentId)));
          if (status !== 'done') throw notDeployed(plan);
        }
        return toOutput(plan, composeId);
      },
      async probe(ctx, input, before): Promise<Probe<Output>> {
        const { client, plan } = await open(deps, ctx, input);
        const ours = await findOurs(client, plan, ctx);
        if (ours === undefined) {
          const strangers = (await bridgesIn(client, plan)).filter(({ composeId }) => before?.ids.includes(composeId) === false);
          return strangers.length > 0
            ? { state: 'unknown', say: 'a service of that name has appeared whose description does not carry our key.' }
            : { state: 'absent' };
        }
        const stands = ours.deployments.some(({ status }) => status === 'done');
        return stands
          ? { state: 'applied', output: toOutput(plan, ours.composeId) }
          : { state: 'partial', say: 'the service stands, but is not deployed.' };
      },
      async undo(ctx, input) {
        const { client, plan } = await open(deps, ctx, input);
        const ours = await findOurs(client, plan, ctx);
        if (ours) await remove(client, ours.composeId);
      },
    }),
    'target.noteBridge@1': defineHandler(contract.noteBridge, {
      async prepare(ctx, input): Promise<Image> {
        const { secrets, facts } = await ctx.target(input.target);
        return { secrets, facts };
      },
      async run(ctx, input) {
        const { secret, host, until } = await readDocument(ctx, bridgePlan, input);
        const target = await ctx.target(input.target);
        ctx.saveTarget({
          ...target,
          secrets: { ...target.secrets, [secretName]: secret },
          facts: { ...target.facts, bridge: { url: `https://${host}`, composeId: input.composeId, until } },
        });
        return { noted: true as const };
      },
      // Staged only: it stands there when its outcome was committed, and not before.
      async probe(ctx, input): Promise<Probe<{ noted: true }>> {
        const { secret } = await readDocument(ctx, bridgePlan, input);
        const stands = (await ctx.target(input.target)).secrets[secretName] === secret;
        return stands ? { state: 'applied', output: { noted: true } } : { state: 'absent' };
      },
      async undo(ctx, input, before) {
        const target = await ctx.target(input.target);
        ctx.saveTarget({ ...target, ...without(target), ...earlierBridge(target, before) });
      },
    }),
    'bridge.prove@1': defineHandler(contract.proveBridge, {
      async run(ctx, { target }) {
        // A certificate and a route need their moment.
        for (let tries = 0; ; tries += 1) {
          try {
            return await withSession(openTargetSession(deps, ctx, target, 'read', { rung: 'bridge' }), async ({ role, serverMajor }) => ({
              role,
              postgres: serverMajor,
            }));
          } catch (error) {
            if (!(error instanceof AppError) || error.code === 'ABORTED' || tries >= 20) throw error;
            ctx.progress(`The bridge does not answer yet (${error.code})`);
            await ctx.sleep(tries < 10 ? 1_000 : 5_000);
          }
        }
      },
    }),
    'bridge.removeRelay@1': defineHandler(contract.removeRelay, {
      async prepare(_ctx, input): Promise<{ composeId: string }> {
        return { composeId: input.composeId };
      },
      async run(ctx, input) {
        const { client } = await open(deps, ctx, input);
        await remove(client, input.composeId);
        const target = await ctx.target(input.target);
        if (bridgeOf(target) === input.composeId) ctx.saveTarget({ ...target, ...without(target) });
        return { removed: true as const };
      },
      async probe(ctx, input): Promise<Probe<{ removed: true }>> {
        const { client } = await open(deps, ctx, input);
        if (await orMissing(client.composeOne(input.composeId))) return { state: 'absent' };
        // Without the service a record of it is left over: the next attempt takes it out.
        return bridgeOf(await ctx.target(input.target)) === input.composeId
          ? { state: 'partial', say: 'the service is gone, but the target still names it.' }
          : { state: 'applied', output: { removed: true } };
      },
    }),
  };
}

const toOutput = ({ host }: Plan, composeId: string): Output => ({ composeId, url: `https://${host}` });

async function open(deps: DokployDeps, ctx: EffectContext, input: { plan: string; planHash: string }) {
  const plan = await readDocument(ctx, bridgePlan, input);
  return { plan, client: await openDokploy(deps, ctx, plan.dokploy) };
}

/** Lists show no description, so each of that name is read. */
async function bridgesIn(client: DokployClient, { projectId }: Pick<Plan, 'projectId'>): Promise<ComposeOne[]> {
  const project = await orMissing(client.project(projectId));
  const ids = (project?.environments ?? []).flatMap(({ compose }) => (compose ?? []).map(({ composeId }) => composeId));
  const rows = await Promise.all(ids.map((id) => orMissing(client.composeOne(id))));
  return rows.filter((row): row is ComposeOne => row?.name === serviceName);
}

async function findOurs(client: DokployClient, plan: Plan, ctx: EffectContext): Promise<ComposeOne | undefined> {
  return (await bridgesIn(client, plan)).find(({ description }) => isOurs(description, ctx));
}

async function remove(client: DokployClient, composeId: string): Promise<void> {
  if (await orMissing(client.composeOne(composeId))) await client.deleteCompose({ composeId, deleteVolumes: true });
  if (await orMissing(client.composeOne(composeId)))
    throw notTakenBack('the bridge', 'Delete the service capstan-bridge in Dokploy, then resolve this step.');
}

function bridgeOf({ facts }: Pick<TargetRecord, 'facts'>): unknown {
  return Reflect.get(Object(facts['bridge']), 'composeId');
}

function without({ secrets, facts }: Image): Image {
  const { [secretName]: _key, ...otherSecrets } = secrets;
  const { bridge: _bridge, ...otherFacts } = facts;
  return { secrets: otherSecrets, facts: otherFacts };
}

/** The bridge that the target had before this one, as it stood there. */
function earlierBridge(now: Image, { secrets, facts }: Image): Partial<Image> {
  if (facts['bridge'] === undefined) return {};
  const rest = without(now);
  return {
    facts: { ...rest.facts, bridge: facts['bridge'] },
    secrets: secrets[secretName] === undefined ? rest.secrets : { ...rest.secrets, [secretName]: secrets[secretName] },
  };
}

function hostTaken(host: string): AppError {
  return new AppError('BRIDGE_HOST_TAKEN', {
    message: `A bridge stands at ${host} already.`,
    fix: 'Roll back the run that installed it, or give another host.',
  });
}

function notDeployed({ host }: Plan): AppError {
  return new AppError('BRIDGE_NOT_DEPLOYED', {
    message: `Dokploy could not deploy the bridge for ${host}.`,
    fix: 'Its deployment log in Dokploy says why: often the image could not be pulled, or the network of the target has another name. Then try again, or roll back.',
  });
}
