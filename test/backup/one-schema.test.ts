/** The parts of an exchange of one schema that need no backup: what points into it, on each major, and the statements that follow. */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { portOf } from '../../src/effects/backup/deps.ts';
import { sqlOnly } from '../../src/effects/backup/one-schema/definitions.ts';
import { dropStatements, goneOf, lostOf, lostStatements, noneLost, stillThere } from '../../src/effects/backup/one-schema/lost.ts';
import { readReferences } from '../../src/effects/backup/one-schema/references.ts';
import { castsSql } from '../../src/effects/backup/one-schema/references-sql.ts';
import { joinStatements, leaveStatements, repointStatements } from '../../src/effects/backup/one-schema/repoint.ts';
import { transactionFailure } from '../../src/effects/backup/one-schema/transaction.ts';
import { catalogWithin } from '../../src/effects/backup/one-schema/within.ts';
import { readCatalog } from '../../src/effects/postgres/read-catalog.ts';
import { majors, startServer, type TestServer } from '../helpers/databases.ts';
import { heldSql } from '../helpers/schema-world.ts';

/** What holds schema public so that it cannot be pointed elsewhere, and how that is told. */
const holding: [sql: string, told: RegExp][] = [
  ['create table other.t (s public.status)', /^column s of table other\.t depends on type public\.status$/],
  ['create table other.t (s public.email)', /^column s of table other\.t depends on type public\.email$/],
  ['create table other.t (s public.status[])', /^column s of table other\.t depends on type public\.status\[\]$/],
  ['create table other.t (s public.customers)', /^column s of table other\.t depends on type public\.customers$/],
  ['create view other.v as select status from public.orders', /^column status of view other\.v depends on type public\.status$/],
  [
    'create materialized view other.v as select id from public.orders',
    /materialized view other\.v depends on (column id of )?table public\.orders$/,
  ],
  [
    'create table other.t (n int, l text generated always as (public.label(n)) stored)',
    /^(default value for )?column l of table other\.t depends on function public\.label\(integer\)$/,
  ],
  [
    'create table other.t (n int); create index on other.t (public.label(n))',
    /^index other\.t_label_idx depends on function public\.label\(integer\)$/,
  ],
  ['create table other.t () inherits (public.base)', /^table other\.t depends on table public\.base$/],
  [
    "create table other.e2027 partition of public.events for values from ('2027-01-01') to ('2028-01-01')",
    /^table other\.e2027 depends on table public\.events$/,
  ],
  [
    'create table other.parent (id int); create table public.heir () inherits (other.parent)',
    /^table public\.heir depends on table other\.parent$/,
  ],
  [
    "create function other.f(public.orders) returns int language sql as 'select 1'",
    /^function other\.f\(public\.orders\) depends on type public\.orders$/,
  ],
  [
    'create function other.f() returns setof public.orders language sql begin atomic select * from public.orders; end',
    /^function other\.f\(\) depends on type public\.orders$/,
  ],
  [
    "create domain other.d as text check (public.label(length(value)) <> '')",
    /^constraint d_check depends on function public\.label\(integer\)$/,
  ],
  [
    'create statistics other.s on status, total from public.orders',
    /^statistics object other\.s depends on column status of table public\.orders$/,
  ],
  ['create extension btree_gist schema public', /^extension btree_gist depends on schema public$/],
  [
    'create aggregate other.a (int) (sfunc = public.add, stype = int)',
    /^function other\.a\(integer\) depends on function public\.add\(integer,integer\)$/,
  ],
];

describe.each(majors)('Postgres %i', (major) => {
  let server: TestServer;
  let client: pg.Client;
  beforeAll(async () => {
    server = await startServer(major);
    client = await server.admin();
    await client.query('create role reporting');
    await client.query(heldSql);
    await client.query("create schema other; select set_config('search_path', '', false)");
  }, 120_000);
  afterAll(() => server?.stop());

  /** Taken back afterwards. */
  async function inTransaction<T>(work: () => Promise<T>): Promise<T> {
    await client.query('begin');
    try {
      return await work();
    } finally {
      await client.query('rollback');
    }
  }

  test('a schema that is held by what can be written anew has no blockers, and one without references has none of all', async () => {
    const found = await readReferences(client, 'public');
    expect(found.blockers).toEqual([]);
    const nothing = {
      triggers: [],
      policies: [],
      constraints: [],
      defaults: [],
      views: [],
      rules: [],
      routines: [],
      eventTriggers: [],
      blockers: [],
    };
    expect(await readReferences(client, 'other')).toEqual({ ...nothing, pointOut: [] });
    expect(await readReferences(client, 'is not there')).toEqual({ ...nothing, pointOut: [] });
    // Foreign keys of public lead out of it.
    expect(found.pointOut.map(({ name, gives }) => [name, gives])).toEqual([
      ['customers_first_note_fkey', false],
      ['customers_user_id_fkey', true],
      ['profiles_id_fkey', false],
    ]);
  });

  test.each(holding)('%s is told as what holds it', async (sql, told) => {
    if (/btree_gist/.test(sql) && (await client.query("select from pg_available_extensions where name = 'btree_gist'")).rowCount === 0)
      return;
    const lines = await inTransaction(async () => {
      await client.query(sql);
      return (await readReferences(client, 'public')).blockers.map(({ what, on }) => `${what} depends on ${on}`);
    });
    expect(
      lines.some((line) => told.test(line)),
      lines.join('\n'),
    ).toBe(true);
  });

  test('the statements leave every definition, owner, grant, comment and state as it was, and what they name bears no other name', async () => {
    const before = await readCatalog(portOf(client));
    const found = await readReferences(client, 'public');
    const statements = repointStatements(found);
    const after = await inTransaction(async () => {
      for (const statement of statements) await client.query(statement);
      expect(await readReferences(client, 'public')).toEqual(found);
      return readCatalog(portOf(client));
    });
    expect(after).toEqual(before);
    expect(statements.length).toBeGreaterThan(20);
  });

  test('what was dropped is made again as it was, and only what is missing where its table still is', async () => {
    const before = await readCatalog(portOf(client));
    const found = await readReferences(client, 'public');
    const { blockers: _, pointOut: __, views: ___, routines: ____, ...all } = found;
    await inTransaction(async () => {
      expect(lostOf(found, before)).toEqual(noneLost);
      for (const statement of dropStatements(all)) await client.query(statement);
      const left = await readReferences(client, 'public');
      expect({ ...left, views: [], routines: [], pointOut: [] }).toEqual({
        ...noneLost,
        views: [],
        routines: [],
        blockers: [],
        pointOut: [],
      });
      expect(stillThere(all, left)).toEqual(noneLost);
      const lost = lostOf(found, await readCatalog(portOf(client)));
      expect(lost).toEqual(all);
      for (const statement of lostStatements(lost)) await client.query(statement);
      expect(await readReferences(client, 'public')).toEqual(found);
      expect(stillThere(all, found)).toEqual(all);
      expect(await readCatalog(portOf(client))).toEqual(before);
      await client.query(
        'drop view "App ""x""".over, "App ""x""".ann; drop function "App ""x""".how_many(); drop table "App ""x""".notes cascade',
      );
      const now = await readCatalog(portOf(client));
      expect(goneOf(found, now)).toEqual(['routine App "x".how_many()', 'view App "x".ann']);
      // Its table is gone too, and that is no matter of this schema.
      expect(lostOf(found, now)).toEqual(noneLost);
    });
  });

  test('casts of its types are its own, those that Postgres makes with a range are not', async () => {
    expect((await client.query(castsSql, ['public'])).rows).toEqual([
      { cast: 'CAST (public.status AS integer)', way: 'WITH INOUT AS ASSIGNMENT', comment: 'By its text' },
    ]);
  });

  test('the part of a catalog that is one schema holds its casts and memberships, and nothing of others', async () => {
    const catalog = await readCatalog(portOf(client));
    const within = catalogWithin(catalog, 'public', ['shop', 'supabase_realtime', 'whole']);
    const { publications, others, ...rest } = within;
    expect(publications.map(({ name, tables, schemas }) => [name, tables.map((table) => table.name), schemas])).toEqual([
      ['shop', ['customers', 'orders'], []],
      ['supabase_realtime', ['orders'], []],
      ['whole', [], ['public']],
    ]);
    expect(catalogWithin(catalog, 'public', ['whole']).publications).toHaveLength(1);
    expect(others.map(({ kind, identity }) => `${kind} ${identity}`)).toEqual(
      expect.arrayContaining(['cast (public.status AS integer)', 'collation public.de', 'statistics object public.by_two']),
    );
    const { schemas, relations, routines, types, sequences, defaultPrivileges, extensions, eventTriggers, roles } = rest;
    const inside = [...relations, ...routines, ...types, ...sequences, ...defaultPrivileges].map(({ schema }) => schema);
    expect([new Set(inside), schemas.map(({ name }) => name)]).toEqual([new Set(['public']), ['public']]);
    expect([...extensions, ...eventTriggers, ...roles]).toEqual([]);
  });
});

test('publications are left under the kept name and joined under the own one, with columns and rows', () => {
  const members = [
    {
      name: 'p',
      tables: [
        { schema: 's"', name: 'a', columns: ['id', 'x y'], where: '(id > 0)' },
        { schema: 's"', name: 'b' },
      ],
      schemas: [],
    },
    { name: 'all of it', tables: [], schemas: ['s"'] },
  ];
  expect(leaveStatements(members, 'kept')).toEqual([
    'ALTER PUBLICATION "p" DROP TABLE "kept"."a", "kept"."b"',
    'ALTER PUBLICATION "all of it" DROP TABLES IN SCHEMA "kept"',
  ]);
  expect(joinStatements(members)).toEqual([
    'ALTER PUBLICATION "p" ADD TABLE "s"""."a" ("id", "x y") WHERE ((id > 0))',
    'ALTER PUBLICATION "p" ADD TABLE "s"""."b"',
    'ALTER PUBLICATION "all of it" ADD TABLES IN SCHEMA "s"""',
  ]);
});

test('the two lines that only psql understands are taken off, and nothing that looks like them inside', () => {
  const body = 'create function f() as $$\n\\restrict other\n\\unrestrict abc2\n$$;\n';
  expect(sqlOnly(`--\n\n\\restrict abc\n${body}\n\\unrestrict abc\n\n`)).toBe(`--\n\n${body}\n\n`);
  expect(sqlOnly('select 1;\n')).toBe('select 1;\n');
  const settings = (more: string) =>
    `--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\n${more}SET client_encoding = 'UTF8';\n`;
  const made = 'CREATE FUNCTION f() AS $$\nSET transaction_timeout = 0;\n$$;\n';
  const newer = settings('SET transaction_timeout = 0;\n') + made;
  expect([sqlOnly(newer, 15), sqlOnly(newer, 17)]).toEqual([settings('') + made, newer]);
  expect(sqlOnly(settings('') + made, 15)).toBe(settings('') + made);
});

const failures: [error: unknown, committing: boolean, expected: Record<string, unknown>][] = [
  [Object.assign(new Error('x'), { code: '55P03' }), false, { code: 'SCHEMA_LOCKED', retry: 'never', applied: 'no' }],
  [Object.assign(new Error('x'), { code: '40P01' }), false, { code: 'SCHEMA_LOCKED', retry: 'never', applied: 'no' }],
  [
    Object.assign(new Error('insert violates "k"'), { code: '23503', constraint: 'k', table: 't', detail: 'Key (mail)=(ann@example.com)' }),
    false,
    {
      code: 'SCHEMA_DOES_NOT_FIT',
      retry: 'never',
      applied: 'no',
      details: { sqlState: '23503', said: `"insert violates 'k'"`, constraint: 'k', table: 't' },
    },
  ],
  [Object.assign(new Error('terminating'), { code: '57P01' }), false, { code: 'DATABASE_LOST', retry: 'later', applied: 'no' }],
  [Object.assign(new Error('reset'), { code: 'ECONNRESET' }), true, { code: 'DATABASE_LOST', retry: 'later', applied: 'unknown' }],
  [new Error('Connection terminated unexpectedly'), true, { code: 'DATABASE_LOST', retry: 'later', applied: 'unknown' }],
];
test.each(failures)('%s while committing %s is told as what it is', (error, committing, expected) => {
  expect(transactionFailure(error, committing)).toMatchObject(expected);
});
