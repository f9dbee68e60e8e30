/** What follows a database by its number through a restore in place: replication slots and subscriptions, as Postgres's own catalog has them. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { followers } from '../../src/effects/backup/restore-preflight.ts';
import { type BackupApp, openBackupApp, removeHome } from '../helpers/backup-app.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd');
let postgres: TestPostgres;
let at: BackupApp;
beforeAll(async () => {
  if (why) return;
  postgres = await startTestPostgres(15, { wal_level: 'logical' });
  await postgres.sql('create database shop');
  await postgres.sql('create table public.kept (id int primary key); insert into public.kept values (1)', 'shop');
}, 60_000);
afterAll(async () => postgres?.stop());
beforeEach(async () => {
  if (why) return;
  at = await openBackupApp();
  await at.addTarget('shop', postgres.url('shop'));
});
afterEach(async () => {
  await at?.close();
  if (at) removeHome(at.home);
});

test.skipIf(why)(
  'a restore in place says which slots and subscriptions stay with the replaced database, and they do',
  async () => {
    const made = await at.run('backup', { target: 'shop', parts: ['database', 'roles'] });
    await postgres.sql(`select pg_create_logical_replication_slot('reader', 'pgoutput')`, 'shop');
    await postgres.sql(`select pg_create_logical_replication_slot('elsewhere', 'pgoutput')`);
    await postgres.sql(
      `create subscription feed connection 'host=127.0.0.1 port=9 dbname=x' publication p with (connect = false, slot_name = none)`,
      'shop',
    );
    const { backup } = made.output as { backup: string };
    const asked = await at.run('restore', { backup, database: 'shop', mode: 'replace' });
    const told = new Map(asked.warnings.map(({ code, say }) => [code, say]));
    expect(told.get('REPLICATION_SLOTS')).toContain('reader (pgoutput, read by nobody now)');
    expect(told.get('REPLICATION_SLOTS')).toContain('pg_drop_replication_slot');
    expect(told.get('REPLICATION_SLOTS')).not.toContain('elsewhere');
    expect(told.get('SUBSCRIPTIONS')).toContain(': feed.');
    await at.send(asked.runId, 'approve');
    const view = await at.send(asked.runId, 'swap');
    expect([view.state, view.error]).toEqual(['done', undefined]);
    const { keptAs } = view.output as { keptAs: string };
    expect(told.get('REPLICATION_SLOTS')).toContain(keptAs);
    expect(await postgres.sql(`select slot_name as slot, database from pg_replication_slots order by 1`)).toEqual([
      { slot: 'elsewhere', database: 'postgres' },
      { slot: 'reader', database: keptAs },
    ]);
    expect(await postgres.sql('select subname, datname from pg_subscription s join pg_database d on d.oid = s.subdbid')).toEqual([
      { subname: 'feed', datname: keptAs },
    ]);
    // A reader that knows its slot by name is refused in the restored one.
    await expect(
      postgres.sql(
        `select * from pg_logical_slot_peek_binary_changes('reader', null, null, 'proto_version', '1', 'publication_names', 'p')`,
        'shop',
      ),
    ).rejects.toThrow('was not created in this database');
  },
  120_000,
);

test('a database that nobody follows has nothing to be told', () => {
  expect(followers({ slots: [], subscriptions: [] }, 'old')).toEqual([]);
});
