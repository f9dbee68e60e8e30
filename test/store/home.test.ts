import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { migrate, readMigrations } from '../../src/store/sqlite/migrate.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';

let place: ReturnType<typeof temporaryHome>;
beforeEach(() => {
  place = temporaryHome();
});
afterEach(() => place.remove());

const open = () => openRelayDesk(place.home, 'http://127.0.0.1:1');
const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof AppError ? error.code : `no AppError: ${String(error)}`;
};

test('a first start makes a private home with one key', async () => {
  (await open()).close();
  expect(statSync(place.home).mode & 0o777).toBe(0o700);
  expect(statSync(join(place.home, 'key.json')).mode & 0o777).toBe(0o600);
  expect(readdirSync(place.home).filter((name) => name.startsWith('key'))).toEqual(['key.json']);
});

test('a folder with things of others is neither taken nor changed; an empty, a new and an own one are', async () => {
  const at = (...names: string[]) => join(place.home, ...names);
  const openIn = async (folder: string) => openRelayDesk(folder, 'http://127.0.0.1:1').then((desk) => desk.close());
  mkdirSync(at('people', 'ann'), { recursive: true });
  chmodSync(at('people'), 0o755);
  expect(await codeOf(openIn(at('people')))).toBe('HOME_FOREIGN');
  expect(statSync(at('people')).mode & 0o777).toBe(0o755);
  expect(readdirSync(at('people'))).toEqual(['ann']);
  mkdirSync(at('volume', 'lost+found'), { recursive: true });
  mkdirSync(at('configured'));
  writeFileSync(at('configured', 'config.json'), '{}');
  for (const folder of [at('people', 'ann'), at('people', 'new', 'deep'), at('volume'), at('configured')]) {
    await openIn(folder);
    await openIn(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  }
});

test('a missing key is named and never replaced (S1)', async () => {
  (await open()).close();
  const key = join(place.home, 'key.json');
  renameSync(key, `${key}.away`);
  expect(await codeOf(open())).toBe('KEY_MISSING');
  expect(existsSync(key)).toBe(false);
  renameSync(`${key}.away`, key);
  (await open()).close();
});

test('a wrong or damaged key is refused', async () => {
  (await open()).close();
  const key = join(place.home, 'key.json');
  writeFileSync(key, JSON.stringify({ id: 'other', key: 'a'.repeat(64) }));
  expect(await codeOf(open())).toBe('KEY_WRONG');
  writeFileSync(key, 'nonsense');
  expect(await codeOf(open())).toBe('KEY_DAMAGED');
});

test('a damaged database is said so and left as it is', async () => {
  (await open()).close();
  const path = join(place.home, 'capstan.db');
  rmSync(`${path}-wal`, { force: true });
  rmSync(`${path}-shm`, { force: true });
  writeFileSync(path, 'this is no database, but it is long enough to be read as a header of one, is it not?'.repeat(20));
  const bytes = readFileSync(path, 'utf8');
  expect(await codeOf(open())).toBe('STORE_DAMAGED');
  expect(readFileSync(path, 'utf8')).toBe(bytes);
});

test('a newer schema is refused and unchanged (D3)', async () => {
  (await open()).close();
  const path = join(place.home, 'capstan.db');
  const database = new Database(path);
  database.pragma('user_version = 99');
  database.close();
  expect(await codeOf(open())).toBe('SCHEMA_NEWER');
});

test('a later migration copies the database first and is applied once (D3)', async () => {
  (await open()).close();
  const path = join(place.home, 'capstan.db');
  const more = [...readMigrations(), { name: '9999_more.sql', statements: ['create table more (n integer)'] }];
  const target = more.length;
  await Promise.all([1, 2, 3].map(() => migrate(path, join(place.home, 'migration.lock'), more)));
  const database = new Database(path, { readonly: true });
  expect(database.pragma('user_version', { simple: true })).toBe(target);
  database.close();
  expect(existsSync(`${path}.before-${target}`)).toBe(true);
  copyFileSync(`${path}.before-${target}`, path);
});

test('a process whose schema moved stops instead of writing (D3)', async () => {
  const desk = await open();
  const other = new Database(join(place.home, 'capstan.db'));
  other.pragma('user_version = 98');
  other.close();
  expect(await codeOf(desk.engine.start({ workflow: 'relay' }, { principal: 'p', door: 't' }))).toBe('UPGRADED_RESTART');
  desk.close();
});

test.skipIf(process.getuid?.() === 0)('a home that cannot be written is said so', async () => {
  chmodSync(place.home, 0o500);
  expect(await codeOf(openRelayDesk(join(place.home, 'inner'), 'http://127.0.0.1:1'))).toBe('HOME_UNUSABLE');
  chmodSync(place.home, 0o700);
});

test('secrets and artifacts are nowhere in clear, and come back (S1, S3)', async () => {
  const desk = await open();
  const canary = 'canary-4711-do-not-leak';
  const staged = desk.vault.stageSecret('test', 'name', canary);
  await desk.registry.keepSecrets([staged]);
  const artifact = await desk.vault.stageArtifact('plan', 'text/plain', `the plan holds ${canary}`);
  expect(await desk.vault.reveal(`secret:${staged.id}`)).toBe(canary);
  expect(await desk.vault.readArtifact(`artifact:${artifact.id}`)).toContain(canary);
  desk.close();
  const files = readdirSync(place.home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) expect(readFileSync(join(file.parentPath, file.name)).includes(canary)).toBe(false);
});
