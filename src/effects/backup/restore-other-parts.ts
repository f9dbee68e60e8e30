/** What a backup holds beside databases, and what a restore makes of it: objects and functions come back, an environment is only compared. */
import type { Warning } from '../../../machines/effects/shapes.ts';
import { AppError } from '../../errors.ts';
import type { EffectContext, TargetRecord } from '../handler.ts';
import type { DatabaseContents } from './database-contents.ts';
import type { BackupDeps } from './deps.ts';
import { type EnvironmentDocument, environmentOf, readEnvironment } from './environment.ts';
import { functionsOf, functionsSilence } from './functions-part.ts';
import { objectsOf } from './restore-objects.ts';
import { storageAccess } from './storage-objects.ts';
import type { OpenedBackup } from './verify.ts';

type OtherParts = { objects: boolean; functions: boolean; warnings: Warning[] };

/** One schema alone says nothing of objects, functions and the environment: they stay as they are. */
export const noOtherParts: OtherParts = { objects: false, functions: false, warnings: [] };

type Chosen = { target: string; inPlace: boolean; contents: DatabaseContents };

export async function planOtherParts(deps: BackupDeps, ctx: EffectContext, opened: OpenedBackup, chosen: Chosen): Promise<OtherParts> {
  const warnings: Warning[] = [];
  const record = await ctx.target(chosen.target);
  const lists = chosen.contents.catalog.relations.some(({ schema, name }) => schema === 'storage' && name === 'objects');
  const held = lists && objectsOf(opened.manifest) !== undefined;
  const reachable = held && chosen.inPlace && (await storageAccess(ctx, record)) !== undefined;
  if (held && !reachable)
    warnings.push({
      code: 'OBJECTS_NOT_RESTORED',
      say: chosen.inPlace
        ? 'The bytes of storage objects in the backup are not brought back: the target has no address or no service key.'
        : 'The bytes of storage objects in the backup are not brought back beside: the storage service reads the database in use only.',
    });
  const file = opened.manifest.files.find(({ kind, role }) => kind === 'environment' && role === 'data');
  if (file && record.dokploy) warnings.push(...(await environmentWarnings(deps, ctx, opened, file, record)));
  const functions = await planFunctions(deps, ctx, opened, chosen, record);
  return { objects: reachable, functions: functions === true, warnings: [...warnings, ...(functions === true ? [] : functions)] };
}

/** True when they can be brought back; else what is to be told. */
async function planFunctions(
  deps: BackupDeps,
  ctx: EffectContext,
  { manifest }: OpenedBackup,
  { inPlace }: Chosen,
  record: TargetRecord,
): Promise<true | Warning[]> {
  if (functionsOf(manifest) === undefined) return [];
  const lack = inPlace
    ? await functionsSilence(deps, ctx, record)
    : 'they belong to the database in use, and beside it none runs functions.';
  if (lack === undefined) return true;
  return [{ code: 'FUNCTIONS_NOT_RESTORED', say: `The files of the edge functions in the backup are not brought back: ${lack}` }];
}

async function environmentWarnings(
  deps: BackupDeps,
  ctx: EffectContext,
  opened: OpenedBackup,
  file: OpenedBackup['manifest']['files'][number],
  record: Awaited<ReturnType<EffectContext['target']>>,
): Promise<Warning[]> {
  const then = await environmentOf(opened, file);
  const now = await readEnvironment(deps, ctx, record).catch((error: unknown) => {
    if (ctx.signal.aborted || !(error instanceof AppError)) throw error;
    return undefined;
  });
  if (!now)
    return [{ code: 'ENVIRONMENT_UNKNOWN', say: 'What the environment is now could not be read, so it was not compared with the backup.' }];
  const differs = differencesOf(then, now);
  if (differs.length === 0) return [];
  const [shown, more] = [differs.slice(0, 12), differs.length - 12];
  return [
    {
      code: 'ENVIRONMENT_DIFFERS',
      say: `A restore leaves the environment alone; since the backup there changed: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}. An earlier configuration comes back with the workflow restore-config.`,
    },
  ];
}

/** Names alone: variables, `compose text`, `files`. Pure. */
export function differencesOf(then: EnvironmentDocument, now: EnvironmentDocument): string[] {
  const valuesOf = ({ env }: EnvironmentDocument) =>
    new Map([...env.matchAll(/^(?:export\s+)?([A-Za-z_]\w*)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value.trimEnd()]));
  const [before, after] = [valuesOf(then), valuesOf(now)];
  const filesOf = ({ mounts }: EnvironmentDocument) =>
    JSON.stringify(mounts.map(({ type, filePath, content }) => [type ?? '', filePath ?? '', content ?? '']).sort());
  return [
    ...[...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name)).sort(),
    ...(then.composeFile === now.composeFile ? [] : ['compose text']),
    ...(filesOf(then) === filesOf(now) ? [] : ['files']),
  ];
}
