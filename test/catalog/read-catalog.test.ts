/** The catalog against real servers: what we say is compared with what was created, and with Postgres' own functions. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Catalog, Relation } from '../../src/catalog/model.ts';
import { openSession } from '../../src/effects/postgres/open.ts';
import { readCatalog } from '../../src/effects/postgres/read-catalog.ts';
import type { SqlSession } from '../../src/effects/postgres/session.ts';
import { majors, startServer, type TestServer } from '../helpers/databases.ts';
import { hostile, hostileSchemaSql, injection, shopSql } from '../helpers/hostile-schema.ts';

describe.each(majors)('the catalog of Postgres %i', (major) => {
  let server: TestServer;
  let database: string;
  let session: SqlSession;
  let catalog: Catalog;
  const open = (user: string, name = database) =>
    openSession(
      {
        name: 'lab',
        reach: {},
        addresses: [{ host: '127.0.0.1', port: server.port, database: name, user, password: server.password, ssl: 'disable' }],
      },
      'read',
    );
  beforeAll(async () => {
    server = await startServer(major);
    database = await server.clone();
    const admin = await server.admin(database);
    await admin.query(shopSql + hostileSchemaSql);
    await admin.query(`alter role supabase_admin in database ${database} set search_path = public, auth`);
    session = await open('supabase_read_only_user');
    catalog = await readCatalog(session);
  });
  afterAll(async () => {
    await session?.close();
    await server?.stop();
  });
  const relation = (name: string, schema = 'public'): Relation => {
    const found = catalog.relations.find((each) => each.schema === schema && each.name === name);
    if (!found) throw new Error(`no relation ${name}`);
    return found;
  };

  test('is read by a role that is no superuser and can only read', async () => {
    expect(session).toMatchObject({ role: 'supabase_read_only_user', superuser: false });
    expect(catalog.server).toMatchObject({ database, encoding: 'UTF8', version: expect.any(Number) });
    expect(Math.floor(catalog.server.version / 10_000)).toBe(major);
  });

  test('is the same whatever the role and its search_path, and qualifies every name', async () => {
    const other = await open('supabase_admin');
    try {
      expect((await other.query<{ path: string }>("select current_setting('search_path') as path")).rows[0]?.path).toBe('public, auth');
      expect(await readCatalog(other)).toEqual(catalog);
    } finally {
      await other.close();
    }
    expect(relation('customers').constraints.find(({ kind }) => kind === 'foreignKey')?.definition).toContain('REFERENCES auth.users(id)');
    expect(relation('orders').columns.find(({ name }) => name === 'status')).toMatchObject({
      type: 'public.status',
      default: "'new'::public.status",
    });
  });

  test('does not depend on the order in which things were made', async () => {
    const again = await server.clone();
    const admin = await server.admin(again);
    await admin.query(hostileSchemaSql + shopSql);
    const second = await open('supabase_read_only_user', again);
    try {
      const read = await readCatalog(second);
      expect({ ...read, server: null, roles: null }).toEqual({ ...catalog, server: null, roles: null });
    } finally {
      await second.close();
    }
  });

  test('knows columns with identity, generation, collation, defaults and their own grants', () => {
    expect(relation('orders').columns).toMatchObject([
      { name: 'id', type: 'bigint', notNull: true, identity: 'byDefault', grants: [{ to: 'anon', privileges: ['SELECT'] }] },
      { name: 'customer', type: 'uuid', notNull: true, grants: [] },
      { name: 'status' },
      { name: 'total', type: 'numeric(10,2)', notNull: false, grants: [{ to: 'anon', privileges: ['SELECT'] }] },
      { name: 'placed', default: 'now()' },
    ]);
    expect(relation('customers').columns).toMatchObject([
      { name: 'id', default: 'gen_random_uuid()' },
      { name: 'user_id' },
      { name: 'mail', type: 'public.email' },
      { name: 'name', collation: 'pg_catalog."C"', comment: 'As on the letter' },
      { name: 'shouted', generated: 'upper(name)' },
      { name: 'home', type: 'public.address' },
    ]);
    expect(relation('customers').columns[4]).not.toHaveProperty('default');
  });

  test('knows keys, checks and indexes, and which of them belong together', () => {
    expect(relation('customers').constraints).toMatchObject([
      { name: 'customers_pkey', kind: 'primaryKey', columns: ['id'] },
      { kind: 'foreignKey', columns: ['user_id'], references: { schema: 'auth', name: 'users', columns: ['id'] } },
      { name: 'name_is_long', kind: 'check', definition: 'CHECK ((length(name) > 1))', validated: true },
    ]);
    expect(relation('orders').indexes).toMatchObject([
      { name: 'orders_customer_placed', unique: true, columns: ['customer', 'placed'] },
      { name: 'orders_pkey', constraint: 'orders_pkey', valid: true },
      { name: 'orders_placed', columns: ['placed', '(expression)'], predicate: '(total > (0)::numeric)', method: 'btree' },
    ]);
    expect(relation('events_2026')).toMatchObject({
      kind: 'table',
      partition: { of: { schema: 'public', name: 'events' }, bound: "FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')" },
      inherits: [],
      indexes: [{ parent: { schema: 'public', name: 'events_pkey' } }],
    });
    expect(relation('events')).toMatchObject({ kind: 'partitionedTable', partitionKey: 'RANGE (at)' });
    expect(relation('child')).toMatchObject({ inherits: [{ schema: 'public', name: 'base' }] });
    expect(relation('scratch')).toMatchObject({ persistence: 'unlogged', rules: [{ name: 'no_delete' }] });
  });

  test('an index that a failed build left behind is not valid', async () => {
    const admin = await server.admin(database);
    await admin.query('create table public.twice (v int); insert into public.twice values (1), (1)');
    await expect(admin.query('create unique index concurrently twice_v on public.twice (v)')).rejects.toThrow(/could not create unique/);
    const { relations } = await readCatalog(session, ['relations', 'indexes']);
    expect(relations.find(({ name }) => name === 'twice')?.indexes).toMatchObject([{ name: 'twice_v', valid: false, unique: true }]);
    await admin.query('drop table public.twice');
  });

  test('knows row security, policies, triggers and views, those on Supabase’s own tables too', () => {
    expect([relation('customers').rowSecurity, relation('orders').rowSecurity, relation('base').rowSecurity]).toEqual([
      'on',
      'forced',
      'off',
    ]);
    expect(relation('customers').policies).toMatchObject([
      { name: 'gate', permissive: false, command: 'all', roles: ['public'], using: 'true', check: "(name <> ''::text)" },
      { name: 'own', permissive: true, command: 'select', roles: ['authenticated'], using: '(user_id = auth.uid())' },
    ]);
    expect(relation('objects', 'storage').policies).toMatchObject([{ name: 'read_own', roles: ['authenticated'] }]);
    expect(relation('users', 'auth').triggers).toMatchObject([
      { name: 'on_auth_user_created', function: { schema: 'public', name: 'touch' } },
    ]);
    expect(relation('orders').triggers).toMatchObject([{ name: 'touch', mode: 'disabled' }]);
    expect(relation('big')).toMatchObject({
      kind: 'view',
      options: ['security_invoker=true'],
      definition: expect.stringContaining('public.orders'),
    });
    expect(relation('totals')).toMatchObject({
      kind: 'materializedView',
      columns: [{ name: 'customer' }, { name: 'sum', type: 'numeric' }],
    });
  });

  test('knows routines, types, sequences, publications and what else there is', () => {
    const routines = catalog.routines.filter(({ schema }) => schema === 'public');
    expect(routines.map(({ name, kind }) => `${kind} ${name}`)).toEqual([
      'function add',
      'procedure noop',
      'aggregate plus',
      'function touch',
    ]);
    expect(routines[0]).toMatchObject({
      identityArguments: 'a integer, b integer',
      arguments: 'a integer, b integer DEFAULT 1',
      result: 'integer',
      language: 'sql',
      volatility: 'immutable',
      strict: true,
      parallel: 'safe',
      securityDefiner: false,
      comment: 'Adds',
      definition: expect.stringMatching(/^CREATE OR REPLACE FUNCTION public\.add/),
    });
    expect(routines[3]).toMatchObject({ securityDefiner: true, settings: ['search_path=""'] });
    expect(catalog.types.filter(({ schema }) => schema === 'public')).toMatchObject([
      {
        name: 'address',
        kind: 'composite',
        attributes: [
          { name: 'street', type: 'text' },
          { name: 'zip', type: 'character varying(10)' },
        ],
      },
      { name: 'email', kind: 'domain', base: 'text', notNull: true, constraints: [{ name: 'has_at' }] },
      { name: 'span', kind: 'range', subtype: 'timestamp with time zone' },
      { name: 'status', kind: 'enum', labels: ['new', 'paid', 'sent'] },
    ]);
    expect(catalog.sequences.filter(({ schema }) => schema === 'public')).toMatchObject([
      { name: 'invoice_numbers', start: '100', increment: '10' },
      { name: 'orders_id_seq', ownedBy: { schema: 'public', name: 'orders', column: 'id', identity: true } },
    ]);
    expect(catalog.publications.find(({ name }) => name === 'shop')).toMatchObject({
      publishes: ['insert', 'update'],
      tables: [
        { schema: 'public', name: 'customers' },
        { schema: 'public', name: 'orders', columns: ['id', 'total'], where: '(id > 0)' },
      ],
    });
    expect(catalog.others).toEqual([
      { kind: 'collation', identity: 'public.de' },
      { kind: 'statistics object', identity: 'public.by_two' },
    ]);
    expect(catalog.extensions.map(({ name, schema }) => [name, schema])).toContainEqual(['pgcrypto', 'extensions']);
  });

  test('grants are the effective ones, and say who may pass them on', () => {
    expect(relation('orders').grants.find(({ to }) => to === 'anon')).toBeUndefined();
    expect(relation('customers').grants.find(({ to }) => to === 'anon')?.privileges).toContain('SELECT');
    expect(relation(hostile.table, hostile.schema).grants).toContainEqual({
      to: hostile.role,
      privileges: ['SELECT'],
      grantable: ['SELECT'],
    });
    // Nobody granted anything here: what Postgres starts with is what holds.
    expect(relation('migrations', 'storage').owner).toBe('supabase_storage_admin');
    expect(catalog.types.find(({ name }) => name === 'status')?.grants).toEqual([
      { to: 'public', privileges: ['USAGE'], grantable: [] },
      { to: 'supabase_admin', privileges: ['USAGE'], grantable: [] },
    ]);
    expect(catalog.defaultPrivileges.filter(({ role, on }) => role === 'postgres' && on === 'tables')).toMatchObject([
      { schema: 'public', grants: expect.arrayContaining([expect.objectContaining({ to: 'anon' })]) },
    ]);
  });

  test('names that want to be something else arrive whole and change nothing around them', () => {
    const table = relation(hostile.table, hostile.schema);
    expect(table.columns.map(({ name }) => name)).toEqual([hostile.column, hostile.bidi, hostile.lineEnd]);
    expect(table.comment).toBe(injection);
    const index = table.indexes.find(({ name }) => name === hostile.index);
    expect(index?.columns).toEqual([hostile.lineEnd]);
    expect(index?.form).toBe(`CREATE INDEX ON "we""ird.schema"."orders""; drop table users; --" USING btree ("first\nsecond")`);
    expect(table.policies[0]?.roles).toEqual([hostile.role]);
    expect(catalog.roles.find(({ name }) => name === 'authenticator')).toMatchObject({
      attributes: ['login'],
      memberOf: [{ role: 'anon', admin: false }, { role: 'authenticated' }, { role: 'service_role' }],
      settings: ['lock_timeout', 'statement_timeout'],
    });
  });

  test('no setting’s value and no password is in it', () => {
    const text = JSON.stringify(catalog);
    expect(text).not.toContain('j'.repeat(32));
    expect(text).not.toContain(server.password);
    expect(text).not.toMatch(/SCRAM-SHA-256/);
  });
});
