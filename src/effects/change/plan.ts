/** From what a workflow wants to the plan that a person approves: exact texts in the artifact, a masked difference to show. */
import type { z } from 'zod';
import type { ChangePlan, configurationChange } from '../../../machines/effects/change.ts';
import { envVariables, parseEnv } from '../../env-text.ts';
import { maskValue } from '../../masking.ts';
import type { EffectContext } from '../handler.ts';
import { readComposeFacts } from '../supabase/compose-facts.ts';
import { type DatabaseDocument, nameOf, shownOf } from './database/cells.ts';
import { type ChangeDocument, type PlannedRoute, storeChange } from './document.ts';
import { changedVariables, recreatedServices } from './recreated.ts';
import type { SnapshotDocument } from './snapshot.ts';

type Change = z.infer<typeof configurationChange>;

/** What shall differ from the snapshot; left out stays as it is. */
export type Wanted = {
  workflow: string;
  env?: string;
  compose?: string;
  files?: ChangeDocument['files'];
  routes?: PlannedRoute[];
  /** Deploy although no text differs: what is stored was never deployed. */
  deploy?: boolean;
  /** Containers that are made anew, where the texts do not say it. */
  recreated?: string[];
  /** Values inside the database, written before the texts. */
  database?: DatabaseDocument;
  /** Reference of the secret that the database shall keep. */
  jwtSecret?: string;
  note?: Partial<ChangeDocument['note']>;
  /** Why a variable, file or domain changes, by its name. */
  why?: Readonly<Record<string, string>>;
  /** What will happen, in one sentence; with nothing to do, why. */
  say: string;
  warnings?: ChangePlan['warnings'];
};

/** Builds and stores the plan; nothing is written outside. */
export async function planChange(ctx: EffectContext, snapshot: SnapshotDocument, wanted: Wanted): Promise<ChangePlan> {
  const { target, dokploy, serverId, composeId, appName, name } = snapshot;
  const before = { env: snapshot.env, compose: snapshot.compose, routes: snapshot.routes };
  const deployed = { env: wanted.env ?? before.env, compose: wanted.compose ?? before.compose, routes: wanted.routes ?? before.routes };
  const files = (wanted.files ?? []).filter((file) => file.before !== file.after);
  const routes =
    JSON.stringify(before.routes) === JSON.stringify(deployed.routes) ? null : { before: before.routes, after: deployed.routes };
  const texts = before.env !== deployed.env || before.compose !== deployed.compose || routes !== null || files.length > 0;
  const database = wanted.database && wanted.database.cells.length > 0 ? wanted.database : null;
  const kind = kindOf(texts || wanted.deploy === true, { stored: wanted.jwtSecret !== undefined, first: database !== null });
  const recreated = wanted.recreated ?? (texts ? recreatedServices(before, deployed) : null);
  const writes = writesOf(name, { before, deployed, files, routes, kind, database, stores: wanted.jwtSecret !== undefined });
  const reference = await storeChange(ctx, {
    version: 1,
    kind: 'change',
    workflow: wanted.workflow,
    target,
    dokploy,
    serverId,
    composeId,
    appName,
    name,
    services: readComposeFacts(deployed.compose).services,
    environment: before.env === deployed.env ? null : { before: before.env, after: deployed.env },
    compose: before.compose === deployed.compose ? null : { before: before.compose, after: deployed.compose },
    files,
    routes,
    deployed,
    recreated,
    database,
    jwtSecret: wanted.jwtSecret ?? null,
    note: { secrets: {}, url: null, facts: {}, ...wanted.note },
    writes,
  });
  const named = kind === 'nothing' || kind === 'database' ? [] : (recreated ?? []);
  return {
    ...reference,
    kind,
    say: wanted.say,
    changes: changesOf(snapshot, deployed, files, routes, wanted),
    recreated: named,
    databaseRestarts: named.includes('db'),
    writes,
    warnings: [...(wanted.warnings ?? []), ...ownWarnings(kind, recreated, files)],
  };
}

function kindOf(deploys: boolean, database: { stored: boolean; first: boolean }): ChangePlan['kind'] {
  if (deploys) return database.stored ? 'both' : 'configuration';
  return database.stored || database.first ? 'database' : 'nothing';
}

type Settings = { env: string; compose: string; routes: readonly PlannedRoute[] };

function writesOf(
  name: string,
  plan: {
    before: Settings;
    deployed: Settings;
    files: ChangeDocument['files'];
    routes: ChangeDocument['routes'];
    kind: ChangePlan['kind'];
    database: DatabaseDocument | null;
    stores: boolean;
  },
): string[] {
  const { before, deployed, files, routes, kind, database, stores } = plan;
  const deploys = kind === 'configuration' || kind === 'both';
  return [
    ...(database ? [`change in the database, in one transaction: ${namesOf(database)}`] : []),
    ...(database?.restarts ?? []).map((service) => `restart the container of ${service}`),
    ...(before.env === deployed.env ? [] : [`write the environment of "${name}"`]),
    ...(before.compose === deployed.compose ? [] : [`write the compose file of "${name}"`]),
    ...files.map(({ filePath }) => `write the file ${filePath}`),
    ...(routes ? [`set the domains of "${name}"`] : []),
    ...(deploys ? [`deploy "${name}" and wait until it is healthy`] : []),
    ...(stores ? ['tell the database the JWT secret'] : []),
    ...(kind === 'nothing' ? [] : ['prove it by live requests']),
  ];
}

function namesOf({ cells }: DatabaseDocument): string {
  return cells.map(nameOf).join(', ');
}

function changesOf(
  snapshot: SnapshotDocument,
  deployed: Settings,
  files: ChangeDocument['files'],
  routes: ChangeDocument['routes'],
  { jwtSecret, database, why = {} }: Wanted,
): Change[] {
  const [was, is] = [envVariables(parseEnv(snapshot.env)), envVariables(parseEnv(deployed.env))];
  const shown = (name: string, value: string | undefined) => (value === undefined ? '(unset)' : maskValue(name, value));
  const changes: Change[] = [...changedVariables(snapshot.env, deployed.env)].map((name) => ({
    what: 'variable',
    name,
    before: shown(name, was.get(name)),
    after: shown(name, is.get(name)),
    why: why[name] ?? '',
  }));
  const lines = (text: string) => `${text.split('\n').length} lines`;
  if (snapshot.compose !== deployed.compose)
    changes.push({
      what: 'compose',
      name: 'docker-compose.yml',
      before: lines(snapshot.compose),
      after: lines(deployed.compose),
      why: why['docker-compose.yml'] ?? '',
    });
  for (const { filePath, before, after } of files)
    changes.push({
      what: 'file',
      name: filePath,
      before: before === null ? '(no such file)' : lines(before),
      after: lines(after),
      why: why[filePath] ?? '',
    });
  if (routes)
    changes.push({
      what: 'domain',
      name: 'domains',
      before: routesText(routes.before),
      after: routesText(routes.after),
      why: why['domains'] ?? '',
    });
  for (const cell of database?.cells ?? [])
    changes.push({
      what: 'database',
      name: nameOf(cell),
      before: shownOf(cell, cell.before),
      after: shownOf(cell, cell.after),
      why: why[nameOf(cell)] ?? '',
    });
  if (jwtSecret !== undefined)
    changes.push({
      what: 'database',
      name: 'app.settings.jwt_secret',
      before: '(secret)',
      after: '(secret)',
      why: why['app.settings.jwt_secret'] ?? '',
    });
  return changes;
}

function routesText(routes: readonly PlannedRoute[]): string {
  const text = routes
    .map(({ host, https, port, serviceName }) => `${https ? 'https' : 'http'}://${host} to ${serviceName ?? '?'}:${port ?? '?'}`)
    .join(', ');
  return text === '' ? '(none)' : maskValue('domains', text);
}

function ownWarnings(kind: ChangePlan['kind'], recreated: string[] | null, files: ChangeDocument['files']): ChangePlan['warnings'] {
  if (kind === 'nothing' || kind === 'database') return [];
  return [
    ...(recreated === null
      ? [
          {
            code: 'RECREATED_UNKNOWN',
            say: 'Which containers are made anew cannot be told beforehand; it may be all of them, the database too.',
          },
        ]
      : []),
    ...(files.length > 0
      ? [
          {
            code: 'FILES_AT_NEXT_START',
            say: `A container reads its files when it starts: restart what reads ${files.map(({ filePath }) => filePath).join(', ')} if it is not among those made anew.`,
          },
        ]
      : []),
  ];
}
