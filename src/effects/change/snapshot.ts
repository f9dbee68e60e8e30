/**
 * A service as it stands in Dokploy, whole, kept as a snapshot that belongs to the target (design §4). Invariants:
 * 1. A snapshot equal to the newest one is not kept twice.
 * 2. It holds secrets in clear: it lives in an encrypted artifact only.
 */
import { z } from 'zod';
import { takeSnapshot as contract } from '../../../machines/effects/change.ts';
import { generationOf } from '../../doctor/generations.ts';
import { envVariables, parseEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import { toRoute } from '../dokploy/domain-effects.ts';
import type { ComposeOne } from '../dokploy/schemas.ts';
import { type DokployDeps, openDokploy } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type TargetRecord } from '../handler.ts';
import { routeFields } from './document.ts';

const mount = z.strictObject({
  mountId: z.string(),
  type: z.string(),
  filePath: z.string().nullable(),
  content: z.string().nullable(),
  mountPath: z.string(),
});

export const snapshotDocument = z.strictObject({
  version: z.literal(1),
  kind: z.literal('snapshot'),
  target: z.string(),
  dokploy: z.string(),
  serverId: z.string().nullable(),
  composeId: z.string(),
  appName: z.string(),
  name: z.string(),
  env: z.string(),
  compose: z.string(),
  mounts: z.array(mount),
  routes: z.array(routeFields),
  why: z.string(),
  runId: z.string(),
  takenAt: z.string(),
});
export type SnapshotDocument = z.infer<typeof snapshotDocument>;

export function takeSnapshot(deps: DokployDeps) {
  return defineHandler(contract, {
    async run(ctx, input) {
      const place = placeOf(await ctx.target(input.target));
      const client = await openDokploy(deps, ctx, place.dokploy);
      const document = toSnapshot(await client.composeOne(place.composeId), {
        target: input.target,
        dokploy: place.dokploy,
        why: input.why,
        runId: ctx.runId,
        takenAt: new Date(ctx.now()).toISOString(),
      });
      const { composeId, appName, env, mounts, routes } = document;
      const variables = envVariables(parseEnv(env));
      return {
        target: input.target,
        dokploy: place.dokploy,
        composeId,
        appName,
        snapshot: await keepSnapshot(ctx, document),
        generation: generationOf(variables).id,
        variables: variables.size,
        files: mounts.filter(({ type }) => type === 'file').length,
        hosts: routes.map(({ host }) => host),
      };
    },
  });
}

/** Throws TARGET_NOT_ON_DOKPLOY. */
export function placeOf(target: TargetRecord): { dokploy: string; composeId: string } {
  if (target.dokploy) return { dokploy: target.dokploy.name, composeId: target.dokploy.composeId };
  throw new AppError('TARGET_NOT_ON_DOKPLOY', {
    message: `The target ${target.name} does not say which service of which Dokploy it is, so it cannot be changed from here.`,
    fix: 'Add its Dokploy and let it be found: capstan dokploy scan NAME.',
  });
}

type About = Pick<SnapshotDocument, 'target' | 'dokploy' | 'why' | 'runId' | 'takenAt'>;

export function toSnapshot(row: ComposeOne, about: About): SnapshotDocument {
  const { serverId, composeId, appName, name, env, composeFile, mounts, domains } = row;
  return {
    version: 1,
    kind: 'snapshot',
    ...about,
    serverId,
    composeId,
    appName,
    name,
    env: env ?? '',
    compose: composeFile,
    mounts: mounts.map(({ mountId, type, filePath, content, mountPath }) => ({ mountId, type, filePath, content, mountPath })),
    routes: domains.map(toRoute),
  };
}

/** Stores it as the target's; answers the newest one instead where nothing differs. */
export async function keepSnapshot(ctx: EffectContext, document: SnapshotDocument): Promise<string> {
  const newest = (await ctx.snapshots(document.target))[0];
  if (newest && sameConfiguration(await readSnapshot(ctx, newest.reference), document)) return newest.reference;
  return ctx.artifacts.put(`snapshot:${document.target}`, 'application/json', JSON.stringify(snapshotDocument.parse(document)));
}

export async function readSnapshot(ctx: Pick<EffectContext, 'artifacts'>, reference: string): Promise<SnapshotDocument> {
  return snapshotDocument.parse(JSON.parse(await ctx.artifacts.read(reference)));
}

/** Equal in all that a deployment reads. */
export function sameConfiguration(one: SnapshotDocument, other: SnapshotDocument): boolean {
  const core = ({ composeId, env, compose, mounts, routes }: SnapshotDocument) => JSON.stringify([composeId, env, compose, mounts, routes]);
  return core(one) === core(other);
}

/** Throws ENVIRONMENT_UNREADABLE for a text with control characters: editing it would be guessing. */
export function assertReadable({ env, name }: SnapshotDocument): void {
  if (!/[^\P{Cc}\t\r\n]/u.test(env)) return;
  throw new AppError('ENVIRONMENT_UNREADABLE', {
    message: `The environment of "${name}" holds control characters and is no text that can be edited.`,
    fix: 'Put an earlier one back with restore-config, or repair it in Dokploy.',
  });
}
