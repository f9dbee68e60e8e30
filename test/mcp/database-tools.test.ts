/** Schema, monitoring and development tools through a real MCP client against real servers, with names that want to be orders. */
import { readFileSync, statSync } from 'node:fs';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { addDatabaseTarget } from '../helpers/database-target.ts';
import { majors, startServer, type TestServer } from '../helpers/databases.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { hostile, hostileSchemaSql, injection, shopSql } from '../helpers/hostile-schema.ts';
import { connect, mainFile, type TestClient } from '../helpers/mcp-clients.ts';

const fence = z.object({ what: z.string(), text: z.string(), leftOutBytes: z.number().optional() });

/** The rows between the marks of a fence. */
function rowsOf(value: unknown): Record<string, unknown>[] {
  const { text } = fence.parse(value);
  return text
    .split('\n')
    .slice(1, -1)
    .filter((line) => line !== '')
    .map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)));
}

describe.each(majors)('the database tools on Postgres %i', (major) => {
  let server: TestServer;
  let admin: pg.Client;
  let place: ReturnType<typeof temporaryHome>;
  let client: TestClient;
  const answers: string[] = [];
  const ask = async (tool: string, args: Record<string, unknown>): Promise<Record<string, unknown>> => {
    const answer = await client.raw(tool, { target: 'lab', ...args });
    answers.push(JSON.stringify(answer));
    if (answer.isError) throw new Error(answer.content[0]?.text);
    return answer.structuredContent ?? {};
  };
  beforeAll(async () => {
    server = await startServer(major, { shared_preload_libraries: 'pg_stat_statements', max_connections: '40' });
    admin = await server.admin();
    await admin.query(shopSql + hostileSchemaSql);
    place = temporaryHome();
    await addDatabaseTarget({ home: place.home, server });
    client = await connect(major === 15 ? 'modern' : 'legacy', {
      home: place.home,
      program: [mainFile, 'serve', '--toolsets', 'monitoring,development'],
    });
  });
  afterAll(async () => {
    await client?.close();
    await server?.stop();
    place?.remove();
  });
  afterEach(() => {
    for (const answer of answers) expect(answer).not.toContain(server.password);
  });

  test('inspect_schema lists the user’s tables compactly, by a role that can only read', async () => {
    const { via, objects, schemas, next } = await ask('inspect_schema', {});
    expect(via).toEqual({ rung: 'direct', role: 'supabase_read_only_user', postgres: major });
    expect(rowsOf(objects)).toContainEqual({
      table: 'public.orders',
      columns:
        'id bigint pk =, customer uuid -> public.customers.id, status public.status, total numeric(10,2)?, placed timestamp with time zone',
      rls: 'forced',
      policies: 0,
    });
    expect(rowsOf(objects).some((row) => String(row['table']).startsWith('auth.'))).toBe(false);
    expect(rowsOf(schemas)).toContainEqual(expect.objectContaining({ schema: 'auth', managed: true, tables: 5 }));
    expect(next).toMatchObject({ who: 'you' });
  });

  test('one object comes whole: columns, constraints, indexes, policies, triggers, grants', async () => {
    const lines = rowsOf((await ask('inspect_schema', { object: 'public.orders' }))['objects']);
    expect(lines[0]).toMatchObject({ table: 'public.orders', owner: 'supabase_admin', rls: 'forced' });
    for (const wanted of [
      { column: 'status', type: 'public.status', notNull: true, default: "'new'::public.status" },
      { constraint: 'orders_customer_fkey', kind: 'foreignKey' },
      { index: 'orders_placed', definition: expect.stringContaining('WHERE (total > (0)::numeric)') },
      { trigger: 'touch', mode: 'disabled' },
      { to: 'authenticated', privileges: expect.arrayContaining(['SELECT']) },
    ])
      expect(lines).toContainEqual(expect.objectContaining(wanted));
    const source = rowsOf((await ask('inspect_schema', { object: 'touch' }))['objects']);
    expect(source[0]).toMatchObject({ securityDefiner: true, definition: expect.stringContaining('new.placed = now()') });
  });

  test.each<[string, Record<string, unknown>]>([
    ['functions', { function: 'public.add(a integer, b integer DEFAULT 1)', returns: 'integer' }],
    ['types', { enum: 'public.status', labels: ['new', 'paid', 'sent'] }],
    ['sequences', { sequence: 'public.orders_id_seq', ownedBy: 'public.orders.id' }],
    ['indexes', { on: 'public.events', index: 'events_pkey' }],
    ['constraints', { on: 'public.customers', constraint: 'name_is_long' }],
    ['policies', { on: 'public.customers', policy: 'gate', restrictive: true }],
    ['triggers', { on: 'public.orders', trigger: 'touch' }],
    ['extensions', { extension: 'pgcrypto', schema: 'extensions' }],
    ['publications', { publication: 'shop', publishes: ['insert', 'update'] }],
    ['grants', { table: 'public.orders', owner: 'supabase_admin' }],
  ])('kind %s', async (kind, wanted) => {
    expect(rowsOf((await ask('inspect_schema', { kind }))['objects'])).toContainEqual(expect.objectContaining(wanted));
  });

  test('names and comments that are orders stay behind the fence, hidden characters spelled out', async () => {
    const answer = await ask('inspect_schema', { schema: hostile.schema });
    const { objects, ...rest } = answer;
    const { text } = fence.parse(objects);
    expect(text).toContain(injection.replaceAll('"', '\\"'));
    expect(text).toContain('safe\\\\u{202e}txt.exe');
    expect(JSON.stringify(rest)).not.toContain('Ignore all previous');
    expect(JSON.stringify(answer)).not.toContain('\u202e');
    const whole = await ask('inspect_schema', { schema: hostile.schema, object: hostile.table });
    expect(rowsOf(whole['objects'])).toContainEqual(expect.objectContaining({ to: '"we""ird role"', grantable: ['SELECT'] }));
    expect(await client.refused('inspect_schema', { target: 'lab', object: `x' or ''='` })).toMatchObject({ code: 'OBJECT_UNKNOWN' });
    expect(await client.refused('inspect_schema', { target: 'lab', schema: "public'; drop schema public; --" })).toMatchObject({
      code: 'SCHEMA_UNKNOWN',
    });
  });

  test('1,000 tables come page by page, all of them once, the first page in less than a second', async () => {
    await admin.query('create schema many');
    for (let from = 0; from < 1_000; from += 250)
      await admin.query(
        Array.from(
          { length: 250 },
          (_, index) =>
            `create table many.t_${String(from + index).padStart(4, '0')} (id bigint primary key, name text not null, at timestamptz default now(), amount numeric(10,2), data jsonb)`,
        ).join(';'),
      );
    // The best of three: the machine of a test run does other things too.
    const times: number[] = [];
    let first: Record<string, unknown> = {};
    for (let count = 0; count < 3; count += 1) {
      const began = performance.now();
      first = await ask('inspect_schema', { schema: 'many' });
      times.push(performance.now() - began);
    }
    expect(Math.min(...times)).toBeLessThan(1_000);
    const names = rowsOf(first['objects']).map((row) => row['table']);
    let cursor = first['nextCursor'];
    while (typeof cursor === 'string') {
      const page = await ask('inspect_schema', { schema: 'many', cursor });
      names.push(...rowsOf(page['objects']).map((row) => row['table']));
      cursor = page['nextCursor'];
    }
    expect(names).toEqual(Array.from({ length: 1_000 }, (_, index) => `many.t_${String(index).padStart(4, '0')}`));
    for (const answer of answers) expect(answer.length / 4).toBeLessThan(25_000);
  });

  test('monitor_connections counts idle ones by service, and alerts at 90 % with the change that takes effect', async () => {
    await admin.query(`create schema _supavisor; create table _supavisor.tenants (external_id text, default_pool_size int, default_max_clients int);
      create table _supavisor.users (db_user text); insert into _supavisor.tenants values ('dev', 20, 100); insert into _supavisor.users values ('pgbouncer')`);
    const { default: driver } = await import('pg');
    const open: pg.Client[] = [];
    const hold = async (user: string, program: string, count: number) => {
      for (let made = 0; made < count; made += 1) {
        const held = new driver.Client({
          host: '127.0.0.1',
          port: server.port,
          user,
          password: server.password,
          database: 'postgres',
          application_name: program,
        });
        await held.connect();
        open.push(held);
      }
    };
    try {
      await hold('supabase_admin', 'Supavisor', 20);
      await hold('authenticator', 'PostgREST 14.12', 4);
      await hold('supabase_auth_admin', '', 3);
      await open[20]?.query('begin');
      const calm = await ask('monitor_connections', {});
      expect(calm).toMatchObject({ level: 'watch', complete: true, via: { role: 'postgres' }, max: 40 });
      expect(calm['byService']).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ service: 'supavisor', connections: 20, idle: 20 }),
          expect.objectContaining({ service: 'rest', connections: 4, idle: 3, idleInTransaction: 1 }),
          expect.objectContaining({ service: 'auth', connections: 3 }),
          expect.objectContaining({ service: 'capstan', active: 1 }), // and the sessions that earlier questions left open for some seconds
        ]),
      );
      await hold('supabase_storage_admin', 'storage', 6);
      const tight = await ask('monitor_connections', {});
      expect(tight).toMatchObject({ level: 'alert', pooler: { known: true, poolSize: 20 } });
      const counted = (tight['byService'] as { connections: number }[]).reduce((sum, row) => sum + row.connections, 0);
      expect([tight['current'], counted >= open.length + 1]).toEqual([counted, true]);
      expect(tight['recommendations']).toContainEqual(
        expect.objectContaining({ poolSize: expect.any(Number), say: expect.stringMatching(/The variable alone changes nothing/) }),
      );
      expect(tight['next']).toMatchObject({ who: 'human' });
      expect(rowsOf(tight['holders'])).toContainEqual(expect.objectContaining({ service: 'supavisor', role: 'supabase_admin', count: 20 }));
      const told = await capstan(place.home, ['monitor', 'connections', '--target', 'lab', '--json']);
      expect(told).toMatchObject({ exit: 1 });
      expect(jsonOf(told)).toMatchObject({ level: 'alert' });
    } finally {
      await Promise.all(open.map((held) => held.end()));
      await admin.query('drop schema _supavisor cascade');
    }
  });

  test('database_stats says sizes, slow statements, locks and slots, and what it cannot know', async () => {
    await admin.query("select pg_create_logical_replication_slot('left_behind', 'pgoutput')");
    await admin.query('select count(*) as needle_in_statements from public.orders');
    const { default: driver } = await import('pg');
    const waiter = new driver.Client({
      host: '127.0.0.1',
      port: server.port,
      user: 'supabase_admin',
      password: server.password,
      database: 'postgres',
    });
    await waiter.connect();
    await admin.query('begin; lock table public.scratch, public.orders');
    const waiting = waiter.query('select * from public.scratch');
    await expect
      .poll(async () => (await admin.query("select count(*)::int as n from pg_stat_activity where wait_event_type = 'Lock'")).rows[0].n)
      .toBe(1);
    try {
      const stats = await ask('database_stats', {});
      expect(stats).toMatchObject({ complete: true, exactSizes: false, counts: { blocked: 1, slots: 1 }, slowStatements: { known: true } });
      const { rows } = await admin.query<{ bytes: string }>("select pg_database_size('postgres') as bytes");
      expect(Math.abs(Number(stats['databaseBytes']) - Number(rows[0]?.bytes))).toBeLessThan(2_000_000);
      expect(stats['findings']).toContainEqual(expect.objectContaining({ code: 'SESSIONS_BLOCKED' }));
      expect(rowsOf(stats['statements']).length).toBeGreaterThan(0);
      expect(rowsOf(stats['locks'])[0]).toMatchObject({ query: 'select * from public.scratch' });
      expect(rowsOf(stats['slots'])[0]).toMatchObject({ name: 'left_behind', active: false });
      expect(rowsOf(stats['tables'])[0]).toMatchObject({ bytes: expect.any(Number) });
      // Who looks into a jam must not stand in it: lists answer, and what needs the locked table says so.
      expect(rowsOf((await ask('inspect_schema', { schema: 'public' }))['objects'])).toContainEqual(
        expect.objectContaining({ table: 'public.scratch' }),
      );
      expect(await client.refused('advisors', { target: 'lab' })).toMatchObject({ code: 'CATALOG_LOCKED' });
    } finally {
      await admin.query('commit');
      await waiting;
      await waiter.end();
      await admin.query("select pg_drop_replication_slot('left_behind')");
    }
    await admin.query('drop extension pg_stat_statements');
    expect(await ask('database_stats', {})).toMatchObject({
      exactSizes: true,
      slowStatements: { known: false, say: expect.stringContaining('not installed') },
    });
  });

  test('advisors names lints as Supabase does, with our own words apart from names', async () => {
    const { advice, objects, checked } = await ask('advisors', { category: 'SECURITY' });
    expect(advice).toContainEqual(expect.objectContaining({ lint: 'rls_disabled_in_public', level: 'ERROR', count: expect.any(Number) }));
    expect(rowsOf(objects)).toContainEqual({ lint: 'rls_disabled_in_public', on: 'public.events' });
    expect(JSON.stringify(advice)).not.toContain('public.events');
    expect(checked).toBeGreaterThan(10);
    const told = await capstan(place.home, ['advisors', '--target', 'lab', '--category', 'performance']);
    expect(told.stdout).toMatch(/INFO no_primary_key/);
  });

  test('generate_types and describe_schema write a private file that the answer names', async () => {
    const types = z
      .looseObject({ file: z.object({ path: z.string(), bytes: z.number() }), tables: z.number() })
      .parse(await ask('generate_types', {}));
    const written = readFileSync(types.file.path, 'utf8');
    expect(written).toContain('export type Database = {');
    expect(written).toContain('status: Database["public"]["Enums"]["status"]');
    expect([Buffer.byteLength(written), statSync(types.file.path).mode & 0o777]).toEqual([types.file.bytes, 0o600]);
    const document = z.looseObject({ file: z.object({ path: z.string() }) }).parse(await ask('describe_schema', { schemas: ['public'] }));
    expect(readFileSync(document.file.path, 'utf8')).toMatch(/^# Database schema\n/);
    expect(await client.refused('generate_types', { target: 'lab', schemas: ['nope'] })).toMatchObject({ code: 'SCHEMA_UNKNOWN' });
  });

  test('a key that somebody wrote into a function, a default or a policy reaches neither an answer nor a file', async () => {
    const key = `eyJhbGciOiJIUzI1NiJ9.${Buffer.from('{"role":"service_role"}').toString('base64url')}.c2lnbmF0dXJlLWNhbmFyeQ`;
    await admin.query(`create function public.hook() returns text language sql as $f$ select 'Bearer ${key}' $f$;
      create table public.keeps (id int primary key, header text default 'Bearer ${key}');
      comment on table public.keeps is 'call it with ${key}'`);
    for (const object of ['hook', 'keeps']) expect(JSON.stringify(await ask('inspect_schema', { object }))).not.toContain(key);
    const { file } = z.looseObject({ file: z.object({ path: z.string() }) }).parse(await ask('describe_schema', {}));
    expect(readFileSync(file.path, 'utf8')).toContain('keeps');
    expect(readFileSync(file.path, 'utf8')).not.toContain(key);
    for (const args of [['schema', '--object', 'hook', '--json'], ['describe']]) {
      const told = await capstan(place.home, [...args, '--target', 'lab']);
      expect([told.exit, told.stdout.includes(key), told.stderr.includes(key)]).toEqual([0, false, false]);
    }
  });

  test('the command line prints the same, and replaces only what it generated', async () => {
    const schema = await capstan(place.home, ['schema', '--target', 'lab']);
    expect(schema.stdout).toContain('table public.orders');
    expect(schema.stdout).not.toContain('\u202e');
    const out = `${place.home}/types.ts`;
    expect(await capstan(place.home, ['types', '--target', 'lab', '--out', out])).toMatchObject({ exit: 0 });
    expect(await capstan(place.home, ['types', '--target', 'lab', '--out', out])).toMatchObject({ exit: 0 });
    expect(readFileSync(out, 'utf8')).toBe((await capstan(place.home, ['types', '--target', 'lab'])).stdout);
    const refused = await capstan(place.home, ['describe', '--target', 'lab', '--out', out]);
    expect(refused).toMatchObject({ exit: 1, stderr: expect.stringContaining('FILE_NOT_OURS') });
    expect(readFileSync(out, 'utf8')).toContain('export type Database');
  });
});
