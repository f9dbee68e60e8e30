/** Each lint on a real database: one object that it must find, and one beside it that it must not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Advice, advise, lints } from '../../src/catalog/advisors/advise.ts';
import { openSession } from '../../src/effects/postgres/open.ts';
import { readCatalog } from '../../src/effects/postgres/read-catalog.ts';
import { majors, startServer, type TestServer } from '../helpers/databases.ts';

const sickSql = `
create table public.open (id int primary key, password text, note text);
create table public.shut (id int primary key, password text);
alter table public.shut enable row level security;
create table public.hidden (id int primary key, password text);
revoke all on public.hidden from anon, authenticated, public;
create table public.idle_policy (id int primary key);
revoke all on public.idle_policy from anon, authenticated;
create policy p on public.idle_policy using (true);
create view public.people as select id, email from auth.users;
create view public.careful with (security_invoker = true) as select id, email from auth.users;
create view public.owner_view as select id from public.shut;
create table public.trust (id int primary key, who uuid);
alter table public.trust enable row level security;
create policy meta on public.trust for select using ((auth.jwt() -> 'user_metadata' ->> 'role') = 'admin');
create policy slow on public.trust for delete to authenticated using (who = auth.uid());
create policy quick on public.trust for update to authenticated using (who = (select auth.uid()));
create table public.loose (id int primary key);
alter table public.loose enable row level security;
create policy anything on public.loose for insert with check (true);
create policy reading on public.loose for select using (true);
create policy more on public.loose for select to anon using (id > 1);
create function public.mutable() returns int language sql as 'select 1';
create function public.fixed() returns int language sql set search_path = '' as 'select 1';
create function public.power() returns int language sql security definer set search_path = '' as 'select 1';
create function public.tamed() returns int language sql security definer set search_path = '' as 'select 1';
revoke execute on function public.tamed() from public, anon, authenticated;
create materialized view public.sums as select count(*) from public.open;
create foreign data wrapper nowhere;
create server far foreign data wrapper nowhere;
create foreign table public.distant (id int) server far;
create extension pg_trgm schema public;
create table public.parent (id int primary key);
create table public.bare (id int primary key, parent int references public.parent);
create table public.covered (id int primary key, parent int references public.parent);
create index covered_parent on public.covered (parent, id);
create table public.partial (id int primary key, parent int references public.parent);
create index partial_parent on public.partial (parent) where parent > 0;
create table public.no_key (id int);
create index bare_one on public.bare (id, parent);
create index bare_two on public.bare (id, parent);
create index bare_other on public.bare (parent desc, id) where id > 5;
create table public.later (id int primary key, n int);
alter table public.later add constraint positive check (n > 0) not valid;
create table public.reg (id int primary key, kind regclass, proc regproc);
create table public.twice (v int);
insert into public.twice values (1), (1);
`;

describe.each(majors)('advisors on Postgres %i', (major) => {
  let server: TestServer;
  let advice: Advice[];
  beforeAll(async () => {
    server = await startServer(major);
    const admin = await server.admin();
    await admin.query(sickSql);
    await expect(admin.query('create unique index concurrently twice_v on public.twice (v)')).rejects.toThrow(/unique/);
    const address = {
      host: '127.0.0.1',
      port: server.port,
      database: 'postgres',
      user: 'supabase_read_only_user',
      password: server.password,
    };
    const session = await openSession({ name: 'lab', reach: {}, addresses: [{ ...address, ssl: 'disable' }] }, 'read');
    advice = advise(await readCatalog(session));
    await session.close();
  });
  afterAll(() => server?.stop());
  const found = (lint: string) =>
    (advice.find((each) => each.lint === lint)?.hits ?? []).map(({ on, detail }) => (detail === undefined ? on : `${on}: ${detail}`));

  test.each<[string, string[], string[]]>([
    ['rls_disabled_in_public', ['public.open'], ['public.shut', 'public.hidden', 'public.people']],
    ['policy_exists_rls_disabled', ['public.idle_policy'], ['public.trust']],
    ['auth_users_exposed', ['public.people'], ['public.careful', 'public.owner_view']],
    ['security_definer_view', ['public.people', 'public.owner_view'], ['public.careful']],
    ['rls_references_user_metadata', ['public.trust: policy meta'], ['public.trust: policy slow']],
    ['sensitive_columns_exposed', ['public.open: column password'], ['public.shut: column password', 'public.open: column note']],
    ['rls_policy_always_true', ['public.loose: policy anything'], ['public.loose: policy reading']],
    ['rls_enabled_no_policy', ['public.shut'], ['public.trust']],
    ['function_search_path_mutable', ['public.mutable()'], ['public.fixed()']],
    ['security_definer_function_executable', ['public.power()'], ['public.tamed()', 'public.fixed()']],
    ['extension_in_public', ['pg_trgm'], ['pgcrypto']],
    ['materialized_view_in_api', ['public.sums'], ['public.people']],
    ['foreign_table_in_api', ['public.distant'], ['public.open']],
    ['invalid_index', ['public.twice: index twice_v'], []],
    ['auth_rls_initplan', ['public.trust: policy slow'], ['public.trust: policy quick']],
    ['multiple_permissive_policies', ['public.loose: anon select: more, reading'], ['public.loose: authenticated select: reading']],
    ['duplicate_index', ['public.bare: indexes bare_one, bare_two'], []],
    ['unindexed_foreign_keys', ['public.partial: partial_parent_fkey (parent)'], ['public.covered: covered_parent_fkey (parent)']],
    ['no_primary_key', ['public.no_key'], ['public.open', 'public.people']],
    ['unused_index', ['public.bare: index bare_one'], ['public.bare: index bare_pkey']],
    ['unvalidated_constraint', ['public.later: constraint positive'], []],
    ['unsupported_reg_types', ['public.reg: column proc regproc'], ['public.reg: column kind regclass']],
  ])('%s finds %j and not %j', (lint, wanted, unwanted) => {
    expect(found(lint)).toEqual(expect.arrayContaining(wanted));
    for (const each of unwanted) expect(found(lint)).not.toContain(each);
  });

  test('the bare key with a partial or later index still counts as unindexed', () => {
    expect(found('unindexed_foreign_keys')).toContain('public.bare: bare_parent_fkey (parent)');
  });

  test('errors come first, and every lint explains itself', () => {
    const order = advice.map(({ level }) => ['ERROR', 'WARN', 'INFO'].indexOf(level));
    expect(order).toEqual([...order].sort());
    for (const { say, fix, name } of lints) expect([name, say.endsWith('.'), fix.endsWith('.')]).toEqual([name, true, true]);
    expect(new Set(lints.map(({ name }) => name)).size).toBe(lints.length);
  });

  test('a fresh Supabase has no error: its own schemas are no finding', async () => {
    const database = await (async () => {
      const fresh = await startServer(major);
      const address = {
        host: '127.0.0.1',
        port: fresh.port,
        database: 'postgres',
        user: 'supabase_read_only_user',
        password: fresh.password,
      };
      const session = await openSession({ name: 'lab', reach: {}, addresses: [{ ...address, ssl: 'disable' }] }, 'read');
      const catalog = await readCatalog(session);
      await session.close();
      await fresh.stop();
      return catalog;
    })();
    expect(advise(database).filter(({ level }) => level === 'ERROR')).toEqual([]);
  });
});
