/**
 * The logs of one service's containers and of its deployments, gathered by reads only. Invariants:
 * 1. An empty list of containers is unknown, and docker's own failure inside a 200 is an error of that source, never a line of its log.
 * 2. What could not be read is said per source; when nothing could be read at all it is an error.
 */
import { AppError } from '../../errors.ts';
import { type LogLine, parseLog } from '../../logs/lines.ts';
import { quoteVendorText } from '../http/vendor-text.ts';
import type { DokployClient } from './client.ts';
import type { Container } from './containers.ts';
import type { ComposeOne, DeploymentRow } from './schemas.ts';

export type LogSource = {
  source: string;
  state: 'read' | 'failed' | 'unknown';
  lines: number;
  /** Older lines exist or may exist that were not fetched. */
  cut: boolean;
  /** Why it could not be read. */
  say?: string;
};

export type GatherLogs = {
  client: DokployClient;
  composeId: string;
  /** One compose service, or `deployment`; all when left out. */
  service: string | undefined;
  /** Lines at most of each source. */
  tail: number;
  /** Ms since the epoch. */
  since: number | undefined;
  now: number;
  /** For the sentence of an error. */
  target: string;
  /** Takes secrets out; before anything is filtered or kept. */
  scrub: (text: string) => string;
};

export type GatheredLogs = { lines: LogLine[]; sources: LogSource[] };

export const deploymentSource = 'deployment';
const atOnce = 4;

/** Throws SERVICE_UNKNOWN, CONTAINERS_UNKNOWN, LOGS_UNREADABLE and the client's errors for the service row. */
export async function gatherLogs(options: GatherLogs): Promise<GatheredLogs> {
  const row = await options.client.composeOne(options.composeId);
  const { service } = options;
  const parts: Part[] = [];
  if (service !== deploymentSource) parts.push(...(await containerParts(options, row)));
  if (service === undefined || service === deploymentSource) parts.push(...(await deploymentParts(options, service ? 3 : 1)));
  const failed = parts.filter(({ about }) => about.state !== 'read');
  if (parts.length > 0 && failed.length === parts.length) throw nothingRead(options.target, failed);
  return { lines: parts.flatMap(({ lines }) => lines), sources: parts.map(({ about }) => about) };
}

type Part = { about: LogSource; lines: LogLine[] };

async function containerParts(options: GatherLogs, row: ComposeOne): Promise<Part[]> {
  const { client, service, target } = options;
  const found = await client.containers(row.appName, row.serverId);
  if (found.state === 'unknown') {
    if (service !== undefined)
      throw new AppError('CONTAINERS_UNKNOWN', {
        message: `The log of a container of ${target} cannot be read. ${found.say}`,
        fix: 'Check that the instance is deployed and that Docker runs on its machine; the deployment’s own log may say more.',
      });
    return [{ about: { source: 'containers', state: 'unknown', lines: 0, cut: false, say: found.say }, lines: [] }];
  }
  const all = found.rows.filter((each): each is Container & { service: string } => each.service !== null);
  const wanted = service === undefined ? all : all.filter((each) => each.service === service);
  if (wanted.length === 0) throw unknownService(target, service ?? '', all);
  const parts: Part[] = [];
  for (let at = 0; at < wanted.length; at += atOnce)
    parts.push(...(await Promise.all(wanted.slice(at, at + atOnce).map((each) => readContainer(options, each)))));
  return parts;
}

async function readContainer(
  { client, composeId, tail, since, now, scrub }: GatherLogs,
  { containerId, service }: Container & { service: string },
): Promise<Part> {
  const window = since === undefined ? 'all' : `${Math.max(1, Math.ceil((now - since) / 1_000))}s`;
  try {
    const log = await client.containerLog(composeId, containerId, tail, window);
    if (log.state === 'unknown') return failedPart(service, log.say);
    return readPart(service, parseLog(service, scrub(log.text)), tail);
  } catch (error) {
    return failedPart(service, sayOf(error));
  }
}

async function deploymentParts(options: GatherLogs, newest: number): Promise<Part[]> {
  const { client, composeId, tail, since, scrub } = options;
  let rows: DeploymentRow[];
  try {
    rows = await client.deployments(composeId);
  } catch (error) {
    return [failedPart(deploymentSource, sayOf(error))];
  }
  const parts: Part[] = [];
  for (const row of rows.slice(0, newest)) {
    const at = Date.parse(row.finishedAt ?? row.startedAt ?? row.createdAt);
    if (since !== undefined && at < since) continue;
    try {
      const text = await client.deploymentLog(row.deploymentId, tail);
      parts.push(readPart(deploymentSource, parseLog(deploymentSource, scrub(text), Number.isNaN(at) ? null : at), tail));
    } catch (error) {
      parts.push(failedPart(deploymentSource, sayOf(error)));
    }
  }
  return parts;
}

function readPart(source: string, lines: LogLine[], tail: number): Part {
  return { about: { source, state: 'read', lines: lines.length, cut: lines.length >= tail }, lines };
}

function failedPart(source: string, say: string): Part {
  return { about: { source, state: 'failed', lines: 0, cut: false, say }, lines: [] };
}

/** One log that cannot be had does not hide the others; a stop of the whole call does. */
function sayOf(error: unknown): string {
  if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
  return error.message;
}

function unknownService(target: string, service: string, known: readonly { service: string }[]): AppError {
  const names = [...new Set(known.map((each) => each.service))].filter((name) => /^[\w.-]{1,64}$/.test(name)).sort();
  return new AppError('SERVICE_UNKNOWN', {
    message: `${target} has no container of a service ${quoteVendorText(service)}.`,
    fix: `Known are: ${[...names, deploymentSource].join(', ')}.`,
    details: { known: names },
  });
}

function nothingRead(target: string, failed: readonly Part[]): AppError {
  const says = [...new Set(failed.map(({ about }) => about.say ?? ''))];
  return new AppError('LOGS_UNREADABLE', {
    message: `No log of ${target} could be read. ${says[0] ?? ''}`.trim(),
    fix: 'Check that Docker runs on the machine of this instance (in Dokploy: Monitoring), then try again.',
    retry: 'later',
    details: { sources: failed.map(({ about }) => ({ source: about.source, say: about.say })) },
  });
}
