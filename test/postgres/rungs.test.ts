/**
 * Every rung against the same questions: the sandbox publishes no port of the database, so /pg/query and exec are real there; its pooler is a stand-in
 * that asks for `role.tenant` as Supavisor does, and beside it stands a real PgBouncer; its bridge is the product's own relay; the direct one is a
 * server of its own.
 */
import { spawnSync } from 'node:child_process';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openSession, type SqlTarget } from '../../src/effects/postgres/open.ts';
import { parseSql } from '../../src/effects/postgres/parse-sql.ts';
import type { Purpose, Rung } from '../../src/effects/postgres/session.ts';
import { startServer, type TestServer } from '../helpers/databases.ts';
import { errorOf } from '../helpers/dokploy-lab.ts';
import { type Pgbouncer, startPgbouncer, whyWithoutPgbouncer } from '../helpers/pgbouncer.ts';
import { waysInto } from '../helpers/sandbox-ways.ts';
import { call, deployStack, openSandbox, type Stack } from '../sandbox/client.ts';

let box: Awaited<ReturnType<typeof openSandbox>>;
let stack: Stack;
let server: TestServer;
let target: SqlTarget;
let bouncer: Pgbouncer | undefined;
const whyNoBouncer = whyWithoutPgbouncer();

beforeAll(async () => {
  box = await openSandbox();
  stack = await deployStack(box.sandbox);
  server = await startServer(15);
  if (whyNoBouncer === undefined) bouncer = await startPgbouncer(server, 'session');
  const ways = await waysInto(box.sandbox, stack);
  const direct = {
    host: '127.0.0.1',
    port: server.port,
    database: 'postgres',
    user: 'postgres',
    password: server.password,
    ssl: 'disable',
  } as const;
  target = { ...ways, addresses: [direct, ...ways.addresses] };
});
afterAll(async () => {
  await box.close();
  await bouncer?.stop();
  await server.stop();
});

type Case = { name: string; rung: Rung; why?: string | undefined; addresses?: () => SqlTarget['addresses'] };
const cases: Case[] = [
  ...(['direct', 'session-pooler', 'meta', 'exec', 'bridge'] as const).map((rung) => ({ name: rung, rung })),
  {
    name: 'session-pooler, a real PgBouncer',
    rung: 'session-pooler',
    why: whyNoBouncer,
    addresses: () => (bouncer === undefined ? [] : [bouncer.address]),
  },
];

const open = (rung: Rung, purpose: Purpose = 'model-read') => openSession(target, purpose, { rung });

describe.each(cases)('the rung $name', ({ rung, why, addresses }) => {
  beforeEach(({ skip }) => skip(why !== undefined, why));
  const opened = (purpose: Purpose = 'model-read') =>
    openSession(addresses === undefined ? target : { ...target, addresses: addresses() }, purpose, { rung });

  test('is no superuser for the SQL of others, and says why it was chosen', async () => {
    const session = await opened();
    expect(session).toMatchObject({ rung, superuser: false, role: rung === 'exec' ? 'supabase_read_only_user' : 'postgres' });
    expect(session.serverMajor).toBeGreaterThanOrEqual(15);
    expect(session.reasons.at(-1)).toMatch(/^Used: .* as (postgres|supabase_read_only_user)/);
    await session.close();
  });

  test('answers rows with parameters as they are, whatever they hold', async () => {
    const session = await opened();
    const said = `it's "quoted" $1 \\ {{x}} ü\n;--`;
    const { rows } = await session.query('select $1::text as said, $2::int + 1 as more, $3::text is null as nothing, $1 = $1 as same', [
      said,
      41,
      null,
    ]);
    expect(rows).toEqual([{ said, more: 42, nothing: true, same: true }]);
    expect((await session.query('select 1 as one where $1', [false])).rows).toEqual([]);
    expect((await session.query('show transaction_read_only', [])).rows).toEqual([{ transaction_read_only: 'on' }]);
    await session.close();
  });

  test('changes nothing in a reading session, and never runs two statements as one', async () => {
    const session = await opened();
    expect(await errorOf(session.query('create table public.made (id int)', []))).toMatchObject({ code: 'SQL_FAILED' });
    expect(await errorOf(session.query('select 1; create table public.made (id int)', ['x']))).toMatchObject({
      code: expect.stringMatching(/^SQL_/),
    });
    expect((await session.query("select to_regclass('public.made') as t")).rows).toEqual([{ t: null }]);
    await session.close();
  });

  test('several constant statements are one transaction: all of them, or none', async () => {
    const session = await opened('ddl');
    await session.query('create table public.pair (id int primary key); insert into public.pair values (1), (2)');
    expect(await errorOf(session.query('insert into public.pair values (3); insert into public.pair values (1)'))).toMatchObject({
      code: 'SQL_FAILED',
      details: { sqlState: '23505' },
    });
    expect((await session.query('select count(*)::int as n from public.pair')).rows).toEqual([{ n: 2 }]);
    expect((await session.query('insert into public.pair values ($1) returning id', [7])).rows).toEqual([{ id: 7 }]);
    await session.query('drop table public.pair');
    await session.close();
  });

  test('the server ends what runs too long', async () => {
    const session = await opened();
    expect(await errorOf(session.query('select pg_sleep(30)', [], { timeoutMs: 300 }))).toMatchObject({ code: 'SQL_TIMEOUT' });
    await session.close();
  });

  test('an answer above the limit is refused, not delivered in part', async () => {
    const session = await opened();
    expect(
      await errorOf(session.query("select repeat('x', 1000) as x from generate_series(1, 2000)", [], { maxBytes: 500_000 })),
    ).toMatchObject({ code: 'SQL_RESULT_TOO_LARGE' });
    await session.close();
  });
});

test.skipIf(whyNoBouncer)('behind a real pooler in transaction mode settings of a session are lost, so it is no way', async () => {
  const pooler = await startPgbouncer(server, 'transaction');
  try {
    const { host, port, user, password } = pooler.address;
    const [one, other] = [0, 1].map(() => new pg.Client({ host, port, user, password, database: 'postgres' }));
    await Promise.all([one?.connect(), other?.connect()]);
    await one?.query("select set_config('default_transaction_read_only', 'on', false)");
    // The server's session is anybody's between two transactions: this one gets it, and the first is left with another.
    await other?.query('begin');
    expect((await one?.query('show transaction_read_only'))?.rows).toEqual([{ transaction_read_only: 'off' }]);
    await other?.query('rollback');
    await Promise.all([one?.end(), other?.end()]);
    expect(await errorOf(openSession({ name: 'lab', reach: {}, addresses: [pooler.address] }, 'model-read'))).toMatchObject({
      code: 'SQL_NO_WAY',
      message: expect.stringContaining('transaction mode was left out'),
    });
    // Under a plain address nothing speaks of a pooler: then it is found out.
    const plain = { ...pooler.address, mode: 'direct' } as const;
    expect(await errorOf(openSession({ name: 'lab', reach: {}, addresses: [plain] }, 'model-read'))).toMatchObject({
      code: 'TRANSACTION_POOLER',
    });
    const lasting = await openSession({ name: 'lab', reach: {}, addresses: [{ ...(bouncer ?? pooler).address, mode: 'direct' }] }, 'read');
    expect(lasting).toMatchObject({ rung: 'direct', role: 'postgres' });
    await lasting.close();
  } finally {
    await pooler.stop();
  }
});

test('exec leaves no schedule and no log behind', async () => {
  const session = await open('exec');
  await errorOf(session.query('select 1 / 0', []));
  const left = await call(box.sandbox, `schedule.list?id=${stack.composeId}&scheduleType=compose`);
  expect(left.body).toEqual([]);
});

test('the first way that works is taken, and each that did not is named', async () => {
  const gone = { host: '127.0.0.1', port: 1, database: 'postgres', user: 'postgres', password: 'pw-canary-1', ssl: 'disable' } as const;
  const session = await openSession({ ...target, addresses: [gone] }, 'model-read');
  expect(session.rung).toBe('meta');
  expect(session.reasons.join(' ')).toMatch(/Nothing listens at 127\.0\.0\.1:1/);
  const nowhere = await errorOf(openSession({ name: 'lab', reach: {}, addresses: [gone, { ...gone, port: 2 }] }, 'ddl'));
  expect(nowhere).toMatchObject({
    code: 'SQL_NO_WAY',
    details: { ways: expect.arrayContaining([expect.stringContaining('CONNECTION_REFUSED')]) },
  });
  expect(JSON.stringify([nowhere.message, nowhere.details, session.reasons])).not.toContain('canary');
  expect(await errorOf(openSession({ name: 'lab', reach: {}, addresses: [] }, 'ddl'))).toMatchObject({ code: 'SQL_NO_WAY' });
});

test('a superuser under another name is found out by the server’s word', async () => {
  const admin = await server.admin();
  await admin.query(`create role innocent superuser login password '${server.password}'`);
  const disguised: SqlTarget = {
    name: 'lab',
    reach: {},
    addresses: [
      { host: '127.0.0.1', port: server.port, database: 'postgres', user: 'innocent', password: server.password, ssl: 'disable' },
    ],
  };
  for (const purpose of ['model-read', 'model-write'] as const)
    expect(await errorOf(openSession(disguised, purpose))).toMatchObject({ code: 'SUPERUSER_REFUSED' });
  expect((await openSession({ ...disguised, superuserSql: true }, 'model-read')).superuser).toBe(true);
});

test('a wrong crypto key, a wrong service key and a missing route are told apart', async () => {
  const { meta } = target;
  if (meta === undefined) throw new Error('the lab has meta');
  const bare = { name: 'lab', reach: target.reach, addresses: [] };
  expect(await errorOf(openSession({ ...bare, meta: { ...meta, cryptoKey: 'not-the-key' } }, 'model-read'))).toMatchObject({
    code: 'META_KEY_WRONG',
  });
  expect(await errorOf(openSession({ ...bare, meta: { ...meta, serviceKey: 'nope' } }, 'model-read'))).toMatchObject({
    code: 'SUPABASE_KEY_REFUSED',
  });
  expect(
    await errorOf(openSession({ ...bare, meta: { ...meta, logins: [{ role: 'postgres', password: 'wrong' }] } }, 'model-read')),
  ).toMatchObject({ code: 'SQL_LOGIN_REFUSED' });
});

test('the parser refuses what other readers of the text would see differently, and lives on', async () => {
  for (const text of [
    'select 1\0; drop table x',
    `select ${'('.repeat(40_000)}1`,
    `select 1${'+1'.repeat(20_000)}`,
    'x'.repeat(200_000),
    'selec 1',
  ])
    expect(await errorOf(parseSql(text))).toMatchObject({ code: 'SQL_SYNTAX' });
  expect(await parseSql(' select 1 ; -- x\n select 2;')).toMatchObject({ texts: ['select 1', expect.stringContaining('select 2')] });
});

const psql = spawnSync('psql', ['--version']).status === 0;
test.skipIf(!psql && process.env['CI'] !== 'true')(
  'the exec script runs in a real shell and psql (needs psql: apt-get install postgresql-client)',
  async () => {
    const env = { PATH: process.env['PATH'], PGPORT: String(server.port), PGPASSWORD: server.password };
    const run = async (command: string) => spawnSync('bash', ['-c', command], { env, encoding: 'utf8' }).stdout;
    const session = await openSession({ name: 'lab', reach: {}, addresses: [], exec: { run } }, 'model-read');
    expect(session).toMatchObject({ rung: 'exec', role: 'supabase_read_only_user', superuser: false });
    expect((await session.query("select $1::text as x, '$HOME `id` \\! id' as y", ["it's \\! id"])).rows).toEqual([
      { x: "it's \\! id", y: '$HOME `id` \\! id' },
    ]);
    expect(await errorOf(session.query('select nope', []))).toMatchObject({ code: 'SQL_FAILED', details: { sqlState: '42703' } });
    expect(await errorOf(session.query('select pg_sleep(9)', [], { timeoutMs: 200 }))).toMatchObject({ code: 'SQL_TIMEOUT' });
    expect(await errorOf(session.query('create table public.x (id int)'))).toMatchObject({
      code: 'SQL_FAILED',
      details: { sqlState: '25006' },
    });
  },
);
