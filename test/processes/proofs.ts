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
  expect(await seen.sql(`select datname as name from pg_database where starts_with(datname, '${seen.database}')`)).toEqual([
    { name: seen.database },
  ]);
}
