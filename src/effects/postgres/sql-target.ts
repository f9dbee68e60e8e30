/** How SQL reaches a registered target: its row, its secrets and its Dokploy put together. Whoever asks gets revealed secrets, for one call. */
import { z } from 'zod';
import type { BridgeWay } from '../bridge/open-bridge.ts';
import type { DokployClient } from '../dokploy/client.ts';
import { runInContainer } from '../dokploy/run-in-container.ts';
import type { DokployConnection, Reach, TargetRecord } from '../handler.ts';
import { overrideOf } from '../http/reach.ts';
import { type SqlAddress, type SqlLogin, sslModes } from './address.ts';
import { dockerPlaces } from './docker-places.ts';
import { readOnlyRole, superuserRole } from './ladder.ts';
import type { SqlTarget } from './open.ts';
import { isOfNetwork, ownSurroundings, type Surroundings } from './surroundings.ts';
import { type DockerName, settingHashOf } from './this-database.ts';

export type SqlTargetDeps = {
  reveal(reference: string): Promise<string>;
  dokploy(name: string): Promise<DokployConnection>;
  /** The client of a dokploy; asked for only where exec is used. */
  client(connection: DokployConnection): Promise<DokployClient>;
  /** Default: those of this process. */
  surroundings?: Surroundings;
};

/** An address as it stands in a target's row: the password is a reference, or missing where the roles of the stack share theirs. */
const keptAddress = z.object({
  host: z.string(),
  port: z.number().int(),
  database: z.string(),
  user: z.string(),
  ssl: z.enum(sslModes),
  mode: z.enum(['direct', 'session', 'transaction']),
  role: z.string(),
  tenant: z.string().nullable(),
  password: z.string().nullable(),
  /** Reachable from containers of the stack's network only. */
  dockerInternal: z.boolean(),
});
export type KeptAddress = z.infer<typeof keptAddress>;

const keptSql = z.object({
  addresses: z.array(keptAddress).catch([]),
  superuser: z.boolean().catch(false),
  reach: z
    .object({
      ca: z.string().optional(),
      headers: z.record(z.string(), z.string()).optional(),
      resolve: z.array(z.string()).optional(),
    })
    .catch({}),
});
export type KeptSql = z.infer<typeof keptSql>;

const nothing: KeptSql = { addresses: [], superuser: false, reach: {} };

/** What `targets add` kept of the ways to the database, in `facts.sql`. */
export function keptSqlOf({ facts }: Pick<TargetRecord, 'facts'>): KeptSql {
  const parsed = keptSql.safeParse(facts['sql']);
  return parsed.success ? parsed.data : nothing;
}

/** Throws the errors of `reveal` and `dokploy`. */
export async function toSqlTarget(record: TargetRecord, deps: SqlTargetDeps): Promise<SqlTarget> {
  const kept = keptSqlOf(record);
  const connection = record.dokploy === undefined ? undefined : await deps.dokploy(record.dokploy.name);
  const reach = await reachOf(kept, connection, deps);
  const logins = await loginsOf(record, deps);
  const { addresses, leftOut } = await addressesOf(record, kept, { logins, reach }, deps);
  const bridge = await keptBridgeOf(record, deps.reveal);
  const { serviceRoleKey, pgMetaCryptoKey, jwtSecret } = record.secrets;
  const { dokploy } = record;
  const where = dokploy && connection ? { place: { composeId: dokploy.composeId, serviceName: 'db' }, connection } : undefined;
  return {
    name: record.name,
    reach,
    addresses,
    leftOut,
    ...(jwtSecret !== undefined && addresses.some(({ docker }) => docker !== undefined)
      ? { marks: { settingHash: settingHashOf(await deps.reveal(jwtSecret)) } }
      : {}),
    ...(serviceRoleKey === undefined || record.url === '' || record.kind === 'cloud'
      ? {}
      : {
          meta: {
            baseUrl: record.url,
            serviceKey: await deps.reveal(serviceRoleKey),
            ...(pgMetaCryptoKey === undefined ? {} : { cryptoKey: await deps.reveal(pgMetaCryptoKey) }),
            logins,
          },
        }),
    ...(where === undefined
      ? {}
      : {
          exec: {
            run: async (command: string, timeoutMs: number) =>
              runInContainer(await deps.client(where.connection), where.place, command, timeoutMs),
          },
        }),
    ...(bridge === undefined ? {} : { bridge: { url: bridge.url, privateKey: bridge.privateKey, logins } }),
    ...(await managementOf(record, deps)),
    superuserSql: kept.superuser,
  };
}

/** How the hosts of a target are reached: as its own row says, else as its dokploy, where that is still registered. */
export async function keptReachOf(
  ctx: { dokploy(name: string): Promise<DokployConnection>; secrets: { reveal(reference: string): Promise<string> } },
  record: TargetRecord,
): Promise<Reach> {
  const connection = record.dokploy === undefined ? undefined : await ctx.dokploy(record.dokploy.name).catch(() => undefined);
  return reachOf(keptSqlOf(record), connection, ctx.secrets);
}

const keptBridge = z.looseObject({ url: z.string(), until: z.number().nullable().catch(null) });

/** The bridge of a target as install-bridge noted it, `until` when (ms since the epoch) it ends. */
export async function keptBridgeOf(
  { facts, secrets }: Pick<TargetRecord, 'facts' | 'secrets'>,
  reveal: (reference: string) => Promise<string>,
): Promise<(BridgeWay & { until: number | null }) | undefined> {
  const kept = keptBridge.safeParse(facts['bridge']);
  const key = secrets['bridgeKey'];
  if (!kept.success || key === undefined) return undefined;
  const { url, until } = kept.data;
  return { url, until, privateKey: await reveal(key) };
}

/** The reference of a project stands with it, or in the address of its API. */
async function managementOf(
  { kind, url, facts, secrets }: TargetRecord,
  { reveal }: SqlTargetDeps,
): Promise<Pick<SqlTarget, 'management'>> {
  const ref = facts['project'] ?? /^https:\/\/(\w+)\.supabase\.co$/.exec(url)?.[1];
  if (kind !== 'cloud' || typeof ref !== 'string' || !/^[a-z0-9]{20}$/.test(ref)) return {};
  const token = secrets['accessToken'];
  return { management: { ref, ...(token === undefined ? {} : { token: await reveal(token) }) } };
}

async function reachOf(kept: KeptSql, connection: DokployConnection | undefined, deps: Pick<SqlTargetDeps, 'reveal'>): Promise<Reach> {
  const headers: Record<string, string> = {};
  for (const [name, reference] of Object.entries(kept.reach.headers ?? {})) headers[name] = await deps.reveal(reference);
  const ca = kept.reach.ca ?? connection?.reach.ca;
  const resolve = [...(kept.reach.resolve ?? []), ...(connection?.reach.resolve ?? [])];
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
    ...(resolve.length === 0 ? {} : { resolve }),
  };
}

/** In a self-hosted stack the roles of the database share POSTGRES_PASSWORD; the reading role has one of its own once it was given one. */
async function loginsOf({ secrets, kind }: TargetRecord, { reveal }: SqlTargetDeps): Promise<SqlLogin[]> {
  const logins: SqlLogin[] = [];
  if (secrets['readOnlyPassword'] !== undefined) logins.push({ role: readOnlyRole, password: await reveal(secrets['readOnlyPassword']) });
  if (secrets['postgresPassword'] === undefined) return logins;
  const password = await reveal(secrets['postgresPassword']);
  return [...logins, { role: 'postgres', password }, ...(kind === 'cloud' ? [] : [{ role: superuserRole, password }])];
}

/** Each place once as it was given, and once for each other role whose password is known; and why places of a Docker network were left out. */
async function addressesOf(
  { facts, kind, dokploy }: TargetRecord,
  kept: KeptSql,
  { logins, reach }: { logins: readonly SqlLogin[]; reach: Reach },
  { reveal, surroundings = ownSurroundings }: SqlTargetDeps,
): Promise<{ addresses: SqlAddress[]; leftOut: string[] }> {
  const tenant = typeof facts['poolerTenantId'] === 'string' ? facts['poolerTenantId'] : null;
  const guessed = kind === 'dokploy' && kept.addresses.length === 0 ? dockerPlaces(dokploy?.appName ?? '', tenant) : [];
  const places: (KeptAddress & { docker?: DockerName })[] = [
    ...kept.addresses.map((place) => (place.dockerInternal ? { ...place, docker: 'given' as const } : place)),
    ...guessed,
  ];
  const { resolved, leftOut } = await resolvedHosts(places, reach, surroundings);
  const addresses: SqlAddress[] = [];
  for (const place of places.filter(({ dockerInternal, host }) => !dockerInternal || resolved.has(host))) {
    const { password, tenant: behind, dockerInternal: _, ...given } = place;
    const named = logins.filter(({ role }) => role !== place.role || password === null);
    if (password !== null) addresses.push({ ...given, password: await reveal(password) });
    for (const { role, password: known } of named)
      addresses.push({ ...given, role, user: behind === null || given.mode === 'direct' ? role : `${role}.${behind}`, password: known });
  }
  return { addresses, leftOut };
}

/** Which names of a Docker network lead somewhere from here: by the owner's word (--resolve), or in a container by its name server. */
async function resolvedHosts(places: readonly KeptAddress[], reach: Reach, { container, lookup }: Surroundings) {
  const internal = places.filter(({ dockerInternal }) => dockerInternal);
  const resolved = new Set(internal.filter(({ host, port }) => overrideOf(reach, host, port) !== null).map(({ host }) => host));
  const open = [...new Set(internal.map(({ host }) => host))].filter((host) => !resolved.has(host));
  if (open.length === 0) return { resolved, leftOut: [] };
  const { inside, because } = await container();
  if (!inside)
    return { resolved, leftOut: [`${open.join(', ')} would be reached from inside the stack's Docker network only, and ${because}.`] };
  const found = await Promise.all(open.map(lookup));
  for (const [index, host] of open.entries()) if (isOfNetwork(found[index] ?? [])) resolved.add(host);
  const silent = open.filter((host) => !resolved.has(host));
  return {
    resolved,
    leftOut: silent.length === 0 ? [] : [`${silent.join(', ')} leads to nothing in a Docker network of this container (${because}).`],
  };
}
