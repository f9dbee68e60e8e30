/** The environment that is stored at the Dokploy service of a target. */
import type { DiagnosisDeps } from './diagnosis.ts';
import type { TargetRow } from './store/registry.ts';
import { toTargetRecord } from './target-place.ts';

/** Undefined for a target that is on no Dokploy. Throws DOKPLOY_UNKNOWN, the vault's errors and those of the client. */
export async function readDeployedEnv(
  { connection, limiterFor, register }: Pick<DiagnosisDeps, 'connection' | 'limiterFor' | 'register'>,
  row: TargetRow,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const { dokploy } = toTargetRecord(row);
  if (dokploy === undefined) return undefined;
  const { createDokployClient } = await import('./effects/dokploy/client.ts');
  const client = createDokployClient(await connection(dokploy.name), {
    limiter: limiterFor(dokploy.name),
    onSecret: register,
    ...(signal ? { signal } : {}),
  });
  return (await client.composeOne(dokploy.composeId)).env ?? '';
}
