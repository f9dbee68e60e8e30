/** Who can open a backup: judged by gpg alone, by another home, and by a person at a terminal. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { compareCatalogs } from '../../src/effects/backup/compare-catalogs.ts';
import { findPgClients } from '../../src/effects/backup/programs.ts';
import { packageFile } from '../../src/package-root.ts';
import { type BackupApp, openBackupApp, removeHome } from '../helpers/backup-app.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { atTerminal, capstan, jsonOf, whyNoTerminal } from '../helpers/cli.ts';
import { startServer, urlOf } from '../helpers/databases.ts';
import { catalogOf } from '../helpers/restore-stage.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'gpg', 'zstd');
const whyNot = why ?? whyNoTerminal();
const newest = Math.max(0, ...(await findPgClients('pg_dump')).map(({ major }) => major));
let postgres: TestPostgres;
let folder: string;
let at: BackupApp;
beforeAll(async () => {
  if (why) return;
  folder = mkdtempSync(join(tmpdir(), 'capstan-keys-'));
  postgres = await startTestPostgres();
  await postgres.sql(readFileSync(packageFile('test/fixtures/nasty-schema.sql'), 'utf8'));
}, 60_000);
afterAll(async () => {
  await postgres?.stop();
  if (!folder) return;
  for (const who of ['reader', 'stranger', 'owner', 'nobody']) spawnSync('gpgconf', ['--homedir', join(folder, who), '--kill', 'all']);
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  if (why) return;
  at = await openBackupApp();
  await at.addTarget('shop', postgres.url());
});
afterEach(async () => {
  await at?.close();
  if (at) removeHome(at.home);
});

/** A gpg of a person of their own, with a key pair where they are to have one. */
function gpgOf(who: string, pair: boolean): string[] {
  const homedir = join(folder, who);
  mkdirSync(homedir, { mode: 0o700 });
  const gpg = ['--homedir', homedir, '--batch', '-q', '--pinentry-mode', 'loopback'];
  if (pair)
    execFileSync(
      'gpg',
      [...gpg, '--passphrase', '', '--quick-generate-key', `${who} <${who}@example.com>`, 'default', 'default', 'never'],
      {
        stdio: 'ignore',
      },
    );
  return gpg;
}

const textOf = (database: string) =>
  execFileSync('pg_dump', [postgres.url(database)], { encoding: 'utf8', maxBuffer: 1e8 })
    .replaceAll(/^\\(un)?restrict .*$/gm, '')
    .replaceAll(/^-- (Dumped|Started|Completed).*$/gm, '');

type Output = { backup: string };
const pathOf = (id: string, name: string) => join(at.home, 'backups', 'shop', id, name);

test.skipIf(why)(
  'a recipient opens a backup with the private key alone, and pg_restore makes the same database of it',
  async () => {
    const reader = gpgOf('reader', true);
    const stranger = gpgOf('stranger', true);
    const armored = execFileSync('gpg', [...reader, '--armor', '--export'], { encoding: 'utf8' });
    const { fingerprint } = await at.app.backupKeys.addRecipient(armored);
    const view = await at.run('backup', { target: 'shop', parts: ['database', 'roles'] });
    // A copy that somebody else can open is one.
    expect([view.status, view.warnings.map(({ code }) => code)]).toEqual(['done', []]);
    const { backup: id } = view.output as Output;
    expect(readFileSync(pathOf(id, 'manifest.json'), 'utf8')).toContain(fingerprint);
    const file = pathOf(id, 'database-0.dump.zst.pgp');
    await postgres.sql('create database opened template template0');
    const pipe = 'gpg "$@" -d "$FILE" | zstd -dc | pg_restore --exit-on-error -d "$URL"';
    execFileSync('bash', ['-o', 'pipefail', '-c', pipe, 'bash', ...reader], {
      env: { ...process.env, FILE: file, URL: postgres.url('opened') },
    });
    expect(compareCatalogs(await catalogOf(postgres, 'postgres'), await catalogOf(postgres, 'opened'))).toMatchObject({ differences: [] });
    expect(textOf('opened')).toBe(textOf('postgres'));
    const other = spawnSync('gpg', [...stranger, '-d', file], { maxBuffer: 1e9 });
    expect([other.status, other.stdout.length]).not.toEqual([0, 0]);
    expect(other.stdout.length).toBe(0);
    const removed = await at.app.backupKeys.removeRecipient(fingerprint);
    const later = (await at.run('backup', { target: 'shop', kind: 'schema', parts: ['database'] })).output as Output;
    const refused = spawnSync('gpg', [...reader, '-d', pathOf(later.backup, 'database-0.dump.zst.pgp')], { maxBuffer: 1e9 });
    expect([removed, refused.status === 0, refused.stdout.length]).toEqual([true, false, 0]);
  },
  120_000,
);

test.skipIf(why)(
  'after a rotation each backup opens with the passphrase of its own version alone, and Capstan still reads both',
  async () => {
    const owner = gpgOf('owner', false);
    const older = (await at.run('backup', { target: 'shop', parts: ['roles'] })).output as Output;
    await at.app.backupKeys.rotate();
    const newer = (await at.run('backup', { target: 'shop', parts: ['roles'] })).output as Output;
    const [second, first] = await Promise.all((await at.app.backups.keys()).map(({ secret }) => at.app.vault.reveal(secret)));
    const opens = ({ backup }: Output, passphrase = '') =>
      spawnSync('gpg', [...owner, '--passphrase-fd', '0', '-d', pathOf(backup, 'roles.sql.zst.pgp')], { input: passphrase }).status === 0;
    expect([opens(older, first), opens(older, second), opens(newer, first), opens(newer, second)]).toEqual([true, false, false, true]);
    const versions = [older, newer].map(
      ({ backup }) => JSON.parse(readFileSync(pathOf(backup, 'manifest.json'), 'utf8')).encryption.keyVersion,
    );
    expect(versions).toEqual([1, 2]);
    for (const { backup } of [older, newer]) expect((await at.app.verifyBackup(backup)).id).toBe(backup);
  },
);

test.skipIf(why)('a wrong passphrase opens nothing, with gpg or in another home', async () => {
  const nobody = gpgOf('nobody', false);
  const { backup: id } = (await at.run('backup', { target: 'shop', parts: ['roles'] })).output as Output;
  const opened = spawnSync('gpg', [...nobody, '--passphrase-fd', '0', '-d', pathOf(id, 'roles.sql.zst.pgp')], {
    input: 'a wrong passphrase',
  });
  expect([opened.status === 0, opened.stdout.length]).toEqual([false, 0]);
  const [key] = await at.app.backups.keys();
  const other = await openBackupApp();
  try {
    await other.app.backups.addStore({ name: 'there', record: { kind: 'folder', folder: join(at.home, 'backups') } }, []);
    const adopt = () => other.app.adoptBackups('shop', 'there');
    await expect(adopt()).rejects.toMatchObject({ code: 'BACKUP_KEY_UNKNOWN', details: { keyId: key?.keyId } });
    const staged = other.app.vault.stageSecret('backup-keys', 'wrong', 'another passphrase altogether');
    await other.app.backups.addKey({ keyId: key?.keyId ?? '', secret: `secret:${staged.id}` }, [staged]);
    await expect(adopt()).rejects.toMatchObject({ code: 'MANIFEST_DAMAGED' });
    expect(await other.app.backups.backups()).toEqual([]);
  } finally {
    await other.close();
    removeHome(other.home);
  }
});

test.skipIf(whyNot)(
  'key export writes the sheet at a terminal only; its word confirms the key, and then backups may run by the clock',
  async () => {
    await at.run('backup', { target: 'shop', parts: ['roles'] });
    const sheet = join(at.home, 'sheet.txt');
    const schedule = ['backups', 'schedule-add', 'nightly', '--target', 'shop', '--cron', '30 3 * * *', '--json'];
    const early = await capstan(at.home, schedule);
    expect(jsonOf(early)).toMatchObject({ error: { code: 'KEY_NOT_ESCROWED' } });
    const script = await capstan(at.home, ['key', 'export', '--to', sheet, '--json']);
    expect([script.exit === 0, jsonOf(script)]).toEqual([false, { error: expect.objectContaining({ code: 'TERMINAL_REQUIRED' }) }]);
    const asked = 'To write it, type: export';
    const wrong = await atTerminal(at.home, ['key', 'export', '--to', sheet], [{ when: asked, type: 'yes\r' }]);
    expect(wrong.screen).toContain('NOT_CONFIRMED');
    const written = await atTerminal(at.home, ['key', 'export', '--to', sheet], [{ when: asked, type: 'export\r' }]);
    expect([written.exit, statSync(sheet).mode & 0o777]).toEqual([0, 0o600]);
    const text = readFileSync(sheet, 'utf8');
    const passphrase = await at.app.vault.reveal((await at.app.backups.keys())[0]?.secret ?? '');
    expect(text).toContain(passphrase);
    expect(written.screen).not.toContain(passphrase);
    const again = await atTerminal(at.home, ['key', 'export', '--to', sheet], [{ when: asked, type: 'export\r' }]);
    expect(again.screen).toContain('FILE_EXISTS');
    const word = /^confirmation word: (\w+)/m.exec(text)?.[1] ?? '';
    const question = 'Confirmation word of the recovery sheet';
    const mistyped = await atTerminal(at.home, ['key', 'confirm'], [{ when: question, type: 'zzzzzz\r' }]);
    expect(mistyped.screen).toContain('CONFIRMATION_WRONG');
    expect((await atTerminal(at.home, ['key', 'confirm'], [{ when: question, type: `${word}\r` }])).exit).toBe(0);
    expect((await capstan(at.home, schedule)).exit).toBe(0);
  },
  60_000,
);

test.skipIf(why ?? newest >= 17)(
  'a server newer than every pg_dump here is refused before anything begins, with the command that helps',
  async () => {
    const newer = await startServer(17);
    try {
      await at.addTarget('seventeen', urlOf(newer, 'supabase_admin'));
      const view = await at.run('backup', { target: 'seventeen' });
      const refused = view.error;
      expect([view.status, refused?.code]).toEqual(['failed', 'PG_CLIENT_TOO_OLD']);
      expect(refused?.message).toContain('The server is Postgres 17');
      expect(refused?.fix).toContain('apt-get install -y postgresql-client-17');
    } finally {
      await newer.stop();
    }
  },
  60_000,
);
