/** Seeding through a real MCP client and a real server; what happened is read from the database, never from our answer. */

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSeedHandlers } from '../../src/effects/postgres/seed-effects.ts';
import { readSeed } from '../../src/effects/postgres/seed-text.ts';
import { addDatabaseTarget } from '../helpers/database-target.ts';
import { majors, startServer, type TestServer } from '../helpers/databases.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { errorOf } from '../helpers/dokploy-lab.ts';
import { createBench } from '../helpers/effect-context.ts';
import { connect, mainFile, type PersonAnswers, type TestClient, type View } from '../helpers/mcp-clients.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe.each(majors)('seed_database on Postgres %i', (major) => {
  let server: TestServer;
  let admin: pg.Client;
  let place: ReturnType<typeof temporaryHome>;
  let file: string;
  const clients: TestClient[] = [];
  const asked: string[] = [];
  const open = async (says: PersonAnswers = 'accept') => {
    const person = (message: string): PersonAnswers => {
      asked.push(message);
      return says;
    };
    const client = await connect(major === 15 ? 'modern' : 'legacy', {
      home: place.home,
      person,
      program: [mainFile, 'serve', '--toolsets', 'development'],
    });
    clients.push(client);
    return client;
  };
  beforeAll(async () => {
    server = await startServer(major);
    admin = await server.admin();
    await admin.query('create table public.fruit (name text primary key); grant all on public.fruit to postgres');
  });
  afterAll(() => server?.stop());
  beforeEach(async () => {
    place = temporaryHome();
    file = join(place.home, 'seed.sql');
    await addDatabaseTarget({ home: place.home, server });
    await admin.query('truncate public.fruit; drop schema if exists supabase_migrations cascade');
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    place.remove();
  });
  const fruit = async () => (await admin.query<{ name: string }>('select name from public.fruit order by 1')).rows.map(({ name }) => name);
  const record = async () => {
    const there = await admin.query("select to_regclass('supabase_migrations.seed_files') is not null as there");
    return there.rows[0].there ? (await admin.query('select path, hash from supabase_migrations.seed_files')).rows : [];
  };
  const begin = (client: TestClient): Promise<View> => client.call('seed_database', { target: 'lab', file, waitMs: 20_000 });
  const approve = (client: TestClient, run: View) => client.call('advance_run', { run: run.runId, event: 'approve', waitMs: 20_000 });

  test('runs what a person approved, as postgres, and records it; the same file never runs again', async () => {
    const text =
      "-- first line\ninsert into public.fruit values ('apple'), ('pear');\ndo $$ begin insert into public.fruit values (current_user); end $$; -- the end";
    writeFileSync(file, text);
    const client = await open();
    const planned = await begin(client);
    expect(planned).toMatchObject({
      state: 'review',
      status: 'waiting',
      details: {
        plan: {
          statements: 2,
          state: 'new',
          classes: [
            { class: 'DO', count: 1 },
            { class: 'INSERT', count: 1 },
          ],
        },
      },
    });
    expect(await fruit()).toEqual([]);
    // The file is not read again: what was approved is what runs.
    writeFileSync(file, "insert into public.fruit values ('poison')");
    expect(await approve(client, planned)).toMatchObject({ state: 'done', status: 'done', output: { seeded: true, statements: 2 } });
    expect(asked.at(-1)).toContain('Run every statement of the plan');
    expect(await fruit()).toEqual(['apple', 'pear', 'postgres']);
    expect(await record()).toEqual([{ path: 'seed.sql', hash: sha256(text) }]);
    writeFileSync(file, text);
    expect(await begin(client)).toMatchObject({ state: 'seededBefore', status: 'done', output: { seeded: false } });
    expect(await fruit()).toEqual(['apple', 'pear', 'postgres']);
    writeFileSync(file, `${text}\n;insert into public.fruit values ('fig')`);
    expect(await begin(client)).toMatchObject({
      state: 'review',
      details: { plan: { state: 'changed', notes: expect.arrayContaining([expect.stringContaining('Another version')]) } },
    });
  });

  test('an agent alone changes nothing: declined is not run', async () => {
    writeFileSync(file, "insert into public.fruit values ('apple')");
    const client = await open('decline');
    const planned = await begin(client);
    expect(await approve(client, planned)).toMatchObject({ state: 'review', status: 'waiting' });
    expect([await fruit(), await record()]).toEqual([[], []]);
  });

  test('the last statement fails: nothing of it stays, and the run says where it stands', async () => {
    writeFileSync(file, "insert into public.fruit values ('apple'); insert into public.fruit values ('apple');");
    const client = await open();
    const view = await approve(client, await begin(client));
    expect(view).toMatchObject({ state: 'notSeeded', status: 'waiting', error: { code: 'SQL_FAILED', details: { sqlState: '23505' } } });
    expect([await fruit(), await record()]).toEqual([[], []]);
  });

  test('killed in the middle, the next process runs it to its end, once', async () => {
    writeFileSync(file, "insert into public.fruit values ('apple'); select pg_sleep(3);");
    const client = await open();
    const planned = await begin(client);
    const gone = approve(client, planned).catch(() => undefined);
    await expect
      .poll(async () => (await admin.query("select count(*)::int as n from pg_stat_activity where wait_event = 'PgSleep'")).rows[0].n, {
        timeout: 20_000,
      })
      .toBe(1);
    process.kill(client.pid, 'SIGKILL');
    await gone;
    const next = await open();
    await expect
      .poll(async () => (await next.call('inspect_run', { run: planned.runId, waitMs: 2_000 })).status, { timeout: 60_000, interval: 500 })
      .toBe('done');
    expect([await fruit(), await record()]).toEqual([['apple'], [{ path: 'seed.sql', hash: expect.any(String) }]]);
  }, 90_000);

  test('an attempt that lands late, or twice at once, writes nothing a second time', async () => {
    const bench = createBench({ name: 'none', url: '', apiKey: '', reach: {} });
    bench.secrets.set('secret:p', server.password);
    const address = { host: '127.0.0.1', port: server.port, database: 'postgres', user: 'postgres', ssl: 'disable', mode: 'direct' };
    const kept = { ...address, role: 'postgres', tenant: null, password: null, dockerInternal: false };
    const facts = { sql: { addresses: [kept], superuser: false, reach: {} } };
    bench.targets.push({ name: 'lab', kind: 'self-hosted', tags: [], url: '', secrets: { postgresPassword: 'secret:p' }, facts });
    const handlers = createSeedHandlers({ limiterFor: () => ({ take: async () => undefined }) });
    const hostileName = join(place.home, "x$capstan$; drop table public.fruit; --'.sql");
    writeFileSync(hostileName, "insert into public.fruit values ('once' || (select count(*) from public.fruit)); select pg_sleep(0.3)");
    const ctx = bench.contextFor('run:2:seed');
    const { plan, planHash, recordedAs } = await handlers['postgres.planSeed@1'].run(
      ctx,
      { target: 'lab', file: hostileName, as: null },
      undefined,
    );
    const input = { target: 'lab', plan, planHash };
    const apply = handlers['postgres.applySeed@1'];
    expect(await apply.probe?.(ctx, input, { previous: null })).toEqual({ state: 'absent' });
    const done = { recordedAs, sha256: expect.any(String), statements: 2 };
    expect(await Promise.all([apply.run(ctx, input, { previous: null }), apply.run(ctx, input, { previous: null })])).toEqual([done, done]);
    expect(await apply.run(ctx, input, { previous: null })).toEqual(done);
    expect(await fruit()).toEqual(['once0']);
    expect(await apply.probe?.(ctx, input, { previous: null })).toMatchObject({ state: 'applied' });
    await admin.query("update supabase_migrations.seed_files set hash = 'of somebody else'");
    expect(await errorOf(apply.run(ctx, input, { previous: null }))).toMatchObject({ code: 'SEED_RECORD_CHANGED' });
    expect(await fruit()).toEqual(['once0']);
  });

  test('a file that is none, or not to be read, is refused without a word of it', async () => {
    const client = await open();
    const secret = join(place.home, 'key.json');
    for (const path of [secret, '/etc/passwd', 'seed.sql', '/proc/self/environ']) {
      const view = await client.call('seed_database', { target: 'lab', file: path, waitMs: 20_000 });
      expect(view).toMatchObject({ state: 'notSeeded', error: { code: 'SEED_UNREADABLE' } });
    }
  });
});

describe('what a seed may hold', () => {
  test.each([
    ['begin; insert into t values (1); commit', 'transaction control'],
    ['copy t from stdin', 'COPY'],
    ["copy (select 1) to program 'id'", 'COPY'],
    ['set role supabase_admin', 'SET'],
    ['set session authorization postgres', 'SET'],
    ['reset role', 'SET'],
    ['reset all', 'SET'],
    ['set local role supabase_admin', 'SET'],
    ['alter system set x = 1', 'ALTER SYSTEM'],
    ['vacuum', 'VACUUM'],
    ["load 'x'", 'LOAD'],
    ["alter role postgres password 'x'", 'password'],
  ])('%s is refused', async (text, what) => {
    const error = await errorOf(readSeed(`select 1;\n${text}`));
    expect(error).toMatchObject({ code: 'SEED_REFUSED', details: { statement: 2 } });
    expect(error.message).toContain(what);
  });

  test.each([
    ['', 'SEED_EMPTY'],
    ['-- nothing', 'SEED_EMPTY'],
    ['insert into t values (1', 'SQL_SYNTAX'],
    ['\\i other.sql', 'SQL_SYNTAX'],
    ['select 1; /* open', 'SQL_SYNTAX'],
    ['select 1\0', 'SQL_SYNTAX'],
  ])('%j is %s', async (text, code) => expect(await errorOf(readSeed(text))).toMatchObject({ code }));

  test('settings of the session, blocks and calls are usual in seeds', async () => {
    const text =
      'set session_replication_role = replica; set search_path = public; do $$ begin end $$; call p(); lock table t; insert into t values (1)';
    expect(await readSeed(text)).toMatchObject({ statements: 6 });
  });
});
