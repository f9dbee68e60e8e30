/** The backup workflow on a real Postgres, through the real engine: what lies in the store afterwards is judged by gpg, zstd and pg_restore. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { packageFile } from '../../src/package-root.ts';
import { type BackupApp, openBackupApp, removeHome } from '../helpers/backup-app.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'gpg', 'zstd');
let postgres: TestPostgres;
let at: BackupApp;
beforeAll(async () => {
  if (why) return;
  postgres = await startTestPostgres();
  await postgres.sql(readFileSync(packageFile('test/fixtures/nasty-schema.sql'), 'utf8'));
  await postgres.sql('create database _supabase');
  await postgres.sql(
    'create schema _supavisor; create table _supavisor.tenants (id int); insert into _supavisor.tenants values (7)',
    '_supabase',
  );
}, 60_000);
afterAll(async () => postgres?.stop());
beforeEach(async () => {
  if (why) return;
  at = await openBackupApp();
  await at.addTarget('shop', postgres.url());
});
afterEach(async () => {
  await at?.close();
  if (at) removeHome(at.home);
});

type Output = { backup: string; missing: { part: string }[]; warnings: { code: string }[]; verified: { rows: number } };
const filesOf = (id: string) => readdirSync(join(at.home, 'backups', 'shop', id)).sort();
const passphrase = async () => {
  const [key] = await at.app.backups.keys();
  return at.app.vault.reveal(key?.secret ?? '');
};

test.skipIf(why)('a full backup opens without us, names what is missing and warns that its key has no copy', async () => {
  const view = await at.run('create_backup', { target: 'shop' });
  expect(view.error).toBeUndefined();
  expect(view.status).toBe('done');
  const output = view.output as Output; // the machine's own output
  expect(output.missing.map(({ part }) => part)).toEqual(['environment', 'vault root key', 'functions folder']);
  expect(view.warnings.map(({ code }) => code).sort()).toEqual(['BACKUP_INCOMPLETE', 'KEY_NOT_ESCROWED']);
  const { n } = (await postgres.sql('select count(*)::int as n from public."Häuser und ""Höfe"""'))[0] as { n: number };
  expect(output.verified.rows).toBeGreaterThan(n);
  expect(filesOf(output.backup)).toEqual([
    'database-0.contents.json.zst.pgp',
    'database-0.dump.zst.pgp',
    'database-1.contents.json.zst.pgp',
    'database-1.dump.zst.pgp',
    'manifest.json',
    'roles.contents.json.zst.pgp',
    'roles.sql.zst.pgp',
  ]);
  const folder = join(at.home, 'backups', 'shop', output.backup);
  const open = (file: string, then: string) =>
    execFileSync(
      '/bin/sh',
      [
        '-c',
        `gpg --homedir "$1" --batch -q --pinentry-mode loopback --passphrase-fd 0 -d "$0" | zstd -dc | ${then}`,
        join(folder, file),
        at.home,
      ],
      {
        input: passphraseText,
        encoding: 'utf8',
        maxBuffer: 1e8,
      },
    );
  const passphraseText = await passphrase();
  expect(open('database-1.dump.zst.pgp', 'pg_restore -f -')).toContain('_supavisor');
  const roles = open('roles.sql.zst.pgp', 'cat');
  expect(roles).toContain('CREATE ROLE "App Löwe" LOGIN INHERIT PASSWORD \'SCRAM-SHA-256$');
  // Nothing of the passphrase, the password or the rows is readable in the store.
  for (const file of readdirSync(folder)) {
    const bytes = readFileSync(join(folder, file));
    for (const secret of [passphraseText, postgres.password, 'canary-mapping-secret', 'Häuser'])
      expect(bytes.includes(secret), file).toBe(false);
  }
  expect((await at.app.backups.backups()).map(({ id, target }) => [id, target])).toEqual([[output.backup, 'shop']]);
  expect(JSON.stringify(view)).not.toContain(passphraseText);
});

test.skipIf(why)('schema only and data only hold what they say', async () => {
  const schema = (await at.run('backup', { target: 'shop', kind: 'schema', parts: ['database'] })).output as Output;
  const data = (await at.run('backup', { target: 'shop', kind: 'data', parts: ['database'] })).output as Output;
  expect([schema.verified.rows, data.verified.rows > 0, schema.missing, data.missing]).toEqual([0, true, [], []]);
});

test.skipIf(why)('a truncated, bit-flipped, swapped or renamed file, and a changed manifest, are found by verifying', async () => {
  const { backup: id } = (await at.run('backup', { target: 'shop', kind: 'schema' })).output as Output;
  const { backup: other } = (await at.run('backup', { target: 'shop', kind: 'schema' })).output as Output;
  const path = (name: string, of = id) => join(at.home, 'backups', 'shop', of, name);
  const verify = async () => {
    try {
      await at.app.verifyBackup(id);
      return 'whole';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  expect(await verify()).toBe('whole');
  const damage = async (name: string, how: (file: string) => void) => {
    const before = readFileSync(path(name));
    how(path(name));
    const found = await verify();
    writeFileSync(path(name), before);
    return found;
  };
  const flip = (file: string) => {
    const bytes = readFileSync(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 4;
    writeFileSync(file, bytes);
  };
  for (const name of ['database-0.dump.zst.pgp', 'database-0.contents.json.zst.pgp', 'roles.sql.zst.pgp']) {
    expect([name, await damage(name, flip)]).toEqual([name, 'BACKUP_DAMAGED']);
    expect([name, await damage(name, (file) => truncateSync(file, readFileSync(file).length - 1))]).toEqual([name, 'BACKUP_DAMAGED']);
    expect([name, await damage(name, (file) => writeFileSync(file, readFileSync(path(name, other))))]).toEqual([name, 'BACKUP_DAMAGED']);
    expect([name, await damage(name, (file) => rmSync(file))]).toEqual([name, 'BACKUP_FILE_MISSING']);
  }
  expect(await damage('manifest.json', (file) => writeFileSync(file, readFileSync(file, 'utf8').replace('"shop"', '"shoq"')))).toBe(
    'MANIFEST_DAMAGED',
  );
  expect(await damage('manifest.json', (file) => writeFileSync(file, readFileSync(path('manifest.json', other))))).toBe('MANIFEST_DAMAGED');
  renameSync(path('roles.sql.zst.pgp'), path('roles2.sql.zst.pgp'));
  expect(await verify()).toBe('BACKUP_FILE_MISSING');
  renameSync(path('roles2.sql.zst.pgp'), path('roles.sql.zst.pgp'));
  expect(await verify()).toBe('whole');
});

test.skipIf(why)('without a direct connection, with a wrong password or an unknown store nothing begins', async () => {
  await at.addTarget('wrong', postgres.url('postgres', 'supabase_admin', 'no'));
  await at.app.registry.addTarget({ name: 'none', kind: 'self-hosted', tags: [], record: { url: '', secrets: {}, facts: {} } }, []);
  const codes = [];
  for (const input of [{ target: 'wrong' }, { target: 'none' }, { target: 'shop', store: 'nowhere' }, { target: 'nobody' }]) {
    const view = await at.run('backup', input);
    codes.push([view.status, view.error?.code]);
  }
  expect(codes).toEqual([
    ['failed', 'DATABASE_REFUSED'],
    ['failed', 'DATABASE_URL_MISSING'],
    ['failed', 'STORE_UNKNOWN'],
    ['failed', 'TARGET_UNKNOWN'],
  ]);
});

test.skipIf(why)('a rollback takes the backup away, file by file and out of the index', async () => {
  const view = await at.run('backup', { target: 'shop', kind: 'schema' });
  await at.app.engine
    .rollback({ run: view.runId, to: 0 }, { principal: 'tester', door: 'test' })
    .catch(async (error: { details?: { approval?: string } }) => {
      await at.app.engine.approve(String(error.details?.approval), { principal: 'person', level: 'terminal', door: 'test' });
    });
  expect((await at.rest(view.runId)).status).toBe('cancelled');
  expect([readdirSync(join(at.home, 'backups', 'shop')), await at.app.backups.backups()]).toEqual([[], []]);
});
