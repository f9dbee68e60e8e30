/** A real Postgres of its own for tests of backups, with Supabase's roles; and why a test that needs a system program cannot run here. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { packageFile } from '../../src/package-root.ts';
import { reachableBinaries } from '../../src/sandbox/postgres/binaries.ts';
import { initCluster, startCluster } from '../../src/sandbox/postgres/cluster.ts';
import { embedded, type Major } from './databases.ts';

export type TestPostgres = {
  major: Major;
  port: number;
  password: string;
  url(database?: string, user?: string, password?: string): string;
  /** Runs statements as the superuser. */
  sql(text: string, database?: string): Promise<Record<string, unknown>[]>;
  stop(): Promise<void>;
};

export async function startTestPostgres(major: Major = 15, settings: Record<string, string> = {}): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-pg-'));
  execFileSync('chmod', ['755', folder]);
  const binaries = await reachableBinaries(await embedded(major), join(folder, 'native'));
  const password = await initCluster(binaries, join(folder, 'data'));
  const cluster = await startCluster(binaries, join(folder, 'data'), settings);
  const url = (database = 'postgres', user = 'supabase_admin', pass = password) =>
    `postgres://${user}:${encodeURIComponent(pass)}@127.0.0.1:${cluster.port}/${database}`;
  const sql = async (text: string, database = 'postgres') => {
    const client = new pg.Client({ connectionString: url(database) });
    await client.connect();
    try {
      const answer = await client.query(text);
      return (Array.isArray(answer) ? answer.at(-1) : answer).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  };
  const blueprint = (name: string) => readFileSync(packageFile('src', 'sandbox', 'blueprint', name), 'utf8');
  await sql(blueprint('supabase-roles.sql'));
  await sql(blueprint('supabase-schemas.sql'));
  return {
    major,
    port: cluster.port,
    password,
    url,
    sql,
    async stop() {
      await cluster.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Where Debian keeps the clients of a major. */
const clientsOf = (major: Major) => `/usr/lib/postgresql/${major}/bin`;

/** An environment in which pg_dump, pg_restore and psql are those of the server's own major: Debian's names on PATH start the newest. */
export function byHand({ major }: Pick<TestPostgres, 'major'>): NodeJS.ProcessEnv {
  return { ...process.env, PATH: [...(existsSync(clientsOf(major)) ? [clientsOf(major)] : []), process.env['PATH']].join(':') };
}
// Most servers here are of Postgres 15, and so is what their tests type by hand.
Object.assign(process.env, byHand({ major: 15 }));

/** Why tests with servers of these majors cannot run here; in CI too, since a mirror may lack the clients of a newer one. */
export function whyWithoutClients(...majors: readonly Major[]): string | undefined {
  const lacking = majors.filter((major) => major !== 15 && !existsSync(join(clientsOf(major), 'pg_dump')));
  return lacking.length === 0 ? undefined : `needs pg_dump ${lacking.join(', ')}: scripts/pg-client-17.sh`;
}

/** Makes a table of about 1.3 kB a row that hardly compress, so that its part takes a while and several pieces of an upload. */
export const largeTable = (name: string, rows: number): string =>
  `create table public.${name} as select g, (select string_agg(md5(g::text || i::text || random()::text), '') from generate_series(1, 40) i) as t from generate_series(1, ${rows}) g`;

const packages: Record<string, string> = {
  pg_dump: 'postgresql-client-15',
  pg_restore: 'postgresql-client-15',
  gpg: 'gnupg',
  zstd: 'zstd',
};

/** Why tests that need these programs cannot run here; undefined when they can. On Linux in CI a missing program is a failure, not a reason. */
export function whyWithout(...programs: string[]): string | undefined {
  const missing = programs.filter((program) => {
    try {
      execFileSync('/bin/sh', ['-c', 'command -v "$0"', program], { stdio: 'ignore' });
      return false;
    } catch {
      return true;
    }
  });
  if (missing.length === 0) return undefined;
  const why = `needs ${missing.join(', ')}: apt-get install -y ${missing.map((program) => packages[program] ?? program).join(' ')}`;
  if (process.env['CI'] === 'true' && process.platform === 'linux') throw new Error(why);
  return why;
}
