/** What must be true after a killed run beyond what a Dokploy shows: read from folders, databases and other processes. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { capstan, jsonOf } from '../helpers/cli.ts';
import type { Seen } from './scenarios.ts';

const filesOf = ({ home, target }: Seen): string[] => {
  const folder = join(home, 'backups', target);
  return existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort() : [];
};
const indexOf = async ({ home }: Seen) => jsonOf(await capstan(home, ['backups', 'list', '--json']))['backups'] as { id: string }[];

/** No session of a dead process works on the database any more. */
async function nobodyIsLeft({ sql, database }: Seen): Promise<void> {
  expect(await sql(`select application_name from pg_stat_activity where datname = '${database}'`)).toEqual([]);
}

/** One backup that another process finds whole, in the index and in the store, and nothing beside it. */
export async function wholeBackup(seen: Seen): Promise<void> {
  await nobodyIsLeft(seen);
  const [row, ...others] = await indexOf(seen);
  expect(others).toEqual([]);
  const files = filesOf(seen);
  expect(files.filter((name) => /unfinished|note/.test(name))).toEqual([]);
  expect(files).toContain(join(row?.id ?? '', 'manifest.json'));
  expect((await capstan(seen.home, ['backups', 'verify', row?.id ?? '', '--json'])).exit).toBe(0);
}

/** Neither a file nor an entry. */
export async function noBackup(seen: Seen): Promise<void> {
  await nobodyIsLeft(seen);
  expect([await indexOf(seen), filesOf(seen)]).toEqual([[], []]);
}

/** The service of the bridge is gone. */
export async function noBridge({ services }: Seen): Promise<void> {
  expect((await services()).filter((name) => name.startsWith('capstan-bridge'))).toEqual([]);
}

const numbers = async ({ sql }: Seen, database: string) =>
  (await sql('select count(*)::int as n, max(id) as last from public.kept', database))[0];
const databasesLike = async ({ sql, database }: Seen) =>
  (
    await sql(`select datname as name from pg_database where starts_with(datname, '${database}') and datname !~ '_and_back' order by 1`)
  ).map(({ name }) => String(name));

/** The backup's rows and functions are in use, what was in use is kept whole and backed up, grants are those of the backup, no session is left. */
export async function restoredInPlace(seen: Seen): Promise<void> {
  await nobodyIsLeft(seen);
  expect(seen.functionText).toContain('Hello from Edge Functions!');
  const [, kept, ...others] = await databasesLike(seen);
  expect(others).toEqual([]);
  expect(await numbers(seen, seen.database)).toEqual({ n: 1000, last: 1000 });
  expect(await numbers(seen, kept ?? '')).toEqual({ n: 1001, last: 1001 });
  expect(await seen.sql(`select has_table_privilege('anon', 'public.kept', 'select') as granted`, seen.database)).toEqual([
    { granted: true },
  ]);
  const [safety, , ...more] = await indexOf(seen);
  expect(more).toEqual([]);
  expect((await capstan(seen.home, ['backups', 'verify', safety?.id ?? '', '--json'])).exit).toBe(0);
}

/** What was in use is in use again, the copy waits beside it, and no safety backup that failed is left. */
export async function givenBack(seen: Seen): Promise<void> {
  await nobodyIsLeft(seen);
  expect(await numbers(seen, seen.database)).toEqual({ n: 1000, last: 1000 });
  expect(await seen.sql(`select relname from pg_class where relname = 'torn'`, seen.database)).toEqual([{ relname: 'torn' }]);
  const [, copy, ...others] = await databasesLike(seen);
  expect(others).toEqual([]);
  expect(await numbers(seen, copy ?? '')).toEqual({ n: 1000, last: 1000 });
  expect(await indexOf(seen)).toHaveLength(1);
}

/** What was in use is in use, and nothing of the restore but its safety backup is left. */
export async function untouched(seen: Seen): Promise<void> {
  await nobodyIsLeft(seen);
  expect(seen.functionText).toBe('changed again');
  expect(await numbers(seen, seen.database)).toEqual({ n: 1001, last: 1001 });
  expect(await onlyDatabase(seen)).toBe(true);
}

/** No copy is left beside it. */
async function onlyDatabase({ sql, database }: Seen): Promise<boolean> {
  const rows = await sql(`select datname as name from pg_database where datname ~ '^${database}(_restored|_before|$)'`);
  return rows.length === 1 && rows[0]?.['name'] === database;
}

/** Schemas by name, each with its numbers, and the schemas that a foreign key and a trigger of another schema lead to. */
async function schemasOf({ sql, database }: Seen) {
  const names = (await sql("select nspname as name from pg_namespace where nspname ~ '^public' order by 1", database)).map(({ name }) =>
    String(name),
  );
  const held = await sql(
    `select confrelid::regclass::text as name from pg_constraint where conrelid = 'beside.uses'::regclass and contype = 'f'
     union all select tgfoid::regproc::text from pg_trigger where tgrelid = 'beside.uses'::regclass and not tgisinternal`,
    database,
  );
  const last = (name: string) => sql(`select max(id) as last from ${name}.kept`, database).then((rows) => rows[0]?.['last']);
  return { schemas: await Promise.all(names.map(async (name) => ({ name, last: await last(name) }))), held: held.map(({ name }) => name) };
}

/** The backup's rows are in the schema, what was in it is kept beside it, others point to the new one, and the copy is gone. */
export async function schemaExchanged(seen: Seen): Promise<void> {
  await nobodyIsLeft(seen);
  expect(await schemasOf(seen)).toEqual({
    schemas: [
      { name: 'public', last: 1000 },
      { name: expect.stringMatching(/^public_before_\d{14}$/), last: 1001 },
    ],
    held: ['kept', 'same'],
  });
  expect(await onlyDatabase(seen)).toBe(true);
}

/** As if it had never been. */
export async function schemaAsBefore(seen: Seen): Promise<void> {
  await nobodyIsLeft(seen);
  expect(await schemasOf(seen)).toEqual({ schemas: [{ name: 'public', last: 1001 }], held: ['kept', 'same'] });
  expect(await onlyDatabase(seen)).toBe(true);
}
