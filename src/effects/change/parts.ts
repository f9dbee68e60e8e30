/**
 * The parts of a service's configuration that a plan writes, each judged and written by itself (engine.md E9). Invariants:
 * 1. What stands there is the earlier, the planned, or something of somebody else; only the first is written over, only the second taken back.
 * 2. Several rows written one after the other may be found between the two: the rows must then be ours or earlier ones.
 */
import { compareThreeWays, maskValue } from '../../masking.ts';
import type { DokployClient } from '../dokploy/client.ts';
import { toRoute } from '../dokploy/domain-effects.ts';
import type { ComposeOne } from '../dokploy/schemas.ts';
import type { ChangeDocument, PlannedRoute } from './document.ts';

export type Found = 'before' | 'after' | 'between' | 'foreign';

export type Part = {
  /** For people: "the environment". */
  name: string;
  judge(row: ComposeOne): Found;
  write(client: DokployClient, row: ComposeOne): Promise<unknown>;
  restore(client: DokployClient, row: ComposeOne): Promise<unknown>;
  /** The three versions, masked, for the person who must decide. */
  compare(row: ComposeOne): Record<string, unknown>;
};

/** Every part that the plan changes, in the order in which they are written. */
export function partsOf(document: ChangeDocument): Part[] {
  const { composeId, environment, compose, files, routes } = document;
  return [
    ...(environment && environment.before !== environment.after ? [environmentPart(composeId, environment)] : []),
    ...(compose && compose.before !== compose.after ? [composePart(composeId, compose)] : []),
    ...files.filter(({ before, after }) => before !== after).map((file) => filePart(composeId, file)),
    ...(routes ? [routesPart(composeId, routes)] : []),
  ];
}

type Text = { before: string; after: string };

const judgeText = (found: string | null, { before, after }: { before: string | null; after: string }): Found =>
  found === after ? 'after' : found === before ? 'before' : 'foreign';

function environmentPart(composeId: string, text: Text): Part {
  return {
    name: 'the environment',
    judge: (row) => judgeText(row.env ?? '', text),
    write: (client) => client.saveEnvironment(composeId, text.after),
    restore: (client) => client.saveEnvironment(composeId, text.before),
    compare: (row) => ({ variables: compareThreeWays(text.before, row.env ?? '', text.after).slice(0, 50) }),
  };
}

function composePart(composeId: string, text: Text): Part {
  return {
    name: 'the compose file',
    judge: (row) => judgeText(row.composeFile, text),
    write: (client) => client.updateCompose({ composeId, composeFile: text.after }),
    restore: (client) => client.updateCompose({ composeId, composeFile: text.before }),
    compare: (row) => ({
      compose: { before: lines(text.before), found: lines(row.composeFile), ours: lines(text.after) },
      firstDifference: firstDifference(text.before, row.composeFile),
    }),
  };
}

function filePart(composeId: string, file: ChangeDocument['files'][number]): Part {
  const find = (row: ComposeOne) =>
    row.mounts.find(({ mountId }) => mountId === file.mountId) ??
    row.mounts.find(({ type, filePath }) => type === 'file' && filePath === file.filePath);
  const put = async (client: DokployClient, row: ComposeOne, content: string | null) => {
    const mount = find(row);
    if (content === null) return mount ? client.removeMount(mount.mountId) : undefined;
    if (mount) return client.updateMount({ mountId: mount.mountId, content });
    return client.createFileMount({ composeId, filePath: file.filePath, content });
  };
  return {
    name: `the file ${file.filePath}`,
    judge: (row) => judgeText(find(row)?.content ?? (find(row) ? '' : null), file),
    write: (client, row) => put(client, row, file.after),
    restore: (client, row) => put(client, row, file.before),
    compare: (row) => ({
      file: file.filePath,
      found: find(row) ? lines(find(row)?.content ?? '') : '(no such file)',
      ours: lines(file.after),
    }),
  };
}

function routesPart(composeId: string, { before, after }: { before: PlannedRoute[]; after: PlannedRoute[] }): Part {
  const judge = (row: ComposeOne) => judgeRoutes(row.domains.map(toRoute), before, after);
  return {
    name: 'the domains',
    judge,
    write: (client, row) => putRoutes(client, composeId, row.domains.map(toRoute), after),
    restore: (client, row) => putRoutes(client, composeId, row.domains.map(toRoute), before),
    compare: (row) => ({ domains: { before, found: row.domains.map(toRoute).slice(0, 20), ours: after } }),
  };
}

/** Pure; a row that was made new has an id of its own and is known by its fields. */
export function judgeRoutes(found: readonly PlannedRoute[], before: readonly PlannedRoute[], after: readonly PlannedRoute[]): Found {
  if (sameRoutes(found, after)) return 'after';
  if (sameRoutes(found, before)) return 'before';
  const known = new Set([...before, ...after].map(fieldsOf));
  return found.every((route) => known.has(fieldsOf(route))) ? 'between' : 'foreign';
}

function sameRoutes(one: readonly PlannedRoute[], other: readonly PlannedRoute[]): boolean {
  const sorted = (routes: readonly PlannedRoute[]) => routes.map(fieldsOf).sort().join('\n');
  return sorted(one) === sorted(other);
}

function fieldsOf({ host, https, certificateType, port, path, serviceName }: PlannedRoute): string {
  return JSON.stringify([host, https, certificateType, port, path, serviceName]);
}

/** Row by row: changed where the id is known, made where a wanted one is missing, removed where nobody wants it. */
async function putRoutes(
  client: DokployClient,
  composeId: string,
  found: readonly PlannedRoute[],
  wanted: readonly PlannedRoute[],
): Promise<void> {
  const left = [...found];
  const missing: PlannedRoute[] = [];
  for (const want of wanted) {
    const same = left.findIndex((route) => fieldsOf(route) === fieldsOf(want));
    if (same >= 0) left.splice(same, 1);
    else missing.push(want);
  }
  for (const want of missing) {
    const known = left.findIndex((route) => route.domainId !== null && route.domainId === want.domainId);
    const row = known >= 0 ? left.splice(known, 1)[0] : undefined;
    if (row?.domainId) await client.updateDomain({ domainId: row.domainId, ...bodyOf(want) });
    else await client.createDomain({ composeId, ...bodyOf(want), serviceName: want.serviceName ?? '', port: want.port ?? 8000 });
  }
  for (const { domainId } of left) if (domainId) await client.deleteDomain(domainId);
}

function bodyOf({ host, https, certificateType, port, path, serviceName }: PlannedRoute) {
  // Dokploy knows these three; a newer one keeps its own where the row is only changed elsewhere.
  const known: 'letsencrypt' | 'custom' | 'none' =
    certificateType === 'letsencrypt' || certificateType === 'custom' ? certificateType : 'none';
  return {
    host,
    https,
    certificateType: known,
    path,
    ...(port === null ? {} : { port }),
    ...(serviceName === null ? {} : { serviceName }),
  };
}

function lines(text: string): string {
  return `${text.split('\n').length} lines`;
}

/** Where the found text first leaves the earlier one, with the line as far as it may be shown. */
function firstDifference(before: string, found: string): { line: number; found: string } {
  const [was, is] = [before.split('\n'), found.split('\n')];
  const at = is.findIndex((line, index) => line !== was[index]);
  const index = at < 0 ? is.length : at;
  return { line: index + 1, found: maskValue('line', is[index] ?? '(end)') };
}
