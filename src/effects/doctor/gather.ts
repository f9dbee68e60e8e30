/**
 * Facts about a service on a Dokploy, gathered by reads only. Invariants:
 * 1. Without the service row there is no diagnosis: its error is thrown. Anything else that cannot be had is said as unknown.
 * 2. Keys are sent over a trusted https connection only, or over http where the instance itself has nothing else.
 * 3. Logs are looked through for one sentence of Postgres and not kept.
 */
import type { BridgeFacts, ContainerFacts, Facts } from '../../doctor/facts.ts';
import { envVariables, parseEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import type { Standing } from '../bridge/standing.ts';
import type { DokployClient } from '../dokploy/client.ts';
import type { Container, Containers } from '../dokploy/containers.ts';
import { judgeHealth } from '../dokploy/health.ts';
import type { ComposeOne } from '../dokploy/schemas.ts';
import type { Reach } from '../handler.ts';
import { readComposeFacts, realtimeHostOf } from '../supabase/compose-facts.ts';
import { readComposeView } from './compose-view.ts';
import { gatherLive } from './live.ts';
import { toDomain } from './texts.ts';

export type GatherOptions = {
  client: DokployClient;
  composeId: string;
  reach: Reach;
  /** Ms since the epoch. */
  now: () => number;
  signal?: AbortSignal;
  /** Values of the first start by variable, where they are known. */
  handedOver: Readonly<Record<string, string>>;
  /** Asked which bridges stand in a project; left out where the instance is no target. */
  bridgesIn?: (projectId: string) => Promise<readonly Standing[]>;
};

/** Throws the client's errors for the service row, and ABORTED. */
export async function gatherFacts(options: GatherOptions): Promise<Facts> {
  const { client, composeId } = options;
  const row = await client.composeOne(composeId);
  const env = row.env ?? '';
  const unknown: string[] = [];
  const found = await orUnknown(unknown, () => client.containers(row.appName, row.serverId));
  const logs = found?.state === 'known' ? await passwordRefusals(client, composeId, found.rows) : { refusedBy: null, say: undefined };
  if (logs.say !== undefined) unknown.push(logs.say);
  const gatewayHost = realtimeHost(row);
  if (gatewayHost === null) unknown.push('The gateway’s file names no host for Realtime, so its tenant could not be checked.');
  const domains = row.domains.map(toDomain);
  const { url: _, ...live } = await gatherLive({
    env: envVariables(parseEnv(env)),
    domains,
    reach: options.reach,
    now: options.now,
    signal: options.signal,
  });
  return {
    env,
    compose: readComposeView(row.composeFile),
    realtimeHost: gatewayHost,
    domains,
    containers: containerFacts(row, found),
    passwordRefusedBy: logs.refusedBy,
    changedSince: changedSince(env, options.handedOver),
    bridges: await bridgeFacts(row, options.bridgesIn, unknown),
    ...live,
    unknown: [...unknown, ...live.unknown],
  };
}

async function orUnknown<T>(unknown: string[], ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
    unknown.push(error.message);
    return undefined;
  }
}

function realtimeHost({ mounts }: ComposeOne): string | null {
  const kong = mounts.find(({ filePath }) => filePath?.endsWith('kong.yml'));
  return realtimeHostOf(kong?.content ?? '');
}

function containerFacts(row: ComposeOne, found: Containers | undefined): ContainerFacts | null {
  if (!found) return null;
  if (found.state === 'unknown') return found;
  const { services } = readComposeFacts(row.composeFile);
  return { state: 'known', waiting: judgeHealth(services, found).waiting };
}

async function bridgeFacts(row: ComposeOne, ask: GatherOptions['bridgesIn'], unknown: string[]): Promise<BridgeFacts[] | null> {
  const standing = ask && (await orUnknown(unknown, () => ask(row.environment.projectId)));
  return standing?.map(({ appName, whose, why }) => ({ service: appName, whose, why })) ?? null;
}

function changedSince(env: string, handedOver: Readonly<Record<string, string>>): string[] {
  const now = envVariables(parseEnv(env));
  return Object.entries(handedOver).flatMap(([name, value]) => (now.get(name) === value ? [] : [name]));
}

/** Those that log in with POSTGRES_PASSWORD. */
const logInServices = ['auth', 'rest', 'storage', 'meta', 'supavisor'];

async function passwordRefusals(client: DokployClient, composeId: string, rows: readonly Container[]) {
  const refusedBy: string[] = [];
  let unread = 0;
  const asked = rows.filter(({ service }) => service !== null && logInServices.includes(service));
  await Promise.all(
    asked.map(async ({ containerId, service }) => {
      const text = await logOf(client, composeId, containerId);
      if (text === undefined) unread += 1;
      else if (refusedLast(text)) refusedBy.push(service ?? '');
    }),
  );
  return {
    refusedBy: refusedBy.sort(),
    say: unread === 0 ? undefined : `The logs of ${unread} containers could not be read, so a refused database password would not be seen.`,
  };
}

/** The tail of a log; undefined when it cannot be had. */
async function logOf(client: DokployClient, composeId: string, containerId: string): Promise<string | undefined> {
  try {
    const log = await client.containerLog(composeId, containerId, 50);
    return log.state === 'known' ? log.text : undefined;
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
    return undefined;
  }
}

/** Among the last lines only: an old refusal that was mended since is none. */
export function refusedLast(log: string): boolean {
  return /password authentication failed for user/i.test(log.trimEnd().split('\n').slice(-10).join('\n'));
}
