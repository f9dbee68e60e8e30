/** Bytes of storage objects: from a storage service into a backup that tar opens, and back into another one. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { restoreObjects } from '../../src/effects/backup/unpack-objects.ts';
import { openBackup } from '../../src/effects/backup/verify.ts';
import { type BackupApp, openBackupApp, removeHome } from '../helpers/backup-app.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { type FakeStorage, startFakeStorage } from '../helpers/fake-storage.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'gpg', 'zstd', 'tar');
let postgres: TestPostgres;
let at: BackupApp;
let storage: FakeStorage;
beforeAll(async () => {
  if (why) return;
  postgres = await startTestPostgres();
}, 60_000);
afterAll(async () => postgres?.stop());
beforeEach(async () => {
  if (why) return;
  at = await openBackupApp();
  storage = await startFakeStorage();
  await postgres.sql(
    `delete from storage.objects; delete from storage.buckets; insert into storage.buckets (id, name) values ('avatars', 'avatars'), ('b 2', 'b 2')`,
  );
});
afterEach(async () => {
  await at?.close();
  await storage?.close();
  if (at) removeHome(at.home);
});

async function addTarget(key = storage.key): Promise<void> {
  const staged = ['databaseUrl', 'serviceRoleKey'].map((name) =>
    at.app.vault.stageSecret('target:shop', name, name === 'databaseUrl' ? postgres.url() : key),
  );
  const secrets = { databaseUrl: `secret:${staged[0]?.id}`, serviceRoleKey: `secret:${staged[1]?.id}` };
  await at.app.registry.addTarget(
    { name: 'shop', kind: 'self-hosted', tags: [], record: { url: storage.url, secrets, facts: {} } },
    staged,
  );
}

async function put(name: string, bytes: FakeStorageBytes, type = 'image/png'): Promise<void> {
  storage.objects.set(name, { bytes, type, cache: 'max-age=3600' });
  await row(name, Buffer.isBuffer(bytes) ? bytes.length : bytes.size);
}
type FakeStorageBytes = Buffer | { size: number; chunk: Buffer };
async function row(name: string, size: number): Promise<void> {
  const [bucket, ...rest] = name.split('/');
  const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
  await postgres.sql(
    `insert into storage.objects (bucket_id, name, metadata) values (${quoted(bucket ?? '')}, ${quoted(rest.join('/'))}, '{"size": ${size}}')`,
  );
}

type Output = { backup: string; missing: { part: string; why: string }[] };
const long = `avatars/${'deep/'.repeat(30)}Häuser & 'Höfe' 100%?#.png`;

test.skipIf(why)('objects of any name come into one tar, each with its hash; a row without bytes is named', async () => {
  await addTarget();
  await put('avatars/a.png', Buffer.from('first'));
  await put(long, Buffer.from('second'), 'image/webp');
  await put('b 2/empty', Buffer.alloc(0));
  await row('avatars/gone.png', 3);
  const view = await at.run('backup', { target: 'shop' });
  expect([view.status, view.error]).toEqual(['done', undefined]);
  const { backup: id, missing } = view.output as Output;
  expect(missing.find(({ part }) => part.includes('storage'))).toEqual({
    part: '1 storage objects',
    why: 'The first: the storage service does not have it.',
  });
  expect(readFileSync(join(at.home, 'backups', 'shop', id, 'manifest.json'), 'utf8')).toContain('1 storage objects');
  const out = mkdtempSync(join(tmpdir(), 'capstan-tar-'));
  const passphrase = await at.app.vault.reveal((await at.app.backups.keys())[0]?.secret ?? '');
  const gpg = 'gpg --homedir "$1" --batch -q --pinentry-mode loopback --passphrase-fd 0 -d "$0" | zstd -dc | tar -x -C "$2"';
  execFileSync('/bin/sh', ['-c', gpg, join(at.home, 'backups', 'shop', id, 'storage.tar.zst.pgp'), at.home, out], { input: passphrase });
  expect([readFileSync(join(out, 'avatars/a.png'), 'utf8'), readFileSync(join(out, long), 'utf8')]).toEqual(['first', 'second']);
  rmSync(out, { recursive: true });

  const other = await startFakeStorage();
  const signal = new AbortController().signal;
  const reading = { signal, now: Date.now, progress: () => undefined, secrets: { reveal: at.app.vault.reveal, mint: () => '' } };
  const opened = await openBackup({ backups: at.app.backups }, reading, await at.app.backups.backup(id));
  const file = opened.manifest.files.find(({ kind, role }) => kind === 'storage' && role === 'data');
  if (!file) throw new Error('the backup has no storage part');
  const access = { baseUrl: other.url, serviceKey: other.key, reach: {} };
  expect(await restoreObjects(reading, opened, file, access)).toEqual({ objects: 3, written: 3, lost: 1 });
  // What is there as it was is not written again.
  expect(await restoreObjects(reading, opened, file, access)).toEqual({ objects: 3, written: 0, lost: 1 });
  expect(other.objects).toEqual(storage.objects);
  await expect(restoreObjects(reading, opened, file, { ...access, serviceKey: 'not it' })).rejects.toMatchObject({
    code: 'STORAGE_REFUSED',
  });
  await other.close();
  expect(JSON.stringify(view)).not.toContain(storage.key);
});

test.skipIf(why)('without bytes that can be had the plan says so, and the backup is still made', async () => {
  await put('avatars/a.png', Buffer.from('first'));
  await addTarget('a wrong key');
  const view = await at.run('backup', { target: 'shop' });
  const missing = (view.output as Output).missing.find(({ part }) => part === 'bytes of storage objects');
  expect([view.status, missing?.why]).toEqual(['done', expect.stringContaining('answers 400')]);
});

test.skipIf(why)(
  'an object that is larger than all memory allowed goes by in pieces',
  async () => {
    await addTarget();
    const size = 400_000_000;
    await put('avatars/film.mp4', { size, chunk: Buffer.alloc(256 * 1024, 7) });
    let highest = 0;
    const before = process.memoryUsage().rss;
    const watch = setInterval(() => {
      highest = Math.max(highest, process.memoryUsage().rss);
    }, 10);
    const view = await at.run('backup', { target: 'shop', parts: ['storage'] });
    clearInterval(watch);
    expect([view.status, view.error]).toEqual(['done', undefined]);
    expect((highest - before) / 1_048_576).toBeLessThan(120);
  },
  120_000,
);

test.skipIf(why)('a changed tar is found by verifying', async () => {
  await addTarget();
  await put('avatars/a.png', Buffer.alloc(200_000, 1));
  const { backup: id } = (await at.run('backup', { target: 'shop', parts: ['storage'] })).output as Output;
  const path = join(at.home, 'backups', 'shop', id, 'storage.tar.zst.pgp');
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  await expect(at.app.verifyBackup(id)).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' });
});

test.skipIf(why)(
  'a restore in place brings changed and lost objects back through the service and leaves those that are as they were',
  async () => {
    await addTarget();
    for (const name of ['avatars/same.png', 'avatars/changed.png', 'avatars/gone.png']) await put(name, Buffer.from(`bytes of ${name}`));
    const { backup: id } = (await at.run('backup', { target: 'shop' })).output as Output;
    const then = new Map(storage.objects);
    storage.objects.set('avatars/changed.png', { bytes: Buffer.from('others'), type: 'image/png', cache: 'no-cache' });
    storage.objects.delete('avatars/gone.png');
    const beside = await at.run('restore', { backup: id });
    expect(beside.warnings.map(({ code }) => code)).toContain('OBJECTS_NOT_RESTORED');
    const asked = await at.run('restore', { backup: id, mode: 'replace' });
    expect((await at.send(asked.runId, 'approve')).state).toBe('swapReview');
    storage.journal.length = 0;
    const view = await at.send(asked.runId, 'swap');
    expect([view.state, view.error]).toEqual(['done', undefined]);
    expect((view.output as { objects: unknown }).objects).toEqual({ objects: 3, written: 2, lost: 0 });
    expect(storage.objects).toEqual(then);
    expect(storage.journal.filter((line) => line.startsWith('POST')).sort()).toEqual([
      'POST /object/avatars/changed.png',
      'POST /object/avatars/gone.png',
    ]);
  },
  120_000,
);
