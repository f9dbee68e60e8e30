/** Diagnosing a registered target: its rows and secrets here, its facts from outside, the findings of the doctor. */
import { type Diagnosis, diagnose } from './doctor/diagnose.ts';
import type { Limiter } from './effects/dokploy/rate-limit.ts';
import type { DokployConnection } from './effects/handler.ts';
import type { Vault } from './engine/ports.ts';
import { AppError } from './errors.ts';
import type { Registry, TargetRow } from './store/registry.ts';

export type TargetDiagnosis = Diagnosis & { target: string };

export type DiagnosisDeps = {
  registry: Pick<Registry, 'target' | 'dokploy'>;
  vault: Pick<Vault, 'reveal'>;
  connection(dokploy: string): Promise<DokployConnection>;
  limiterFor(dokploy: string): Limiter;
  now: () => number;
  /** Learns every secret that passes through. */
  register(value: string): void;
};

/** Throws TARGET_UNKNOWN, TARGET_NOT_ON_DOKPLOY, the vault's errors and those of reading the service from its Dokploy. */
export async function diagnoseTarget(deps: DiagnosisDeps, name: string, signal?: AbortSignal): Promise<TargetDiagnosis> {
  const row = await deps.registry.target(name);
  const place = placeOf(row);
  const connection = await deps.connection(place.dokploy);
  const [{ createDokployClient }, { gatherFacts }, { hmacSha256 }] = await Promise.all([
    import('./effects/dokploy/client.ts'),
    import('./effects/doctor/gather.ts'),
    import('./effects/doctor/texts.ts'),
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
    ...(signal ? { signal } : {}),
  });
  return { target: row.name, ...diagnose(facts, { now: deps.now(), hmac: hmacSha256 }) };
}

function placeOf({ name, record }: TargetRow): { dokploy: string; composeId: string } {
  const place = record['dokploy'];
  const read = (key: string): unknown => (typeof place === 'object' && place !== null ? Reflect.get(place, key) : undefined);
  const [dokploy, composeId] = [read('name'), read('composeId')];
  if (typeof dokploy === 'string' && typeof composeId === 'string') return { dokploy, composeId };
  throw new AppError('TARGET_NOT_ON_DOKPLOY', {
    message: `The target ${name} does not say which service of which Dokploy it is, so its settings cannot be read.`,
    fix: 'Diagnose its environment file at a terminal: capstan doctor --env FILE.',
  });
}

/** POSTGRES_PASSWORD as it was at the first start, where the target was set up here and the secret is still kept. */
async function handedOver({ vault }: DiagnosisDeps, { record }: TargetRow): Promise<Record<string, string>> {
  const secrets = record['secrets'];
  const reference: unknown = typeof secrets === 'object' && secrets !== null ? Reflect.get(secrets, 'postgresPassword') : undefined;
  const facts = record['facts'];
  const tenant: unknown = typeof facts === 'object' && facts !== null ? Reflect.get(facts, 'poolerTenantId') : undefined;
  return {
    ...(typeof reference === 'string' ? { POSTGRES_PASSWORD: await vault.reveal(reference) } : {}),
    ...(typeof tenant === 'string' ? { POOLER_TENANT_ID: tenant } : {}),
  };
}
