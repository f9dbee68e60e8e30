/** A sandbox whose instance has its database on a Postgres of ours, registered with both its Dokploy and a direct connection. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { Catalog } from '../../src/catalog/model.ts';
import { portOf } from '../../src/effects/backup/deps.ts';
import { readCatalog } from '../../src/effects/postgres/read-catalog.ts';
import { hostOf } from '../../src/sandbox/instances/place.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { type BackupApp, caller, openBackupApp, person, removeHome } from './backup-app.ts';
import { byHand, startTestPostgres, type TestPostgres } from './backup-postgres.ts';
import { addDokploy } from './wizard-stage.ts';

export type RestoreStage = {
  server: TestPostgres;
  sandbox: Sandbox;
  at: BackupApp;
  /** The database that the instance's services use. */
  database: string;
  /** Status of a service asked through the gateway. */
  askService(): Promise<number>;
  /** Docker calls that changed something since the stage was opened, such as `stop kong`. */
  dockerCalls(): string[];
  /** Where the container of the edge functions has its files. */
  functionsFolder: string;
  /** Stops or starts the container of a service, as its owner. */
  switchContainer(service: string, to: 'running' | 'exited'): Promise<void>;
  /** What a file mount holds on the Dokploy. */
  mountText(filePath: string): Promise<string | undefined>;
  close(): Promise<void>;
};

const instance = 'gen-c';

export async function openRestoreStage(): Promise<RestoreStage> {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-restore-'));
  const server = await startTestPostgres();
  const sandbox = await startSandbox({ dataDir: join(folder, 'twin'), instances: [instance], postgresUrl: server.url() });
  const at = await openBackupApp();
  await addDokploy(at.app, sandbox);
  const compose = sandbox.state().composes[0];
  if (!compose) throw new Error('the sandbox has no instance');
  const { composeId, appName, environmentId } = compose;
  const database = `capstan_sandbox_${composeId.replace(/[^A-Za-z0-9]/g, '_').toLowerCase()}`;
  await at.addTarget('shop', server.url(database), {
    url: `https://${hostOf(instance)}`,
    dokploy: { name: 'home', projectId: '', environmentId, composeId, appName },
  });
  const asked = async (path: string, body?: object) => {
    const headers = { 'x-api-key': sandbox.apiKey, 'content-type': 'application/json' };
    const answer = await fetch(`${sandbox.url}/api/${path}`, { headers, ...(body ? { method: 'POST', body: JSON.stringify(body) } : {}) });
    return answer.text();
  };
  return {
    server,
    sandbox,
    at,
    database,
    askService: () =>
      new Promise((resolve, reject) => {
        const host = hostOf(instance);
        const { address, httpsPort } = sandbox.gateway;
        const asked = request(
          { host: address, port: httpsPort, servername: host, path: '/storage/v1/status', headers: { host }, ca: sandbox.ca, agent: false },
          (answer) => resolve(answer.resume().statusCode ?? 0),
        );
        asked.on('error', reject).end();
      }),
    dockerCalls: () =>
      sandbox
        .journal()
        .filter(({ applied, procedure }) => applied && procedure.startsWith('docker.'))
        .map(({ procedure, identity }) => `${procedure.slice('docker.'.length).replace('Container', '')} ${identity['service']}`),
    functionsFolder: join(folder, 'twin', 'files', composeId, 'volumes', 'functions'),
    async switchContainer(service, to) {
      const rows = JSON.parse(await asked(`docker.getContainersByAppNameMatch?appName=${appName}`)) as {
        containerId: string;
        name: string;
      }[];
      const found = rows.find(({ name }) => name.endsWith(`-${service}-1`));
      await asked(`docker.${to === 'running' ? 'start' : 'stop'}Container`, { containerId: found?.containerId });
    },
    async mountText(filePath) {
      const rows = JSON.parse(await asked(`mounts.listByServiceId?serviceType=compose&serviceId=${composeId}`)) as {
        filePath: string;
        content: string;
      }[];
      return rows.find((row) => row.filePath === filePath)?.content;
    },
    async close() {
      await at.close();
      removeHome(at.home);
      await sandbox.stop({ discard: true });
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Everything that a person made in a database. */
export async function catalogOf(server: TestPostgres, database: string): Promise<Catalog> {
  const client = new pg.Client({ connectionString: server.url(database) });
  await client.connect();
  try {
    return await readCatalog(portOf(client));
  } finally {
    await client.end();
  }
}

/** What pg_dump says of a database, without what names the database or the moment. */
export function dumpText(server: TestPostgres, database: string, ...more: string[]): string {
  const text = execFileSync('pg_dump', ['--create', ...more, server.url(database)], {
    env: byHand(server),
    encoding: 'utf8',
    maxBuffer: 1e8,
  });
  return text
    .replaceAll(/^\\(un)?restrict .*$/gm, '')
    .replaceAll(/^-- (Dumped|Started|Completed).*$/gm, '')
    .replaceAll(/^COMMENT ON DATABASE.*$/gm, '')
    .replaceAll(new RegExp(`(DATABASE |connect |-- Name: )${database}\\b`, 'g'), '$1THE_DATABASE');
}

/** Takes a run back, approving it as a person. */
export async function takeBack(at: BackupApp, run: string, to: string | number) {
  await at.app.engine
    .rollback({ run, to }, caller)
    .catch((error: { details?: { approval?: string } }) => at.app.engine.approve(String(error.details?.approval), person));
  return at.rest(run);
}

/** Databases of a server whose name begins so, without the one that belongs to the pooler. */
export async function databasesOf(server: TestPostgres, beginning: string): Promise<string[]> {
  const rows = await server.sql(`select datname as name from pg_database where starts_with(datname, '${beginning}') order by 1`);
  return rows.map(({ name }) => String(name)).filter((name) => !name.endsWith('_inner'));
}
