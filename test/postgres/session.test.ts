import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SqlAddress } from '../../src/effects/postgres/address.ts';
import { openSession } from '../../src/effects/postgres/open.ts';
import type { Purpose, SqlSession } from '../../src/effects/postgres/session.ts';
import { majors, startServer, type TestServer } from '../helpers/databases.ts';
import { errorOf, expectNoSecretInErrors } from '../helpers/dokploy-lab.ts';

describe.each(majors)('a direct session on Postgres %i', (major) => {
  let server: TestServer;
  const open: SqlSession[] = [];
  beforeAll(async () => {
    server = await startServer(major);
  });
  afterAll(async () => {
    await Promise.all(open.map((session) => session.close()));
    await server.stop();
  });

  const addressOf = (change: Partial<SqlAddress> = {}): SqlAddress => ({
    host: '127.0.0.1',
    port: server.port,
    database: 'postgres',
    user: 'postgres',
    password: server.password,
    ssl: 'prefer',
    ...change,
  });
  const session = async (purpose: Purpose = 'read', change: Partial<SqlAddress> = {}) => {
    const made = await openSession({ name: 'lab', reach: {}, addresses: [addressOf(change)] }, purpose);
    open.push(made);
    return made;
  };

  test('says who it is, and answers values as JSON', async () => {
    const made = await session();
    expect(made).toMatchObject({ rung: 'direct', role: 'postgres', superuser: false, serverMajor: major });
    const { rows, fields, rowCount } = await made.query(
      `select 9007199254740993::int8 as big, 7::int8 as small, '2026-01-02'::date as day, array['2026-01-02'::date] as days,
        '\\x00ff'::bytea as bytes, 1.50::numeric as exact, '{"a":[1]}'::jsonb as json, $1::text as said`,
      ["it's"],
    );
    expect(rows).toEqual([
      {
        big: '9007199254740993',
        small: 7,
        day: '2026-01-02',
        days: '{2026-01-02}',
        bytes: '\\x00ff',
        exact: '1.50',
        json: { a: [1] },
        said: "it's",
      },
    ]);
    expect([fields[0], rowCount]).toEqual([{ name: 'big', typeId: 20 }, 1]);
  });

  test('a reading session can change nothing, one statement at a time cannot become two', async () => {
    const made = await session('model-read');
    expect(await errorOf(made.query('create table public.t (id int)'))).toMatchObject({
      code: 'SQL_FAILED',
      details: { sqlState: '25006' },
    });
    expect(await errorOf(made.query('select 1; select 2', []))).toMatchObject({ code: 'SQL_FAILED', details: { sqlState: '42601' } });
    const admin = await server.admin();
    expect((await admin.query("select to_regclass('public.t') as t")).rows).toEqual([{ t: null }]);
  });

  test('the server ends what runs too long, and the session goes on', async () => {
    const made = await session();
    const refused = await errorOf(made.query('select pg_sleep(60)', [], { timeoutMs: 100 }));
    expect(refused).toMatchObject({ code: 'SQL_TIMEOUT', applied: 'no' });
    expect((await made.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  test('a cancelled statement is ended on the server too', async () => {
    const made = await session();
    const stop = new AbortController();
    const admin = await server.admin();
    const asked = errorOf(made.query('select pg_sleep(60), $1::text', ['to-be-cancelled'], { signal: stop.signal }));
    const running = "select count(*)::int as n from pg_stat_activity where query like 'select pg_sleep(60), $1%' and state = 'active'";
    await expect.poll(async () => (await admin.query(running)).rows).toEqual([{ n: 1 }]);
    stop.abort();
    expect(await asked).toMatchObject({ code: 'ABORTED' });
    await expect.poll(async () => (await admin.query(running)).rows).toEqual([{ n: 0 }]);
  });

  test('an answer above the limit is cut off: many rows and one huge row', async () => {
    for (const sql of ["select repeat('x', 1000) from generate_series(1, 100000)", "select repeat('x', 100000000)"]) {
      const made = await session();
      expect(await errorOf(made.query(sql, [], { maxBytes: 1_000_000 }))).toMatchObject({ code: 'SQL_RESULT_TOO_LARGE', applied: 'no' });
    }
  });

  test('a refused login names neither password nor secret', async () => {
    expect(await errorOf(session('read', { password: 'plantedSecretValue77' }))).toMatchObject({ code: 'SQL_LOGIN_REFUSED' });
    expect(await errorOf(session('read', { database: 'nope' }))).toMatchObject({ code: 'SQL_DATABASE_UNKNOWN' });
    expect(await errorOf(session('read', { host: 'db.invalid' }))).toMatchObject({ code: 'HOST_NOT_FOUND' });
    expect(await errorOf(session('read', { port: 1 }))).toMatchObject({ code: 'CONNECTION_REFUSED' });
    expect(await errorOf(session('read', { ssl: 'require' }))).toMatchObject({ code: 'SQL_UNREACHABLE' });
    expectNoSecretInErrors(5);
  });

  test('a server that dies in the middle is told from a refusal: unknown for a change, harmless for a read', async () => {
    const proxy = await cutter(server.port);
    for (const [purpose, applied] of [
      ['model-read', 'no'],
      ['ddl', 'unknown'],
    ] as const) {
      const made = await session(purpose, { port: proxy.port });
      const asked = errorOf(made.query('select pg_sleep(60)'));
      await expect.poll(() => proxy.sent()).toContain('pg_sleep');
      proxy.cut();
      expect(await asked).toMatchObject({ code: 'SQL_CONNECTION_LOST', applied });
      await made.close();
    }
    await proxy.close();
  });
});

/** A wire to the server that can be cut. */
async function cutter(port: number): Promise<{ port: number; sent(): string; cut(): void; close(): Promise<void> }> {
  const { connect } = await import('node:net');
  const sockets = new Set<Socket>();
  let sent = '';
  const server = createServer((socket) => {
    const up = connect(port, '127.0.0.1');
    for (const each of [socket, up]) {
      sockets.add(each);
      each.on('error', () => undefined);
      each.on('close', () => sockets.delete(each));
    }
    socket.on('data', (chunk) => {
      sent += chunk.toString('latin1');
    });
    socket.pipe(up).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no TCP port');
  return {
    port: address.port,
    sent: () => sent,
    cut() {
      sent = '';
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
}
