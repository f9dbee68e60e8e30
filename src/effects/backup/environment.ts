/** What a Dokploy knows of an instance: environment, compose text, file mounts; and the versions that it runs. */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import { readComposeView } from '../doctor/compose-view.ts';
import { openDokploy } from '../dokploy/session.ts';
import type { EffectContext, TargetRecord } from '../handler.ts';
import type { BackupDeps } from './deps.ts';
import type { ManifestFile } from './manifest.ts';
import { readDocument } from './pipeline.ts';
import type { OpenedBackup } from './verify.ts';

const environmentDocument = z.looseObject({
  format: z.literal('capstan-environment/1'),
  env: z.string(),
  composeFile: z.string(),
  mounts: z.array(z.looseObject({ type: z.string().nullish(), filePath: z.string().nullish(), content: z.string().nullish() })),
});
export type EnvironmentDocument = z.infer<typeof environmentDocument>;

/** As the Dokploy has them now. Throws TARGET_NOT_ON_DOKPLOY and the codes of the client. */
export async function readEnvironment(deps: BackupDeps, ctx: EffectContext, { name, dokploy }: TargetRecord): Promise<EnvironmentDocument> {
  if (!dokploy)
    throw new AppError('TARGET_NOT_ON_DOKPLOY', {
      message: `The target ${name} does not say which service of which Dokploy it is.`,
      fix: 'Leave the environment out of `parts`.',
    });
  const client = await openDokploy(deps, ctx, dokploy.name);
  const { env, composeFile, mounts } = await client.composeOne(dokploy.composeId);
  return environmentDocument.parse({ format: 'capstan-environment/1', env: env ?? '', composeFile: composeFile ?? '', mounts });
}

/** Image of each service, variables filled in from the environment; `{}` where the compose text cannot be read. Pure. */
export function servicesOf({ composeFile, env }: Pick<EnvironmentDocument, 'composeFile' | 'env'>): Record<string, string> {
  const view = readComposeView(composeFile);
  if (view === 'unreadable') return {};
  const values = new Map(
    [...env.matchAll(/^(?:export\s+)?([A-Za-z_]\w*)=["']?([^"'\r\n]*)/gm)].map(([, name = '', value = '']) => [name, value]),
  );
  const filled = (text: string) =>
    text.replace(/\$\{(\w+)(?::?-([^}]*))?\}|\$(\w+)/g, (_, braced, fallback, bare) => values.get(braced ?? bare) ?? fallback ?? '');
  return Object.fromEntries(view.services.flatMap(({ name, image }) => (image === null ? [] : [[name, filled(image)]])));
}

/** For a restore: environment, compose text and mounts as they were. Applies nothing. Throws BACKUP_DAMAGED. */
export async function environmentOf({ read }: OpenedBackup, file: ManifestFile): Promise<EnvironmentDocument> {
  return environmentDocument.parse(await readDocument(read(file)));
}
