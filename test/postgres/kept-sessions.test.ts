/** Kept sessions (kept-sessions.ts), judged by the server's own view of its sessions. */
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openApp } from '../../src/app.ts';
import { createKeptSessions, type KeptLimits, type KeptSessions } from '../../src/effects/postgres/kept-sessions.ts';
import { openSession } from '../../src/effects/postgres/open.ts';
import type { Purpose, SqlSession } from '../../src/effects/postgres/session.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';
import { addDatabaseTarget } from '../helpers/database-target.ts';
import { majors, startServer, type TestServer } from '../helpers/databases.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { errorOf } from '../helpers/dokploy-lab.ts';

describe.each(majors)('sessions kept on Postgres %i', (major) => {
  let server: TestServer;
  let admin: pg.Client;
  let kept: KeptSessions | undefined;
  let clock = 0;
  beforeAll(async () => {
    server = await startServer(major);
    admin = await server.admin();
    await admin.query('create sequence public.counter; grant all on sequence public.counter to postgres');
  });
  afterEach(async () => {
    await kept?.close();
    kept = undefined;
  });
  afterAll(() => server.stop());

  const keep = (limits: Partial<KeptLimits> = {}) => {
    kept = createKeptSessions({ now: () => clock, ...limits });
    return kept;
  };
  const opened = (purpose: Purpose = 'model-read') =>
    openSession(
      {
        name: 'lab',
        reach: {},
        addresses: [
          { host: '127.0.0.1', port: server.port, database: 'postgres', user: 'postgres', password: server.password, ssl: 'disable' },
        ],
      },
      purpose,
      { applicationName: 'kept' },
    );
  const pidOf = async (session: SqlSession) =>
    Number((await session.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid);
  const seen = async () =>
    (await admin.query<{ pid: number }>("select pid from pg_stat_activity where application_name = 'kept' order by pid")).rows.map(
      ({ pid }) => pid,
    );
  const place = (change = {}) => ({ target: 'lab', use: 'read', way: 'one', ...change });

  test('the next question has the same server session, and two at once have two', async () => {
    const { take } = keep();
    const first = await take(place(), opened);
    const pid = await pidOf(first);
    const second = await take(place(), opened);
    expect(await pidOf(second)).not.toBe(pid);
    await first.close();
    const third = await take(place(), opened);
    expect(await pidOf(third)).toBe(pid);
    await second.close();
    await third.close();
    await expect.poll(async () => (await seen()).length).toBe(1);
  });

  test('what a sequence gave is forgotten', async () => {
    const { take } = keep();
    const first = await take(place({ use: 'ddl' }), () => opened('ddl'));
    await first.query("select nextval('public.counter')");
    await first.close();
    const second = await take(place({ use: 'ddl' }), () => opened('ddl'));
    expect(await errorOf(second.query('select lastval()'))).toMatchObject({ details: { sqlState: '55000' } });
    await second.close();
  });

  const leaves: [string, string, string, unknown][] = [
    ['a search path', "set search_path = 'pg_temp'", "select current_setting('search_path') like '%pg_temp%' as left", false],
    ['an own setting', "set my.word = 'planted'", "select coalesce(current_setting('my.word', true), '') as left", ''],
    ['a role', 'set role anon', 'select current_user::text as left', 'postgres'],
    ['a temporary table', 'create temp table planted as select 1', "select to_regclass('pg_temp.planted')::text as left", null],
    ['a temporary view', 'create temp view pg_class as select 1', 'select count(*) > 1 as left from pg_class', true],
    ['a prepared statement', 'prepare planted as select 1', 'select count(*)::int as left from pg_prepared_statements', 0],
    ['a held cursor', 'declare planted cursor with hold for select 1', 'select count(*)::int as left from pg_cursors where is_holdable', 0],
    [
      'an advisory lock',
      'select pg_advisory_lock(4711)',
      "select count(*)::int as left from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
      0,
    ],
    ['a listener', 'listen planted', 'select count(*)::int as left from pg_listening_channels()', 0],
    [
      'no limit of time',
      "set statement_timeout = 0; set lock_timeout = '1h'",
      "select current_setting('statement_timeout') as left",
      '30s',
    ],
    ['a time zone', "set timezone = 'Asia/Tokyo'", "select current_setting('timezone') <> 'Asia/Tokyo' as left", true],
    ['an open transaction', 'begin; select 1', 'select now() = statement_timestamp() as left', true],
  ];
  test.each(leaves)('%s is gone for the next question', async (_what, leave, look, expected) => {
    const { take } = keep();
    const first = await take(place({ use: 'ddl' }), () => opened('ddl'));
    for (const statement of leave.split('; ')) await first.query(statement);
    await first.close();
    const second = await take(place({ use: 'ddl' }), () => opened('ddl'));
    expect((await second.query(look)).rows).toEqual([{ left: expected }]);
    await second.close();
  });

  test('a reading session that was turned into a writing one reads only again', async () => {
    const { take } = keep();
    const first = await take(place(), opened);
    const pid = await pidOf(first);
    await first.query('set default_transaction_read_only = off');
    await first.query('create table public.written (id int)');
    await first.close();
    const second = await take(place(), opened);
    expect(await pidOf(second)).toBe(pid);
    expect(await errorOf(second.query('drop table public.written'))).toMatchObject({ details: { sqlState: '25006' } });
    await second.close();
    await admin.query('drop table public.written');
  });

  test('numbers drawn after somebody set the seed tell nothing', async () => {
    const { take } = keep();
    const drawn: unknown[] = [];
    for (let round = 0; round < 2; round++) {
      const session = await take(place(), opened);
      await session.query('select setseed(0.5)');
      await session.close();
      const next = await take(place(), opened);
      drawn.push((await next.query('select random() as r')).rows[0]?.['r']);
      await next.close();
    }
    expect(drawn[0]).not.toEqual(drawn[1]);
  });

  test('a session with a failed statement, a cancelled one or one that was ended by somebody is never used again', async () => {
    const { take } = keep();
    const failing = await take(place(), opened);
    const pid = await pidOf(failing);
    await errorOf(failing.query('select nope'));
    await failing.close();
    await expect.poll(seen).toEqual([]);
    const ended = await take(place(), opened);
    const other = await pidOf(ended);
    expect(other).not.toBe(pid);
    await ended.close();
    await expect
      .poll(async () => (await admin.query('select state from pg_stat_activity where pid = $1', [other])).rows)
      .toEqual([{ state: 'idle' }]);
    await admin.query('select pg_terminate_backend($1, 5000)', [other]);
    const last = await take(place(), opened);
    expect((await last.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await last.close();
  });

  test('a changed way ends the older session, and another target’s stays', async () => {
    const { take } = keep();
    const [one, two] = [await take(place(), opened), await take(place({ target: 'other' }), opened)];
    const pids = [await pidOf(one), await pidOf(two)];
    await one.close();
    await two.close();
    const changed = await take(place({ way: 'another' }), opened);
    expect(await pidOf(changed)).not.toBe(pids[0]);
    await expect.poll(seen).toEqual(expect.not.arrayContaining([pids[0]]));
    expect(await seen()).toContain(pids[1]);
    await changed.close();
  });

  test('their number, idle time and age have ends, and so has the whole', async () => {
    const { take, close } = keep({ most: 2, idleMs: 1_500, ageMs: 1_000 });
    for (const target of ['a', 'b', 'c']) await (await take(place({ target }), opened)).close();
    await expect.poll(async () => (await seen()).length).toBe(2);
    await expect.poll(async () => (await seen()).length, { timeout: 10_000 }).toBe(0);
    const old = await take(place(), opened);
    const pid = await pidOf(old);
    clock += 2_000;
    await old.close();
    const young = await take(place(), opened);
    expect(await pidOf(young)).not.toBe(pid);
    await young.close();
    const inUse = await take(place({ use: 'x' }), opened);
    await close();
    await inUse.close();
    await expect.poll(seen).toEqual([]);
  });
});

test('the product keeps one session for each role and target, and drops it when the password changes and when it closes', async () => {
  const server = await startServer(15);
  const place = temporaryHome();
  await addDatabaseTarget({ home: place.home, server });
  const scrubber = createScrubber();
  const app = await openApp({ config: { home: place.home, logLevel: 'silent' }, log: createLog({ level: 'silent', scrubber }), scrubber });
  const admin = await server.admin();
  const seen = async () =>
    (await admin.query<{ pid: number }>("select pid from pg_stat_activity where application_name like 'capstan%'")).rows.map(
      ({ pid }) => pid,
    );
  try {
    const pid = async () => (await app.readBySql({ target: 'lab', sql: 'select pg_backend_pid() as pid' })).rows[0]?.['pid'];
    const first = await pid();
    expect([await pid(), await pid()]).toEqual([first, first]);
    expect(await seen()).toEqual([first]);
    const next = app.vault.stageSecret('target:lab', 'readOnlyPassword', 'another-password-88');
    const { name, kind, tags, record } = await app.registry.target('lab');
    const secrets = { ...(record['secrets'] as Record<string, string>), readOnlyPassword: `secret:${next.id}` };
    await app.registry.removeTarget('lab');
    await app.registry.addTarget({ name, kind, tags, record: { ...record, secrets } }, [next]);
    await admin.query("alter role supabase_read_only_user password 'another-password-88'");
    expect(await pid()).not.toBe(first);
    await expect.poll(seen).toEqual(expect.not.arrayContaining([first]));
  } finally {
    app.close();
  }
  await expect.poll(seen).toEqual([]);
  await server.stop();
  place.remove();
});
