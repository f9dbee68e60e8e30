/** One schema alone, back into the database in use: judged by the catalog, by the texts of pg_dump and by what triggers and policies then do. */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BackupApp, caller, openBackupApp, removeHome } from '../helpers/backup-app.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { createChildren } from '../helpers/children.ts';
import { hostile, hostileSchemaSql } from '../helpers/hostile-schema.ts';
import { databasesOf, dumpText, takeBack } from '../helpers/restore-stage.ts';
import { ann, heldSql } from '../helpers/schema-world.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd');
const db = 'postgres';
const children = createChildren();
let server: TestPostgres;
let at: BackupApp;
let backup: string;
let service: pg.Client | undefined;
/** What pg_dump said of schema public, and of everything else, when the backup was made. */
let then: { schema: string; others: string };
beforeAll(async () => {
  if (why) return;
  server = await startTestPostgres();
  at = await openBackupApp();
  await server.sql('create role reporting');
  await server.sql(heldSql);
  await server.sql(hostileSchemaSql);
  await at.addTarget('shop', server.url());
  const made = await at.run('backup', { target: 'shop', parts: ['database', 'roles'] });
  expect(made.error).toBeUndefined();
  backup = (made.output as { backup: string }).backup;
  then = { schema: textOf('public'), others: textWithout('public') };
}, 120_000);
afterAll(async () => {
  await children.endAll();
  await service?.end();
  await at?.close();
  if (at) removeHome(at.home);
  await server?.stop();
});

type SchemaPlan = { keepAs: string; returns: string[]; goes: string[]; repoints: string[]; makesAgain: string[]; rows: number };
type Output = { database: string | null; schema: string; keptAs: string; exchanged: { tables: number; rows: number; objects: number } };

/** Line by line: grants have no order of their own. */
const textOf = (schema: string) =>
  dumpText(server, db, '-n', `"${schema.replaceAll('"', '""')}"`)
    .split('\n')
    .sort()
    .join('\n');
const textWithout = (...schemas: string[]) => dumpText(server, db, ...schemas.flatMap((schema) => ['-N', `"${schema}"`]));
const schemas = async () =>
  (await server.sql("select nspname as name from pg_namespace where nspname ~ '^public' order by 1")).map(({ name }) => name);
const count = async (table: string) => (await server.sql(`select count(*)::int as n from ${table}`))[0]?.['n'];

async function toSchemaReview(input: Record<string, unknown> = { schema: 'public' }) {
  const asked = await at.run('restore', { backup, mode: 'schema', ...input });
  expect([asked.state, asked.error]).toEqual(['review', undefined]);
  const ready = await at.send(asked.runId, 'approve');
  expect([ready.state, ready.error]).toEqual(['schemaReview', undefined]);
  return ready;
}

async function exchanged(run: string): Promise<Output> {
  const done = await at.send(run, 'exchange');
  expect([done.state, done.error]).toEqual(['done', undefined]);
  return done.output as Output;
}

/** Back to the start: every text is what it was, and no copy is left. */
async function expectTakenBack(run: string, before: string) {
  const back = await takeBack(at, run, 0);
  expect([back.status, back.error]).toEqual(['cancelled', undefined]);
  expect(dumpText(server, db)).toBe(before);
  expect(await databasesOf(server, 'postgres')).toEqual([db]);
}

test.skipIf(why)(
  'a dropped table comes back with its schema; everything else stays, what pointed there points to the new one, and it can all be taken back',
  async () => {
    await server.sql(`alter table public.profiles add column extra int; create table public.late (id int); insert into public.late values (1);
      delete from public.orders where id > 10; update auth.users set raw_user_meta_data = '{"since": true}'`);
    service = new pg.Client({ connectionString: server.url() });
    await service.connect();
    await service.query('prepare of_ann as select count(*)::int as n from public.orders where customer = $1');
    const before = dumpText(server, db);
    const others = textWithout('public');
    const ready = await toSchemaReview();
    const plan = ready.details['schemaPlan'] as SchemaPlan;
    expect(plan).toMatchObject({ returns: [], goes: ['late'], rows: 1804 });
    expect(plan.repoints).toEqual([
      'routine App "x".how_many()',
      'view App "x".ann',
      'trigger on_auth_user_checked on auth.users',
      'trigger on_auth_user_created on auth.users',
      'trigger on_auth_user_sleeping on auth.users',
      'policy by profile on storage.objects',
      'policy writes by profile on storage.objects',
      'check labelled of App "x".notes',
      'foreign key notes of of App "x".notes',
      'default of App "x".notes.invoice',
      'default of App "x".notes.label',
      'rule logged on App "x".log',
      'event trigger watch_asleep',
      'event trigger watch_tables',
    ]);
    expect(ready.warnings.map(({ code }) => code)).toEqual(['KEPT_REFUSES', 'KEPT_FOLLOWS']);
    await expect(at.app.engine.advance({ run: ready.runId, event: 'exchange', payload: {} }, caller)).rejects.toMatchObject({
      code: 'APPROVAL_REQUIRED',
    });
    const [question] = await at.app.engine.pendingApprovals(ready.runId);
    expect(question?.statement).toContain(
      `The schema "public" returns with 1804 rows. What it is now stays as "${plan.keepAs}". 14 objects of other schemas follow it.`,
    );
    // Until the approval nothing is touched.
    expect(dumpText(server, db)).toBe(before);

    const output = await exchanged(ready.runId);
    expect(output).toMatchObject({ database: null, schema: 'public', exchanged: { tables: 7, rows: 1804 } });
    expect(await schemas()).toEqual(['public', output.keptAs]);
    expect(textOf('public')).toBe(then.schema);
    // Casts are in no schema, so that of the kept type is among the others.
    const kept = new RegExp(`--\\n-- Name: CAST \\(${output.keptAs}[^;]+;[^;]+;[^;]+;[^;]+;\\n\\n\\n`, 'g');
    expect(textWithout('public', output.keptAs).replace(kept, '')).toBe(others);
    expect([await count(`${output.keptAs}.late`), await count(`${output.keptAs}.orders`)]).toEqual([1, 10]);
    expect(await databasesOf(server, 'postgres')).toEqual([db]);
    // A session that was open all the time, and a statement that it had prepared, find the new tables.
    expect((await service.query(`execute of_ann ('${ann}')`)).rows).toEqual([{ n: 1500 }]);
    // What other schemas have of it acts on the new one.
    await server.sql("insert into auth.users (id, email) values ('33333333-3333-4333-8333-333333333333', 'new@example.com')");
    expect(await count("public.profiles where nick = 'new'")).toBe(1);
    expect(await count(`${output.keptAs}.profiles`)).toBe(1);
    const stranger = 'insert into "App ""x""".notes overriding system value values (99, gen_random_uuid(), 1)';
    await expect(server.sql(stranger)).rejects.toMatchObject({ code: '23503', constraint: 'notes of' });
    expect(await server.sql(`select "App ""x""".how_many()::int as n`)).toEqual([{ n: 1500 }]);
    expect(
      await server.sql(
        `select pg_get_expr(polqual, polrelid) as using from pg_policy where polname = 'by profile'
         union all select string_agg(schemaname || '.' || tablename, ' ' order by tablename) from pg_publication_tables where pubname = 'supabase_realtime'`,
      ),
    ).toEqual([{ using: 'may_read(name)' }, { using: 'public.orders' }]);

    await server.sql("delete from public.profiles where nick = 'new'; delete from auth.users where email = 'new@example.com'");
    await expectTakenBack(ready.runId, before);
    expect(await schemas()).toEqual(['public']);
    await server.sql(`alter table public.profiles drop column extra; drop table public.late`);
  },
  180_000,
);

test.skipIf(why)(
  'rows that somebody wrote into the restored schema are not lost when it is taken back: it stays beside',
  async () => {
    const before = dumpText(server, db);
    const ready = await toSchemaReview();
    await exchanged(ready.runId);
    await server.sql(`update public.customers set name = 'Anna' where id = '${ann}'`);
    const back = await takeBack(at, ready.runId, 0);
    expect([back.status, back.error]).toEqual(['cancelled', undefined]);
    const [, aside] = await schemas();
    expect(aside).toMatch(/^public_undone_\d{14}$/);
    expect(await count(`${aside}.customers where name = 'Anna'`)).toBe(1);
    expect(await count(`public.customers where name = 'Anna'`)).toBe(0);
    await server.sql(`drop schema ${aside} cascade`);
    expect(dumpText(server, db)).toBe(before);
  },
  180_000,
);

test.skipIf(why)(
  'the way back does not hang on the backup: where it cannot be read any more, the restored schema stays beside',
  async () => {
    const before = dumpText(server, db);
    const ready = await toSchemaReview();
    await exchanged(ready.runId);
    const folder = join(at.home, 'backups', 'shop');
    renameSync(folder, `${folder}.away`);
    const back = await takeBack(at, ready.runId, 0).finally(() => renameSync(`${folder}.away`, folder));
    expect([back.status, back.error]).toEqual(['cancelled', undefined]);
    const [, aside] = await schemas();
    expect(aside).toMatch(/^public_undone_\d{14}$/);
    await server.sql(`drop schema ${aside} cascade`);
    expect(dumpText(server, db)).toBe(before);
    expect(await databasesOf(server, 'postgres')).toEqual([db]);
  },
  120_000,
);

test.skipIf(why)(
  'a foreign key to a row that is gone since stops it whole: the error names the constraint, nothing was touched, and it goes on once that is put right',
  async () => {
    const bob = "select * from auth.users where email = 'bob@example.com'";
    await server.sql(`create table public.bob as ${bob}; delete from auth.users where email = 'bob@example.com'`);
    const before = dumpText(server, db);
    const ready = await toSchemaReview();
    const stays = await at.send(ready.runId, 'exchange');
    expect([stays.state, stays.error?.code, stays.error?.details]).toMatchObject([
      'schemaStays',
      'SCHEMA_DOES_NOT_FIT',
      { sqlState: '23503', constraint: 'customers_user_id_fkey' },
    ]);
    expect(stays.error?.message).toContain('"customers_user_id_fkey" of "customers"');
    // Neither a value of a row nor the password is told.
    expect(JSON.stringify(stays)).not.toMatch(new RegExp(`22222222-2222|${server.password}`));
    expect(dumpText(server, db)).toBe(before);
    await server.sql(
      'alter table auth.users disable trigger user; insert into auth.users select * from public.bob; alter table auth.users enable trigger user',
    );
    await server.sql('alter table auth.users disable trigger on_auth_user_sleeping');
    const again = await at.send(ready.runId, 'lookAgain');
    expect([again.state, again.error]).toEqual(['schemaReview', undefined]);
    const whole = dumpText(server, db);
    await exchanged(ready.runId);
    expect(textOf('public')).toBe(then.schema);
    await expectTakenBack(ready.runId, whole);
    await server.sql(`drop table public.bob; insert into public.customers (id, user_id, mail, name)
      select 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb', id, email, 'Bob' from auth.users where email like 'bob%'`);
  },
  180_000,
);

test.skipIf(why)(
  'what points into the schema since the review is looked at again first; a copy may stay, and the schema may stay as it is',
  async () => {
    const ready = await toSchemaReview({ schema: 'public', keepCopy: true });
    await server.sql('create trigger since before update on auth.users for each row execute function public.no_change()');
    const before = dumpText(server, db);
    const stays = await at.send(ready.runId, 'exchange');
    expect([stays.state, stays.error?.code]).toEqual(['schemaStays', 'SCHEMA_CHANGED']);
    expect(dumpText(server, db)).toBe(before);
    const again = await at.send(ready.runId, 'lookAgain');
    expect((again.details['schemaPlan'] as SchemaPlan).repoints).toContain('trigger since on auth.users');
    const output = await exchanged(ready.runId);
    const copies = await databasesOf(server, 'postgres_restored');
    expect(copies).toEqual([output.database]);
    await expectTakenBack(ready.runId, before);
    await server.sql('drop trigger since on auth.users');

    const other = await toSchemaReview();
    const kept = await at.send(other.runId, 'keepBeside');
    expect([kept.state, (kept.output as Output).schema]).toEqual(['done', null]);
    await server.sql(`drop database ${(kept.output as Output).database}`);
  },
  180_000,
);

test.skipIf(why)(
  'back at the review after the copy was dropped, both ways on say that it is gone; from the first review it is made anew',
  async () => {
    const ready = await toSchemaReview();
    await exchanged(ready.runId);
    const back = await takeBack(at, ready.runId, 'restored');
    expect(back.state).toBe('schemaReview');
    for (const event of ['exchange', 'lookAgain']) {
      const stays = await at.send(ready.runId, event);
      expect([event, stays.state, stays.error?.code]).toEqual([event, 'schemaStays', 'COPY_GONE']);
    }
    expect((await takeBack(at, ready.runId, 'review')).state).toBe('review');
    expect((await at.send(ready.runId, 'approve')).state).toBe('schemaReview');
    await takeBack(at, ready.runId, 0);
  },
  180_000,
);

test.skipIf(why)(
  'a schema that is not there any more comes back, and goes again when that is taken back; its name may be anything',
  async () => {
    await server.sql(`drop schema "${hostile.schema.replaceAll('"', '""')}" cascade`);
    const before = dumpText(server, db);
    const ready = await toSchemaReview({ schema: hostile.schema });
    expect(ready.warnings.map(({ code }) => code)).toEqual(['SCHEMA_ABSENT']);
    const output = await exchanged(ready.runId);
    expect(output.keptAs).toMatch(/^we"ird\.schema_before_\d{14}$/);
    expect(textOf(hostile.schema)).toContain('CREATE POLICY');
    await expectTakenBack(ready.runId, before);
    await server.sql(hostileSchemaSql);
  },
  120_000,
);

test.skipIf(why)(
  'our whole process killed inside the exchange, while a writer holds it up: nothing was touched, and the next process ends it',
  async () => {
    const own = await openBackupApp();
    const { home } = own;
    try {
      await own.addTarget('shop', server.url());
      const made = await own.run('backup', { target: 'shop', parts: ['database', 'roles'] });
      await own.close();
      const before = dumpText(server, db);
      const task = {
        home,
        workflow: 'restore',
        name: 'killed',
        input: { backup: (made.output as { backup: string }).backup, mode: 'schema', schema: 'public' },
        answers: { review: ['approve'], schemaReview: ['exchange'] },
        until: 'done',
      };
      const start = () => children.start('workflow-process', [], { env: { CAPSTAN_TEST_TASK: JSON.stringify(task) } });
      const writer = new pg.Client({ connectionString: server.url() });
      await writer.connect();
      await writer.query("begin; update auth.users set email = 'held.up.' || email");
      const first = start();
      const held = `select count(*)::int as n from pg_stat_activity where application_name like '%:replaceSchema' and wait_event_type = 'Lock'`;
      for (const until = Date.now() + 60_000; (await server.sql(held))[0]?.['n'] !== 1; await pause(20))
        if (Date.now() > until) throw new Error(`the exchange never came to the lock: ${first.stderr()}`);
      first.kill('SIGKILL');
      expect(await first.ended).toMatchObject({ signal: 'SIGKILL' });
      await writer.query('rollback');
      await writer.end();
      expect([await schemas(), dumpText(server, db) === before]).toEqual([['public'], true]);

      const ended = JSON.parse(await start().line()) as { runId: string; state: string; open: number };
      expect(ended).toMatchObject({ state: 'done', open: 0 });
      expect(await schemas()).toEqual(['public', expect.stringMatching(/^public_before_\d{14}$/)]);
      expect(await databasesOf(server, 'postgres')).toEqual([db]);
      expect(await server.sql("select 1 from pg_stat_activity where application_name like '%:replaceSchema'")).toEqual([]);
      const again = await openBackupApp(home);
      await takeBack(again, ended.runId, 0);
      await again.close();
      expect([await schemas(), dumpText(server, db) === before]).toEqual([['public'], true]);
    } finally {
      removeHome(home);
    }
  },
  180_000,
);

const refused: [what: string, code: string, input: Record<string, unknown>][] = [
  ['a schema of a service', 'SCHEMA_MANAGED', { mode: 'schema', schema: 'auth' }],
  ['a schema of Postgres', 'SCHEMA_MANAGED', { mode: 'schema', schema: 'pg_catalog' }],
  ['a schema that the backup does not hold', 'SCHEMA_NOT_IN_BACKUP', { mode: 'schema', schema: 'nothing' }],
  ['the mode without a schema', 'MODE_AND_SCHEMA', { mode: 'schema' }],
  ['a schema without the mode', 'MODE_AND_SCHEMA', { schema: 'public' }],
  ['a schema with another mode', 'MODE_AND_SCHEMA', { mode: 'replace', schema: 'public' }],
  ['what to do with the copy with another mode', 'MODE_AND_SCHEMA', { mode: 'replace', keepCopy: true }],
];
test.skipIf(why).each(refused)('%s is refused before anything is made', async (_, code, input) => {
  const asked = await at.run('restore', { backup, ...input });
  expect([asked.state, asked.error?.code]).toEqual(['failed', code]);
  expect(await databasesOf(server, 'postgres')).toEqual([db]);
});

test.skipIf(why)(
  'what holds the schema from outside and cannot be pointed elsewhere is refused before anything is made, by name',
  async () => {
    await server.sql('create table "App ""x""".states (status public.status)');
    const asked = await at.run('restore', { backup, mode: 'schema', schema: 'public' });
    await server.sql('drop table "App ""x""".states');
    expect([asked.state, asked.error?.code, asked.error?.details]).toEqual([
      'failed',
      'SCHEMA_HELD',
      { held: ['column status of table "App ""x""".states depends on type public.status'], more: 0 },
    ]);
  },
);

test.skipIf(why)(
  'what a cascade took from other schemas is made again with the schema, as it was; what does not hold any more can be left, and all of it goes again',
  async () => {
    await server.sql('drop view "App ""x""".over, "App ""x""".ann; drop function "App ""x""".how_many()');
    const others = textWithout('public');
    await server.sql('drop schema public cascade; create schema public');
    const ready = await toSchemaReview();
    const plan = ready.details['schemaPlan'] as SchemaPlan;
    expect(plan.repoints).toEqual([]);
    expect(plan.makesAgain).toEqual([
      'trigger on_auth_user_checked on auth.users',
      'trigger on_auth_user_created on auth.users',
      'trigger on_auth_user_sleeping on auth.users',
      'policy by profile on storage.objects',
      'policy writes by profile on storage.objects',
      'check labelled of App "x".notes',
      'foreign key notes of of App "x".notes',
      'default of App "x".notes.invoice',
      'default of App "x".notes.label',
      'rule logged on App "x".log',
      'event trigger watch_asleep',
      'event trigger watch_tables',
    ]);
    expect(ready.warnings.find(({ code }) => code === 'NOT_MADE_AGAIN')?.say).toMatch(/had 2 views or routines .*how_many.*ann/);
    await server.sql(`insert into "App ""x""".notes overriding system value values (99, 'cccccccc-cccc-4ccc-8ccc-cccccccccccc', 1, 'x')`);
    const before = dumpText(server, db);
    const stays = await at.send(ready.runId, 'exchange');
    expect([stays.state, stays.error?.code, stays.error?.details?.['constraint']]).toEqual([
      'schemaStays',
      'SCHEMA_DOES_NOT_FIT',
      'notes of',
    ]);
    expect(dumpText(server, db)).toBe(before);
    const left = await at.send(ready.runId, 'lookAgain', { leaveLost: true });
    expect((left.details['schemaPlan'] as SchemaPlan).makesAgain).toEqual([]);
    await server.sql('delete from "App ""x""".notes where id = 99');
    await at.send(ready.runId, 'lookAgain');
    const output = await exchanged(ready.runId);
    expect(textOf('public')).toBe(then.schema);
    expect(textWithout('public', output.keptAs)).toBe(others);
    await server.sql("insert into auth.users (id, email) values (gen_random_uuid(), 'again@example.com')");
    expect(await count("public.profiles where nick = 'again'")).toBe(1);
    await server.sql("delete from public.profiles where nick = 'again'; delete from auth.users where email = 'again@example.com'");
    const back = await takeBack(at, ready.runId, 0);
    expect([back.status, back.error]).toEqual(['cancelled', undefined]);
    await server.sql(`insert into "App ""x""".notes overriding system value values (99, 'cccccccc-cccc-4ccc-8ccc-cccccccccccc', 1, 'x')`);
    expect(dumpText(server, db)).toBe(before);
  },
  180_000,
);
