/** Figures of the SQL tools over a real MCP client, a real server process and a real Postgres, each beside a reference of the same run. One JSON document. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { generateTypescript, sortGeneratorMetadata } from '@supabase/postgrest-typegen';
import { introspect } from '@supabase/postgrest-typegen/introspection';
import pg from 'pg';
import { addDatabaseTarget } from './database-target.ts';
import { startServer, type TestServer, urlOf } from './databases.ts';
import { temporaryHome } from './desk.ts';
import { connect, mainFile, type TestClient } from './mcp-clients.ts';

const major = 15;
const round = (value: number) => Math.round(value * 10) / 10;

async function timed<T>(work: () => Promise<T>): Promise<{ ms: number; value: T }> {
  const began = performance.now();
  const value = await work();
  return { ms: round(performance.now() - began), value };
}

async function median(times: number, work: () => Promise<unknown>): Promise<number> {
  const all: number[] = [];
  for (let count = 0; count < times; count += 1) all.push((await timed(work)).ms);
  return all.sort((a, b) => a - b)[Math.floor(times / 2)] ?? 0;
}

/** Tables with a key, eight columns, an index, a reference and a policy each. */
function schemaSql(tables: number): string[] {
  return Array.from({ length: tables }, (_, index) => {
    const name = `public.t_${String(index).padStart(4, '0')}`;
    const before = `public.t_${String(Math.max(0, index - 1)).padStart(4, '0')}`;
    return `create table ${name} (id bigint generated always as identity primary key, title text not null, body jsonb, amount numeric(10,2),
      made timestamptz not null default now(), owner uuid, done boolean default false, parent bigint references ${before});
      create index on ${name} (owner); alter table ${name} enable row level security; create policy own on ${name} using (true)`;
  });
}

async function fill(server: TestServer, tables: number): Promise<string> {
  const database = await server.clone();
  const admin = await server.admin(database);
  const all = schemaSql(tables);
  for (let from = 0; from < all.length; from += 50) await admin.query(all.slice(from, from + 50).join(';'));
  await admin.query(
    'create table public.rows as select n as id, md5(n::text) as text, now() as at from generate_series(1, 50000) n; analyze',
  );
  return database;
}

async function bare(server: TestServer, database: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: urlOf(server, 'postgres', database) });
  await client.connect();
  return client;
}

/** The official CLI where CAPSTAN_TEST_SUPABASE_CLI names it: it is 140 MB and no dependency of ours. */
async function cliTypes(server: TestServer, database: string): Promise<number | null> {
  const cli = process.env['CAPSTAN_TEST_SUPABASE_CLI'];
  if (cli === undefined) return null;
  const args = ['gen', 'types', `--db-url=${urlOf(server, 'postgres', database)}?sslmode=disable`, '--schema', 'public'];
  const env = { PATH: process.env['PATH'] ?? '', HOME: '/tmp', SUPABASE_TELEMETRY_DISABLED: '1' };
  return (await timed(() => promisify(execFile)(cli, args, { env, maxBuffer: 64 * 1024 * 1024 }))).ms;
}

function memoryOf(pid: number): { residentMb: number; highestMb: number } | null {
  if (process.platform !== 'linux') return null;
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const read = (key: string) => round(Number(new RegExp(`${key}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) / 1024);
  return { residentMb: read('VmRSS'), highestMb: read('VmHWM') };
}

/** An answer that is an error ends the bench: no figure stands for something that failed. */
async function ask(client: TestClient, tool: string, args: Record<string, unknown>): Promise<Record<string, unknown>> {
  const answer = await client.raw(tool, args);
  if (answer.isError === true || answer.structuredContent === undefined) throw new Error(`${tool}: ${answer.content[0]?.text}`);
  return answer.structuredContent;
}

async function schemaFigures(client: TestClient, server: TestServer, target: string, database: string) {
  const first = await timed(() => ask(client, 'inspect_schema', { target }));
  const inspectMs = await median(5, () => ask(client, 'inspect_schema', { target }));
  const types = await timed(() => ask(client, 'generate_types', { target }));
  const typesMs = await median(3, () => ask(client, 'generate_types', { target }));
  const pgClient = await bare(server, database);
  const columnsMs = await median(5, () =>
    pgClient.query(
      "select table_name, column_name, data_type, is_nullable, column_default from information_schema.columns where table_schema = 'public'",
    ),
  );
  // The library asks ten things at once, which one connection does not like.
  const pool = new pg.Pool({ connectionString: urlOf(server, 'postgres', database), max: 4 });
  const library = await timed(async () =>
    generateTypescript(sortGeneratorMetadata(await introspect(pool, { includedSchemas: ['public'] })), {
      detectOneToOneRelationships: true,
    }),
  );
  await Promise.all([pgClient.end(), pool.end()]);
  return {
    inspectSchemaFirstMs: first.ms,
    inspectSchemaMs: inspectMs,
    tables: first.value['total'],
    generateTypesFirstMs: types.ms,
    generateTypesMs: typesMs,
    reference: {
      barePgInformationSchemaColumnsMs: columnsMs,
      typegenLibraryInProcessMs: library.ms,
      supabaseCliMs: await cliTypes(server, database),
    },
  };
}

/** In turns, so that a busy moment of the machine meets all of them; a moment between two calls, as an agent leaves one. */
async function statementFigures(client: TestClient, server: TestServer, target: string, database: string) {
  const sql = 'select id, text from public.rows where id < 10';
  const held = await bare(server, database);
  const ways = {
    executeSqlMs: () => ask(client, 'execute_sql', { target, sql }),
    barePgHeldConnectionMs: () => held.query(sql),
    barePgWithLoginMs: async () => {
      const one = await bare(server, database);
      await one.query(sql);
      await one.end();
    },
    toolThatReadsTheStoreMs: () => ask(client, 'list_targets', {}),
  };
  const all: Record<string, number[]> = {};
  for (let round = 0; round < 120; round += 1)
    for (const [name, way] of Object.entries(ways)) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      all[name] = [...(all[name] ?? []), (await timed<unknown>(way)).ms];
    }
  await held.end();
  const middle = (name: keyof typeof ways) => (all[name] ?? []).sort((a, b) => a - b)[60] ?? 0;
  const { executeSqlMs, ...reference } = Object.fromEntries(
    Object.keys(ways).map((name) => [name, middle(name as keyof typeof ways)]), // its own keys
  );
  return { executeSqlMs, overheadOverPgMs: round((executeSqlMs ?? 0) - middle('barePgHeldConnectionMs')), reference };
}

async function spillFigures(client: TestClient, server: TestServer, target: string, database: string) {
  const sql = 'select * from public.rows';
  const before = memoryOf(client.pid);
  const spilled = await timed(() => ask(client, 'execute_sql', { target, sql, limit: 50_000 }));
  const held = await bare(server, database);
  const whole = await timed(() => held.query(sql));
  await held.end();
  return {
    rows: spilled.value['rowCount'] ?? null,
    spilledToFile: spilled.value['file'] !== undefined,
    ms: spilled.ms,
    memoryBefore: before,
    memoryAfter: memoryOf(client.pid),
    reference: { barePgSelectMs: whole.ms, rows: whole.value.rows.length },
  };
}

const server = await startServer(major);
const place = temporaryHome();
try {
  const databases = { small: await fill(server, 100), large: await fill(server, 1_000) };
  for (const [name, database] of Object.entries(databases)) await addDatabaseTarget({ home: place.home, name, server, database });
  const open = () => connect('modern', { home: place.home, program: [mainFile, 'serve', '--toolsets', 'development', '--rate', '100000'] });
  const figures: Record<string, unknown> = { postgres: major };
  for (const [name, database] of Object.entries(databases)) {
    const client = await open();
    figures[name === 'small' ? 'tables100' : 'tables1000'] = await schemaFigures(client, server, name, database);
    await client.close();
  }
  const client = await open();
  figures['statement'] = await statementFigures(client, server, 'small', databases.small);
  figures['spill50000Rows'] = await spillFigures(client, server, 'small', databases.small);
  await client.close();
  console.log(JSON.stringify(figures));
} finally {
  await server.stop();
  place.remove();
}
