import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { packageFile } from '../../package-root.ts';

/** How a stack's services reach their database. */
export type Database = {
  /** Logs in as the role with its password, as a service would; the caller ends the client. */
  connect(login: Login): Promise<pg.Client>;
  /** As psql inside the container: the local socket asks for no password. The caller ends the client. */
  local(login: Pick<Login, 'user' | 'database'>): Promise<pg.Client>;
  /** Where containers of its network find it. */
  address: { host: string; port: number };
  close(): Promise<void>;
};

/** `options` are settings of the session, as in a connection string; the database is `postgres` where none is named. */
export type Login = { user: string; password: string; options?: string; database?: string };

/** What is fixed at the first start of a database and never read again. */
export type FirstBoot = { password: string; jwtSecret: string; jwtExpiry: string };

export type Opened = { database: Database /** Set when this was the first start. */; bootPassword?: string };

/** Where databases come from: an own server per stack, or one server that was given. */
export type DatabaseHost = {
  /** Starts the database of a stack; fills it if it is new. `settings` are those of the db service's command. */
  open(id: string, first: FirstBoot, settings: Record<string, string>, bootPassword: string): Promise<Opened>;
  /** Destroys the data of a stack that is closed. */
  remove(id: string): Promise<void>;
  close(): Promise<void>;
};

/** The seven roles that get POSTGRES_PASSWORD at first boot. */
export const passwordRoles = [
  'postgres',
  'authenticator',
  'pgbouncer',
  'supabase_auth_admin',
  'supabase_functions_admin',
  'supabase_storage_admin',
  'supabase_admin',
] as const;

/** The database beside the users' own in which Supavisor and Logflare keep theirs, with a schema for each. */
export const innerDatabase = '_supabase';

export const innerSql = [
  'create schema if not exists _supavisor authorization supabase_admin',
  'create schema if not exists _analytics authorization supabase_admin',
].join(';\n');

export const readSql = (name: 'supabase-roles.sql' | 'supabase-schemas.sql'): Promise<string> =>
  readFile(packageFile('src', 'sandbox', 'blueprint', name), 'utf8');

/** Dates stay text and large integers stay exact, as postgres-meta answers them. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) => {
    const { DATE, TIMESTAMP, TIMESTAMPTZ, INTERVAL, INT8 } = pg.types.builtins;
    if (oid === INT8) return (text: string) => (Number.isSafeInteger(Number(text)) ? Number(text) : text);
    if (oid === DATE || oid === TIMESTAMP || oid === TIMESTAMPTZ || oid === INTERVAL) return (text: string) => text;
    return pg.types.getTypeParser(oid, format);
  },
};

/** One connection; a lost one is answered by the next query, never by a crash of the process. */
export async function connect(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client({ connectionTimeoutMillis: 10_000, types, ...config });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Runs work on a connection and ends it in any case. */
export async function withClient<T>(opening: Promise<pg.Client>, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await opening;
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Statements that take the boot-only values of the environment. */
export function firstBootSql(database: string, first: FirstBoot): string {
  const name = pg.escapeIdentifier(database);
  return [
    `alter database ${name} set app.settings.jwt_secret = ${pg.escapeLiteral(first.jwtSecret)}`,
    `alter database ${name} set app.settings.jwt_exp = ${pg.escapeLiteral(first.jwtExpiry)}`,
  ].join(';\n');
}
