/**
 * Finding Supabase instances on the registered Dokploys, and registering them as targets. Invariants:
 * 1. Finding changes nothing anywhere; registering writes our own store only.
 * 2. A service that is a target already is shown as that, and never registered twice.
 */

import type { DiagnosisDeps } from './diagnosis.ts';
import { type Diagnosis, diagnose } from './doctor/diagnose.ts';
import type { FoundService } from './effects/dokploy/discover.ts';
import type { DokployConnection } from './effects/handler.ts';
import type { Vault } from './engine/ports.ts';
import { envVariables, parseEnv } from './env-text.ts';
import type { Registry, TargetRow } from './store/registry.ts';

export type Found = {
  dokploy: string;
  /** The target that it is, or the name that it would get. */
  name: string;
  registered: boolean;
  composeId: string;
  environmentId: string;
  projectId: string;
  appName: string;
  /** Names that people gave over there: text from outside. */
  outside: { project: string; environment: string; service: string; hosts: string[] };
  url: string;
  generation: Diagnosis['generation'];
  counts: Diagnosis['counts'];
  /** Codes of what is critical or an error, worst first, each once. */
  codes: string[];
};

export type Discovery = {
  /** Worst first. */
  found: Found[];
  /** Compose services that were looked at. */
  looked: number;
  /** What could not be looked at, one sentence each; a Dokploy that does not answer stands here. */
  unknown: string[];
  /** `5 found, 2 critical: shop (KEYS_IDENTICAL), …`. */
  summary: string;
};

export type DiscoveryDeps = Omit<DiagnosisDeps, 'self'> & {
  registry: Pick<Registry, 'dokploys' | 'targets' | 'addTarget' | 'target' | 'dokploy'>;
};

/** Scans these Dokploys, or all; they are asked at the same time. Throws DOKPLOY_UNKNOWN for a name that is none. */
export async function discoverInstances(
  deps: DiscoveryDeps,
  names: readonly string[] | undefined,
  signal?: AbortSignal,
): Promise<Discovery> {
  const dokploys = names ?? (await deps.registry.dokploys()).map(({ name }) => name);
  for (const name of dokploys) await deps.registry.dokploy(name);
  const targets = await deps.registry.targets();
  const scans = await Promise.all(dokploys.map((name) => scanOne(deps, name, signal)));
  const taken = new Set(targets.map(({ name }) => name));
  const found = scans
    .flatMap(({ rows }) => rows)
    .map((row) => named(row, targets, taken))
    .sort((a, b) => b.counts.critical - a.counts.critical || b.counts.error - a.counts.error || (a.name < b.name ? -1 : 1));
  const unknown = scans.flatMap((scan) => scan.unknown);
  const looked = scans.reduce((sum, scan) => sum + scan.looked, 0);
  return { found, looked, unknown, summary: summaryOf(found, unknown.length) };
}

type Row = Omit<Found, 'name' | 'registered'>;
type ScanOfOne = { rows: Row[]; looked: number; unknown: string[] };

async function scanOne(deps: DiscoveryDeps, dokploy: string, signal: AbortSignal | undefined): Promise<ScanOfOne> {
  const { AppError } = await import('./errors.ts');
  try {
    const [{ createDokployClient }, { findSupabases }] = await Promise.all([
      import('./effects/dokploy/client.ts'),
      import('./effects/dokploy/discover.ts'),
    ]);
    const connection = await deps.connection(dokploy);
    const client = createDokployClient(connection, {
      limiter: deps.limiterFor(dokploy),
      onSecret: deps.register,
      ...(signal ? { signal } : {}),
    });
    const scan = await findSupabases(client);
    const rows = await Promise.all(scan.found.map((service) => examined(deps, { dokploy, connection, client, service, signal })));
    return { rows, looked: scan.looked, unknown: scan.unknown };
  } catch (error) {
    // One that does not answer must not hide the others; it is said, and counts as unknown.
    if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
    return { rows: [], looked: 0, unknown: [error.message] };
  }
}

type Place = {
  dokploy: string;
  connection: DokployConnection;
  client: Parameters<typeof import('./effects/doctor/gather.ts').gatherFacts>[0]['client'];
  service: FoundService;
  signal: AbortSignal | undefined;
};

async function examined(deps: DiscoveryDeps, { dokploy, connection, client, service, signal }: Place): Promise<Row> {
  const [{ gatherFacts }, { hmacSha256 }, { addressOf }] = await Promise.all([
    import('./effects/doctor/gather.ts'),
    import('./effects/doctor/texts.ts'),
    import('./effects/doctor/live.ts'),
  ]);
  const { project, environment, row } = service;
  const { composeId, environmentId, appName, name, domains } = row;
  const facts = await gatherFacts({
    client,
    composeId,
    reach: connection.reach,
    now: deps.now,
    handedOver: {},
    ...(signal ? { signal } : {}),
  });
  const { generation, counts, findings } = diagnose(facts, { now: deps.now(), hmac: hmacSha256 });
  const bad = findings.filter(({ severity }) => severity === 'critical' || severity === 'error');
  return {
    dokploy,
    composeId,
    environmentId,
    projectId: row.environment.projectId,
    appName,
    outside: { project, environment, service: name, hosts: domains.map(({ host }) => host) },
    url: addressOf({ env: envVariables(parseEnv(row.env ?? '')), domains: facts.domains })?.origin ?? '',
    generation,
    counts,
    codes: [...new Set(bad.map(({ code }) => code))],
  };
}

function named(row: Row, targets: readonly TargetRow[], taken: Set<string>): Found {
  const known = targets.find(({ record }) => isPlace(record['dokploy'], row));
  if (known) return { ...row, name: known.name, registered: true };
  const name = freeName(row.outside, taken);
  taken.add(name);
  return { ...row, name, registered: false };
}

function isPlace(place: unknown, { dokploy, composeId }: Row): boolean {
  return (
    typeof place === 'object' && place !== null && Reflect.get(place, 'name') === dokploy && Reflect.get(place, 'composeId') === composeId
  );
}

/** From the project's name, in letters that a target's name may have; told apart by environment, then by number. */
export function freeName({ project, environment }: { project: string; environment: string }, taken: ReadonlySet<string>): string {
  const slug = (text: string) =>
    text
      .normalize('NFKD')
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 40);
  const base = slug(project) || 'supabase';
  const candidates = [base, ...(slug(environment) === '' ? [] : [`${base}-${slug(environment)}`])];
  const free = candidates.find((name) => !taken.has(name));
  if (free !== undefined) return free;
  for (let number = 2; ; number += 1) if (!taken.has(`${base}-${number}`)) return `${base}-${number}`;
}

/** Worst first; what could not be asked is said, never left out. */
function summaryOf(found: readonly Found[], unknown: number): string {
  const sick = found.filter(({ counts }) => counts.critical > 0);
  const list = sick.map(({ name, codes }) => `${name} (${codes.slice(0, 4).join(', ')})`).join(', ');
  const doubt = unknown === 0 ? '' : `; ${unknown} could not be looked at`;
  return `${found.length} found, ${sick.length} critical${sick.length === 0 ? '' : `: ${list}`}${doubt}`;
}

/** Variables whose values are kept, encrypted, with the target. */
const keptSecrets = {
  ANON_KEY: 'anonKey',
  SERVICE_ROLE_KEY: 'serviceRoleKey',
  JWT_SECRET: 'jwtSecret',
  POSTGRES_PASSWORD: 'postgresPassword',
} as const;

export type RegisterDeps = DiscoveryDeps & { vault: Pick<Vault, 'reveal' | 'stageSecret'> };

/** Registers what was found and is no target yet; answers the names. Throws TARGET_EXISTS where a name was taken meanwhile. */
export async function registerInstances(deps: RegisterDeps, found: readonly Found[]): Promise<string[]> {
  const { createDokployClient } = await import('./effects/dokploy/client.ts');
  const names: string[] = [];
  for (const { dokploy, name, composeId, environmentId, projectId, appName, url, generation } of found.filter(
    ({ registered }) => !registered,
  )) {
    const client = createDokployClient(await deps.connection(dokploy), { limiter: deps.limiterFor(dokploy), onSecret: deps.register });
    const env = envVariables(parseEnv((await client.composeOne(composeId)).env ?? ''));
    const staged = Object.entries(keptSecrets).flatMap(([variable, kept]) => {
      const value = env.get(variable) ?? '';
      return value === '' ? [] : [{ kept, secret: deps.vault.stageSecret(`target:${name}`, kept, value) }];
    });
    const record = {
      url,
      dokploy: { name: dokploy, projectId, environmentId, composeId, appName },
      secrets: Object.fromEntries(staged.map(({ kept, secret }) => [kept, `secret:${secret.id}`])),
      facts: { discovered: true, generation: generation.id, poolerTenantId: env.get('POOLER_TENANT_ID') ?? null },
    };
    await deps.registry.addTarget(
      { name, kind: 'dokploy', tags: [], record },
      staged.map(({ secret }) => secret),
    );
    names.push(name);
  }
  return names;
}
