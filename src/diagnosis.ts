/** Diagnosing a registered target: its rows and secrets here, its facts from outside, the findings of the doctor. */
import { type Diagnosis, diagnose } from './doctor/diagnose.ts';
import type { HomeFacts } from './effects/bridge/standing.ts';
import type { Limiter } from './effects/dokploy/rate-limit.ts';
import type { DokployConnection } from './effects/handler.ts';
import type { Vault } from './engine/ports.ts';
import type { Registry, TargetRow } from './store/registry.ts';
import { placeOf, secretsOf, toTargetRecord } from './target-place.ts';

export type TargetDiagnosis = Diagnosis & { target: string };

export type DiagnosisDeps = {
  registry: Pick<Registry, 'target' | 'dokploy'>;
  vault: Pick<Vault, 'reveal'>;
  connection(dokploy: string): Promise<DokployConnection>;
  limiterFor(dokploy: string): Limiter;
  now: () => number;
  /** Of this home (bridge/standing.ts). */
  self: HomeFacts;
  /** Learns every secret that passes through. */
  register(value: string): void;
};

/** Throws TARGET_UNKNOWN, TARGET_NOT_ON_DOKPLOY, the vault's errors and those of reading the service from its Dokploy. */
export async function diagnoseTarget(deps: DiagnosisDeps, name: string, signal?: AbortSignal): Promise<TargetDiagnosis> {
  const row = await deps.registry.target(name);
  const place = placeOf(row, 'its settings cannot be read', 'Diagnose its environment file at a terminal: capstan doctor --env FILE.');
  const connection = await deps.connection(place.dokploy);
  const [{ createDokployClient }, { gatherFacts }, { hmacSha256 }, { standingBridges }] = await Promise.all([
    import('./effects/dokploy/client.ts'),
    import('./effects/doctor/gather.ts'),
    import('./effects/doctor/texts.ts'),
    import('./effects/bridge/standing.ts'),
  ]);
  const client = createDokployClient(connection, {
    limiter: deps.limiterFor(place.dokploy),
    onSecret: deps.register,
    ...(signal ? { signal } : {}),
  });
  const facts = await gatherFacts({
    client,
    composeId: place.composeId,
    reach: connection.reach,
    now: deps.now,
    handedOver: await handedOver(deps, row),
    bridgesIn: (projectId) =>
      standingBridges(projectId, { ...deps.self, client, now: deps.now(), target: toTargetRecord(row), targetOf: deps.registry.target }),
    ...(signal ? { signal } : {}),
  });
  return { target: row.name, ...diagnose(facts, { now: deps.now(), hmac: hmacSha256, target: row.name }) };
}

/** POSTGRES_PASSWORD as it was at the first start, where the target was set up here and the secret is still kept. */
async function handedOver({ vault }: DiagnosisDeps, row: TargetRow): Promise<Record<string, string>> {
  const reference = secretsOf(row)['postgresPassword'];
  const facts = row.record['facts'];
  // Of an instance that was found there is only what stood there then, not what its first start had.
  if (typeof facts === 'object' && facts !== null && Reflect.get(facts, 'discovered') === true) return {};
  const tenant: unknown = typeof facts === 'object' && facts !== null ? Reflect.get(facts, 'poolerTenantId') : undefined;
  return {
    ...(reference !== undefined ? { POSTGRES_PASSWORD: await vault.reveal(reference) } : {}),
    ...(typeof tenant === 'string' ? { POOLER_TENANT_ID: tenant } : {}),
  };
}
