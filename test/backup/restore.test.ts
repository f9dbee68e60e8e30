/** Round trips through real Postgres servers, judged by the catalog, by the texts of pg_dump and by what clients then read. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { compareCatalogs } from '../../src/effects/backup/compare-catalogs.ts';
import { repairAccess } from '../../src/effects/backup/restore-access.ts';
import { proveRestore } from '../../src/effects/backup/restore-prove.ts';
import { packageFile } from '../../src/package-root.ts';
import { toTargetRecord } from '../../src/target-place.ts';
import { type BackupApp, caller, openBackupApp, person, removeHome } from '../helpers/backup-app.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { createBench } from '../helpers/effect-context.ts';
import { catalogOf } from '../helpers/restore-stage.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd');
const nasty = () => readFileSync(packageFile('test/fixtures/nasty-schema.sql'), 'utf8');
let source: TestPostgres;
let empty: TestPostgres;
let at: BackupApp;
beforeAll(async () => {
  if (why) return;
  [source, empty] = await Promise.all([startTestPostgres(), startTestPostgres()]);
  await source.sql(nasty());
}, 120_000);
afterAll(async () => {
  await source?.stop();
  await empty?.stop();
});
beforeEach(async () => {
  if (why) return;
  at = await openBackupApp();
  await at.addTarget('shop', source.url());
  await at.addTarget('new', empty.url());
});
afterEach(async () => {
  await at?.close();
  if (at) removeHome(at.home);
});

/** The handler of the proof once more, as after another hand was there. */
async function proveAgain(scope: { plan: string; planHash: string; target: string }) {
  const bench = createBench({ name: '', url: '', apiKey: '', reach: {} });
  const { registry, vault, backups } = at.app;
  const ctx = {
    ...bench.contextFor('again:1:prove'),
    secrets: { reveal: (reference: string) => vault.reveal(reference), mint: () => '' },
    artifacts: { read: (reference: string) => vault.readArtifact(reference), put: async () => '' },
    target: async (name: string) => toTargetRecord(await registry.target(name)),
  };
  const prove = proveRestore({ backups, limiterFor: () => ({ take: async () => undefined }) as never });
  return prove.run(ctx, scope, undefined);
}

type Restored = {
  database: string;
  keptAs: string | null;
  createdRoles: string[];
  proof: { identical: boolean; differences: string[]; rows: number; tables: number };
};

async function backUp(): Promise<string> {
  const view = await at.run('backup', { target: 'shop' });
  expect(view.error).toBeUndefined();
  return (view.output as { backup: string }).backup;
}

test.skipIf(why)(
  'what differs after a restore is found: a grant, an owner, a row, a policy',
  async () => {
    const id = await backUp();
    const asked = await at.run('restore', { backup: id, target: 'shop', into: 'meddled' });
    const view = await at.send(asked.runId, 'approve');
    expect((view.output as Restored).proof.identical).toBe(true);
    await source.sql(
      `grant select on public.parent to reporting; alter table public.events_rest owner to postgres; insert into public.empty_table values (1);
       drop policy "own objects" on storage.objects; update auth.users set email = 'other@example.com'`,
      'meddled',
    );
    const { differences } = compareCatalogs(await catalogOf(source, 'postgres'), await catalogOf(source, 'meddled'));
    expect(differences).toEqual([
      'table public.events_rest: owner differs',
      'table public.events_rest: grants differs',
      'table public.parent: grants differs',
      'table storage.objects: policies differs',
    ]);
    const proof = await proveAgain(view.details['plan'] as { plan: string; planHash: string; target: string });
    expect(proof.differences).toEqual(
      expect.arrayContaining([...differences, 'public.empty_table has 1 rows and had 0', 'rows of auth.users differ']),
    );
    expect(proof.identical).toBe(false);
    await source.sql('drop database meddled');
  },
  120_000,
);

test.skipIf(why)(
  'what default privileges of the target hand out beyond the backup is revoked, and owners, columns and defaults are put right',
  async () => {
    await source.sql('create database wide template template0');
    await source.sql(
      `alter default privileges for role supabase_admin grant all on tables to anon;
       alter default privileges for role supabase_admin grant all on routines to anon, authenticated with grant option;
       alter default privileges for role supabase_admin grant usage on sequences to public;
       alter default privileges for role supabase_admin grant all on schemas to authenticated;
       alter default privileges for role supabase_admin revoke execute on routines from public`,
      'wide',
    );
    const dump = execFileSync('pg_dump', ['-Fc', source.url()], { maxBuffer: 1e8 });
    execFileSync('pg_restore', ['--exit-on-error', `--dbname=${source.url('wide')}`], { input: dump });
    await source.sql(
      `alter table public.parent owner to reporting; grant update (note) on public.parent to anon; alter function public.touch() owner to "App Löwe"`,
      'wide',
    );
    const expected = await catalogOf(source, 'postgres');
    const widened = compareCatalogs(expected, await catalogOf(source, 'wide')).differences;
    // The widening is real: tables that were closed to anon are open, and the dump said nothing of it.
    expect(widened).toContain('table Zürich "x".Tab "le": grants differs');
    expect(await source.sql(`select has_table_privilege('anon', '"Zürich ""x"""."Tab ""le"""', 'select') as open`, 'wide')).toEqual([
      { open: true },
    ]);
    const client = new pg.Client({ connectionString: source.url('wide') });
    await client.connect();
    const repaired = await repairAccess(client, expected);
    await client.end();
    expect(repaired).toEqual(expect.arrayContaining(['table public.parent', 'function public.touch()', 'column public.parent.note']));
    expect(compareCatalogs(expected, await catalogOf(source, 'wide')).differences).toEqual([]);
    await source.sql('drop database wide');
  },
  60_000,
);

test.skipIf(why)(
  'in place: the database in use is kept whole, services are cut off once, and a rollback gives it back',
  async () => {
    await source.sql('create database live template postgres');
    await at.addTarget('live', source.url('live'));
    const made = await at.run('backup', { target: 'live', parts: ['database', 'roles'] });
    const id = (made.output as { backup: string }).backup;
    await source.sql("insert into auth.users (id, email) values ('22222222-2222-4222-8222-222222222222', 'late@example.com')", 'live');
    const service = new pg.Client({ connectionString: source.url('live') });
    const cut = new Promise((resolve) => service.on('error', resolve));
    await service.connect();
    const asked = await at.run('restore', { backup: id, database: 'live', mode: 'replace' });
    const ready = await at.send(asked.runId, 'approve');
    expect([ready.state, ready.error]).toEqual(['swapReview', undefined]);
    expect((await service.query('select count(*)::int as n from auth.users')).rows[0].n).toBe(2);
    const view = await at.send(asked.runId, 'swap');
    const output = view.output as Restored;
    expect([view.state, view.error]).toEqual(['done', undefined]);
    await cut;
    expect(await source.sql('select email from auth.users order by 1', 'live')).toEqual([{ email: 'a@example.com' }]);
    expect(await source.sql('select count(*)::int as n from auth.users', output.keptAs ?? '')).toEqual([{ n: 2 }]);
    await at.app.engine
      .rollback({ run: asked.runId, to: 'restored' }, caller)
      .catch((error: { details?: { approval?: string } }) => at.app.engine.approve(String(error.details?.approval), person));
    expect((await at.rest(asked.runId)).state).toBe('swapReview');
    expect(await source.sql('select count(*)::int as n from auth.users', 'live')).toEqual([{ n: 2 }]);
    await at.app.engine
      .rollback({ run: asked.runId, to: 0 }, caller)
      .catch((error: { details?: { approval?: string } }) => at.app.engine.approve(String(error.details?.approval), person));
    await at.rest(asked.runId);
    expect(await source.sql("select datname from pg_database where datname like 'live%'")).toEqual([{ datname: 'live' }]);
    await source.sql('drop database live with (force)');
  },
  120_000,
);

test.skipIf(why)(
  'a restore that fails in the middle removes what it had begun and leaves everything else',
  async () => {
    const id = await backUp();
    const before = await empty.sql('select datname from pg_database order by 1');
    const asked = await at.run('restore', { backup: id, target: 'new', into: 'halfway' });
    // A tablespace of its own, a limit, and the disk are out of reach here; a role that vanishes is the same to pg_restore.
    await empty.sql('alter role supabase_storage_admin rename to away');
    const stopped = await at.send(asked.runId, 'approve');
    await empty.sql('alter role away rename to supabase_storage_admin');
    expect([stopped.state, stopped.error?.code]).toEqual(['stopped', 'RESTORE_FAILED']);
    expect(JSON.stringify(stopped.error)).toContain('supabase_storage_admin');
    expect(await empty.sql('select datname from pg_database order by 1')).toEqual(before);
    const done = await at.send(asked.runId, 'retry');
    expect([done.state, (done.output as Restored).proof.identical]).toEqual(['done', true]);
    await empty.sql('drop database halfway');
  },
  120_000,
);

test.skipIf(why)(
  'a damaged file, a taken name, a missing extension and a role that is no superuser are refused before anything is applied',
  async () => {
    const id = await backUp();
    const codes: unknown[] = [];
    const code = async (input: Record<string, unknown>) => codes.push((await at.run('restore', { backup: id, ...input })).error?.code);
    await code({ into: 'postgres' });
    await code({ database: 'nothing' });
    await source.sql("alter role postgres password 'plain'");
    await at.addTarget('plain', source.url('postgres', 'postgres', 'plain'));
    await code({ target: 'plain' });
    const folder = join(at.home, 'backups', 'shop', id);
    const file = join(folder, readdirSync(folder).find((name) => name.includes('dump')) ?? '');
    const bytes = readFileSync(file);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    writeFileSync(file, bytes);
    await code({ into: 'never' });
    expect(codes).toEqual(['DATABASE_EXISTS', 'DATABASE_NOT_IN_BACKUP', 'RESTORE_NEEDS_SUPERUSER', 'BACKUP_DAMAGED']);
    expect(await source.sql("select datname from pg_database where datname in ('never')")).toEqual([]);
  },
  60_000,
);

test.skipIf(why)(
  'a new, empty home and the recovery sheet bring the data back; without the sheet it says which key is missing',
  async () => {
    const id = await backUp();
    await at.app.backupKeys.rotate();
    const later = await backUp();
    const sheet = join(at.home, 'sheet.txt');
    await at.app.backupKeys.exportSheet(sheet);
    const text = readFileSync(sheet, 'utf8');
    const other = await openBackupApp();
    try {
      await other.app.backups.addStore({ name: 'old', record: { kind: 'folder', folder: join(at.home, 'backups') } }, []);
      await expect(other.app.adoptBackups('shop', 'old')).rejects.toMatchObject({ code: 'BACKUP_KEY_UNKNOWN' });
      await expect(
        other.app.backupKeys.importSheet(text.replace(/passphrase (.)/, (_, c) => `passphrase ${c === 'a' ? 'b' : 'a'}`)),
      ).rejects.toMatchObject({ code: 'SHEET_INVALID' });
      await other.app.backupKeys.importSheet(text);
      expect((await other.app.adoptBackups('shop', 'old')).sort()).toEqual([id, later].sort());
      await other.addTarget('new', empty.url());
      const asked = await other.run('restore', { backup: id, target: 'new', into: 'from_paper' });
      const view = await other.send(asked.runId, 'approve');
      expect([view.state, view.error, (view.output as Restored).proof.differences]).toEqual(['done', undefined, []]);
      expect((await other.app.verifyBackup(later)).id).toBe(later);
    } finally {
      await other.close();
      removeHome(other.home);
      await empty.sql('drop database if exists from_paper; ');
    }
  },
  120_000,
);
