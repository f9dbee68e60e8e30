/** A database behind TLS with an authority of the owner's, under a name that no DNS knows: `--ca` and `--resolve` hold for sessions and for libpq's programs. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { startChild } from '../../src/effects/backup/child.ts';
import { libpqOf } from '../../src/effects/backup/connection.ts';
import { pgClientFor } from '../../src/effects/backup/programs.ts';
import { type BackupApp, openBackupApp, removeHome } from '../helpers/backup-app.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { createAuthority } from '../helpers/certificates.ts';
import { capstan } from '../helpers/cli.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd');
const host = 'db.backup.test';
const [ours, foreign] = [createAuthority('Ours'), createAuthority('Foreign')];
let postgres: TestPostgres;
let folder: string;
let at: BackupApp;
beforeAll(async () => {
  if (why) return;
  folder = mkdtempSync(join(tmpdir(), 'capstan-tls-'));
  writeFileSync(join(folder, 'ours.pem'), ours.ca);
  writeFileSync(join(folder, 'foreign.pem'), foreign.ca);
  postgres = await startTestPostgres();
  const { cert, key } = ours.issue({ names: [host] });
  // The server writes its own files: only they have the owner and mode that it asks for.
  const write = (name: string, text: string) =>
    postgres.sql(`copy (select '${Buffer.from(text).toString('base64')}') to program 'umask 077; base64 -d > ${name}'`);
  await write('server.crt', cert);
  await write('server.key', key);
  await postgres.sql(`create role tls_only superuser login password '${postgres.password}'`);
  await postgres.sql(`copy (select 1) to program 'sed -i "1i hostnossl all tls_only all reject" pg_hba.conf'`);
  await postgres.sql('alter system set ssl = on');
  await postgres.sql('select pg_reload_conf()');
  await postgres.sql('create table public.kept as select generate_series(1, 100) as id');
}, 60_000);
afterAll(async () => {
  await postgres?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  if (why) return;
  at = await openBackupApp();
});
afterEach(async () => {
  await at?.close();
  if (at) removeHome(at.home);
});

async function add(name: string, ca: string, mode: string, { as = host, database = 'postgres' } = {}): Promise<void> {
  const url = `postgres://tls_only:${postgres.password}@${as}:5432/${database}?sslmode=${mode}`;
  const args = ['--url', 'http://127.0.0.1:9', '--connection', 'env:DB', '--ca', join(folder, ca)];
  const added = await capstan(at.home, ['targets', 'add', name, ...args, '--resolve', `${as}:5432:127.0.0.1:${postgres.port}`], {
    DB: url,
  });
  expect({ exit: added.exit, stderr: added.stderr }).toMatchObject({ exit: 0 });
}

test.skipIf(why)(
  'a backup goes over the checked connection, where the server takes no other',
  async () => {
    await add('shop', 'ours.pem', 'verify-full');
    const view = await at.run('backup', { target: 'shop', parts: ['roles', 'database'] });
    expect([view.status, view.error]).toEqual(['done', undefined]);
    expect((view.output as { verified: { rows: number } }).verified.rows).toBeGreaterThanOrEqual(100);
    const plain = new pg.Client({ connectionString: postgres.url('postgres', 'tls_only'), ssl: false });
    await expect(plain.connect()).rejects.toThrow('pg_hba.conf rejects connection');
  },
  60_000,
);

test.skipIf(why)(
  'an authority that did not sign it, and a name that it was not made for, are refused before anything begins',
  async () => {
    await add('foreign', 'foreign.pem', 'verify-full');
    await add('renamed', 'ours.pem', 'verify-full', { as: 'other.backup.test' });
    const codes = [];
    for (const target of ['foreign', 'renamed']) codes.push((await at.run('backup', { target })).error?.code);
    expect(codes).toEqual(['TLS_UNKNOWN_CA', 'TLS_WRONG_NAME']);
  },
  60_000,
);

/** Every session of the login that is seen from beside it while `work` goes on, by the name that it gives itself. */
async function sessionsDuring(work: () => Promise<void>): Promise<Map<string, boolean>> {
  const seen = new Map<string, boolean>();
  const beside = new pg.Client({ connectionString: postgres.url(), ssl: false });
  await beside.connect();
  let over = false;
  const watching = (async () => {
    while (!over) {
      const { rows } = await beside.query<{ name: string; ssl: boolean }>(
        `select a.application_name as name, s.ssl from pg_stat_activity a join pg_stat_ssl s using (pid) where a.usename = 'tls_only'`,
      );
      for (const { name, ssl } of rows) seen.set(name, ssl && seen.get(name) !== false);
    }
  })();
  try {
    await work();
  } finally {
    over = true;
    await watching;
    await beside.end();
  }
  return seen;
}

test.skipIf(why)(
  'a backup is restored beside and in place over the checked connection, and no session of it goes without TLS',
  async () => {
    await postgres.sql('create database live template postgres');
    await add('live', 'ours.pem', 'verify-full', { database: 'live' });
    type Restored = { proof: { differences: string[]; rows: number } };
    const seen = await sessionsDuring(async () => {
      const made = await at.run('backup', { target: 'live', parts: ['roles', 'database'] });
      const { backup } = made.output as { backup: string };
      const beside = await at.run('restore', { backup, database: 'live', into: 'back' });
      const done = await at.send(beside.runId, 'approve');
      expect([done.status, done.error, (done.output as Restored).proof.differences]).toEqual(['done', undefined, []]);
      await postgres.sql('insert into public.kept values (101)', 'live');
      const replace = await at.run('restore', { backup, database: 'live', mode: 'replace' });
      await at.send(replace.runId, 'approve');
      const swapped = await at.send(replace.runId, 'swap');
      expect([swapped.status, swapped.error]).toEqual(['done', undefined]);
    });
    for (const database of ['back', 'live'])
      expect(await postgres.sql('select count(*)::int as n from public.kept', database)).toEqual([{ n: 100 }]);
    // Sessions of our own, and those of pg_dump and pg_restore, which bear the key of their effect.
    expect([...seen.keys()]).toEqual(expect.arrayContaining(['capstan plan', 'capstan restore plan', ...[expect.stringMatching(/:\d+:/)]]));
    expect([...seen].filter(([, ssl]) => !ssl)).toEqual([]);
  },
  120_000,
);

test.skipIf(why)('pg_dump checks by itself', async () => {
  const resolve = [`${host}:5432:127.0.0.1:${postgres.port}`];
  const place = { host, port: 5432, user: 'tls_only', password: postgres.password, database: 'postgres', sslmode: 'verify-full' as const };
  const dump = async (ca: string) => {
    const { dbname, ...libpq } = libpqOf({ ...place, reach: { ca, resolve } }, 'capstan-test');
    const child = startChild({ file: (await pgClientFor('pg_dump', 15)).file, args: ['--schema-only', `--dbname=${dbname}`], ...libpq });
    child.stdout.resume();
    await child.ended;
  };
  await dump(ours.ca);
  await expect(dump(foreign.ca)).rejects.toMatchObject({
    code: 'PROGRAM_FAILED',
    details: { said: expect.stringContaining('certificate verify failed') },
  });
});
