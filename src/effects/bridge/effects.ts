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
import { isOurs, openDokploy, orMissing, signOf } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { readDocument, storeDocument } from '../plan-artifact.ts';
import { withSession } from '../postgres/effects.ts';
import { openTargetSession } from '../postgres/target-session.ts';
import { openService } from '../target/place.ts';
import { networkOf } from './network.ts';
import { relayCompose, relayImage, relayPort, relayService } from './relay.ts';
import { createRemoveHandlers, type RemoveDeps } from './remove-effects.ts';
import { type BridgeImage, keySecret, removeService, withoutBridge } from './service.ts';
import { aroundOf, bridgeIdOf, bridgeSign, bridgesIn, type Standing, serviceName, standingBridges } from './standing.ts';
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

/** The run removes it after four hours of use; an hour is left for the approval. */
const lifeMs = 5 * 3_600_000;

export function createBridgeHandlers(deps: RemoveDeps) {
  return {
    ...createRemoveHandlers(deps),
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
          secret: ctx.secrets.mint(keySecret, privateKey),
        };
        const others = await standingBridges(plan.projectId, aroundOf(deps.home, ctx, client, record));
        const taken = others.find((each) => each.host?.toLowerCase() === host.toLowerCase());
        if (taken) throw hostTaken(taken, target);
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
            ...otherNotes(others, target),
            ...(record.facts['bridge'] === undefined
              ? []
              : ['The bridge that this target had is no longer used then: end its run, or remove it afterwards (remove-bridge).']),
          ],
        };
      },
    }),
    'bridge.installRelay@1': defineHandler(contract.installRelay, {
      async prepare(ctx, input): Promise<Ids> {
        const { client, plan } = await open(deps, ctx, input);
        return { ids: (await bridgesIn(client, plan.projectId)).map(({ composeId }) => composeId) };
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
            description: bridgeSign(ctx, deps.home, plan.target),
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
        await deployed(ctx, client, plan, composeId);
        return toOutput(plan, composeId);
      },
      async probe(ctx, input, before): Promise<Probe<Output>> {
        const { client, plan } = await open(deps, ctx, input);
        const ours = await findOurs(client, plan, ctx);
        if (ours === undefined) {
          const strangers = (await bridgesIn(client, plan.projectId)).filter(({ composeId }) => before?.ids.includes(composeId) === false);
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
        if (ours) await removeService(client, ours.composeId);
      },
    }),
    'target.noteBridge@1': defineHandler(contract.noteBridge, {
      async prepare(ctx, input): Promise<BridgeImage> {
        const { secrets, facts } = await ctx.target(input.target);
        return { secrets, facts };
      },
      async run(ctx, input) {
        const { secret, host, until } = await readDocument(ctx, bridgePlan, input);
        const target = await ctx.target(input.target);
        ctx.saveTarget({
          ...target,
          secrets: { ...target.secrets, [keySecret]: secret },
          facts: { ...target.facts, bridge: { url: `https://${host}`, composeId: input.composeId, until } },
        });
        return { noted: true as const };
      },
      // Staged only: it stands there when its outcome was committed, and not before.
      async probe(ctx, input): Promise<Probe<{ noted: true }>> {
        const { secret } = await readDocument(ctx, bridgePlan, input);
        const stands = (await ctx.target(input.target)).secrets[keySecret] === secret;
        return stands ? { state: 'applied', output: { noted: true } } : { state: 'absent' };
      },
      async undo(ctx, input, before) {
        const target = await ctx.target(input.target);
        ctx.saveTarget({ ...target, ...withoutBridge(target), ...earlierBridge(target, before) });
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
        await removeService(client, input.composeId);
        const target = await ctx.target(input.target);
        if (bridgeIdOf(target) === input.composeId) ctx.saveTarget({ ...target, ...withoutBridge(target) });
        return { removed: true as const };
      },
      async probe(ctx, input): Promise<Probe<{ removed: true }>> {
        const { client } = await open(deps, ctx, input);
        if (await orMissing(client.composeOne(input.composeId))) return { state: 'absent' };
        // Without the service a record of it is left over: the next attempt takes it out.
        return bridgeIdOf(await ctx.target(input.target)) === input.composeId
          ? { state: 'partial', say: 'the service is gone, but the target still names it.' }
          : { state: 'applied', output: { removed: true } };
      },
    }),
  };
}

/** The job of an attempt that was cut off may still be under way: it is followed, not queued a second time. Throws BRIDGE_NOT_DEPLOYED. */
async function deployed(ctx: EffectContext, client: DokployClient, plan: Plan, composeId: string): Promise<void> {
  const ours = await client.findDeployment(composeId, ctx.key);
  const rows = await client.deployments(composeId);
  if (rows.some(({ status }) => status === 'done')) return;
  const underWay = ours.where === 'queue' || (ours.where === 'row' && ours.row.status === 'running');
  if (!underWay) await client.deploy({ composeId, title: `Bridge to ${plan.target} (${ctx.key})`, description: signOf(ctx) });
  const ended = rows.filter(({ status }) => status !== 'running').map(({ deploymentId }) => deploymentId);
  const { status } = await followDeployment(ctx, client, composeId, new Set(ended));
  if (status !== 'done') throw notDeployed(plan);
}

const toOutput = ({ host }: Plan, composeId: string): Output => ({ composeId, url: `https://${host}` });

async function open(deps: RemoveDeps, ctx: EffectContext, input: { plan: string; planHash: string }) {
  const plan = await readDocument(ctx, bridgePlan, input);
  return { plan, client: await openDokploy(deps, ctx, plan.dokploy) };
}

async function findOurs(client: DokployClient, plan: Plan, ctx: EffectContext): Promise<ComposeOne | undefined> {
  return (await bridgesIn(client, plan.projectId)).find(({ description }) => isOurs(description, ctx));
}

/** The bridge that the target had before this one, as it stood there. */
function earlierBridge(now: BridgeImage, { secrets, facts }: BridgeImage): Partial<BridgeImage> {
  if (facts['bridge'] === undefined) return {};
  const rest = withoutBridge(now);
  return {
    facts: { ...rest.facts, bridge: facts['bridge'] },
    secrets: secrets[keySecret] === undefined ? rest.secrets : { ...rest.secrets, [keySecret]: secrets[keySecret] },
  };
}

/** What stands there already, with its code and the next step. */
function otherNotes(others: readonly Standing[], target: string): string[] {
  const named = (whose: Standing['whose']) => others.filter((each) => each.whose === whose).map(({ appName }) => appName);
  const [over, foreign] = [named('left over'), named('foreign')];
  return [
    ...(over.length === 0 ? [] : [`BRIDGE_LEFT_OVER: ${over.join(', ')} of this installation, whose use is over: ${removal(target)}.`]),
    ...(foreign.length === 0 ? [] : [`BRIDGE_FOREIGN: ${foreign.join(', ')} of another installation, which is left alone.`]),
  ];
}

const removal = (target: string): string => `capstan run remove-bridge --set target=${target}`;

function hostTaken({ host, whose, why }: Standing, target: string): AppError {
  const first = {
    'left over': `Remove it: ${removal(target)}.`,
    'in use': 'Use that one, or end its run.',
    'another target': 'It belongs to another target.',
    foreign: 'Ask whoever installed it to remove it.',
  };
  return new AppError('BRIDGE_HOST_TAKEN', {
    message: `A bridge stands at ${host} already: ${why}.`,
    fix: `${first[whose]} Or give another host.`,
  });
}

function notDeployed({ host }: Plan): AppError {
  return new AppError('BRIDGE_NOT_DEPLOYED', {
    message: `Dokploy could not deploy the bridge for ${host}.`,
    fix: 'Its deployment log in Dokploy says why: often the image could not be pulled, or the network of the target has another name. Then try again, or roll back.',
  });
}
