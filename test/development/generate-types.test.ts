/**
 * The types are those of `supabase gen types`. Its CLI 2.118.0, which carries the version of the library that runs on Node 20, was asked on
 * this schema and recorded; it prints them unformatted and says which formatter to use. With CAPSTAN_TEST_SUPABASE_CLI it is asked again.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateTypes } from '../../src/effects/postgres/generate-types.ts';
import { openSession } from '../../src/effects/postgres/open.ts';
import type { SqlSession } from '../../src/effects/postgres/session.ts';
import { packageFile } from '../../src/package-root.ts';
import { majors, startServer, type TestServer, urlOf } from '../helpers/databases.ts';
import { errorOf } from '../helpers/dokploy-lab.ts';
import { hostile, hostileSchemaSql, shopSql } from '../helpers/hostile-schema.ts';

const recording = new URL('../fixtures/supabase-types.txt', import.meta.url);
const cli = process.env['CAPSTAN_TEST_SUPABASE_CLI'];

type Formatter = (file: string, code: string, options: object) => Promise<{ code: string }>;

/** The formatter that the CLI names, in the version and with the settings of Supabase's own library. */
async function formatted(code: string): Promise<string> {
  const library = createRequire(createRequire(import.meta.url).resolve('@supabase/postgrest-typegen'));
  const oxfmt: { format: Formatter } = await import(library.resolve('oxfmt'));
  return (await oxfmt.format('types.ts', code, { semi: false, printWidth: 80 })).code;
}

/** What the compiler says of a file of its own, strict; empty when it is right. */
function compile(code: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-types-'));
  try {
    writeFileSync(join(folder, 'types.ts'), code);
    const args = [packageFile('node_modules', 'typescript', 'bin', 'tsc'), '--noEmit', '--strict', '--types', '', join(folder, 'types.ts')];
    return spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' }).stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe.each(majors)('the types of a database on Postgres %i', (major) => {
  let server: TestServer;
  let session: SqlSession;
  let database: string;
  beforeAll(async () => {
    server = await startServer(major);
    database = await server.clone();
    const admin = await server.admin(database);
    await admin.query(shopSql + hostileSchemaSql);
    await admin.query(`grant usage on schema "${hostile.schema.replaceAll('"', '""')}" to postgres, supabase_read_only_user`);
    const address = { host: '127.0.0.1', port: server.port, database, user: 'supabase_read_only_user', password: server.password };
    session = await openSession({ name: 'lab', reach: {}, addresses: [{ ...address, ssl: 'disable' }] }, 'read');
  });
  afterAll(async () => {
    await session?.close();
    await server?.stop();
  });

  test('are the text that supabase gen types gives', async () => {
    const { text, tables, views, functions } = await generateTypes(session, { schemas: ['public'] });
    if (cli !== undefined) {
      const url = `${urlOf(server, 'postgres', database)}?sslmode=disable`;
      const env = { PATH: process.env['PATH'] ?? '', HOME: '/tmp', SUPABASE_TELEMETRY_DISABLED: '1' };
      const { stdout } = await promisify(execFile)(cli, ['gen', 'types', `--db-url=${url}`, '--schema', 'public'], { env });
      writeFileSync(recording, stdout);
    }
    expect(text).toBe(await formatted(readFileSync(recording, 'utf8')));
    expect({ tables, views, functions }).toMatchObject({ tables: 7, views: 2 });
  });

  test('names that are no identifiers are quoted in them: the compiler finds each where it belongs', async () => {
    const { text } = await generateTypes(session, { schemas: [hostile.schema] });
    const [schema, table] = [JSON.stringify(hostile.schema), JSON.stringify(hostile.table)];
    const names = [hostile.column, hostile.bidi, hostile.lineEnd].map((name) => JSON.stringify(name)).join(' | ');
    const use = `
      type Row = Database[${schema}]["Tables"][${table}]["Row"];
      type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
      export const all: Same<keyof Row, ${names}> = true;
      export const id: Same<Row[${JSON.stringify(hostile.column)}], number> = true;`;
    expect(compile(text + use)).toBe('');
    // The compiler does see a wrong one.
    expect(compile(`${text}${use.replace('number>', 'string>')}`)).toContain('TS2322');
  });

  test('a schema that is not there is refused by name, not answered by an empty type', async () => {
    expect(await errorOf(generateTypes(session, { schemas: ['public', 'nope'] }))).toMatchObject({
      code: 'SCHEMA_UNKNOWN',
      message: expect.stringContaining('"nope"'),
    });
  });
});
