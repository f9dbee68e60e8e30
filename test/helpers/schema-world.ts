/**
 * A project whose schema public is held from everywhere: triggers on auth.users, policies on storage.objects, foreign keys in both
 * directions, views, rules, defaults, checks, a routine with a parsed body, event triggers, publications; and back.
 */
import { shopSql } from './hostile-schema.ts';

export const ann = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';

export const heldSql =
  `
${shopSql}
insert into auth.users (id, email) values
  ('11111111-1111-4111-8111-111111111111', 'ann@example.com'), ('22222222-2222-4222-8222-222222222222', 'bob@example.com');
`
    // The shop's own trigger is for orders; one on auth.users that works comes below.
    .replace(/create trigger on_auth_user_created .*;\n/, '') +
  `
alter table public.orders enable trigger touch;
insert into public.customers (id, user_id, mail, name, home) values
  ('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', '11111111-1111-4111-8111-111111111111', 'ann@example.com', 'Ann', row('High st', '1234')),
  ('bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb', '22222222-2222-4222-8222-222222222222', 'bob@example.com', E'B\\\\o\\tb\\n', null);
insert into public.orders (customer, status, total, placed) select 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', 'paid', g, '2026-01-01'::date + g from generate_series(1, 1500) g;
insert into public.events select g, '2026-02-03', jsonb_build_object('n', g) from generate_series(1, 300) g;
insert into public.child values (7, 'extra');
refresh materialized view public.totals;
create sequence public.odd_start;
select setval('public.odd_start', 7, false);
create cast (public.status as int) with inout as assignment;
comment on cast (public.status as int) is 'By its text';
comment on schema public is 'What the shop''s people see';
grant usage on schema public to reporting;
alter publication supabase_realtime add table public.orders;

create table public.profiles (id uuid primary key references auth.users, nick text);
insert into public.profiles values ('11111111-1111-4111-8111-111111111111', 'ann');
create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as
  $f$ begin insert into public.profiles (id, nick) values (new.id, split_part(new.email, '@', 1)); return new; end $f$;
create function public.no_change() returns trigger language plpgsql as $f$ begin return new; end $f$;
create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user();
comment on trigger on_auth_user_created on auth.users is 'Makes the profile';
create trigger on_auth_user_sleeping before update of email on auth.users for each row when (old.email is distinct from new.email) execute function public.no_change();
alter table auth.users disable trigger on_auth_user_sleeping;
create constraint trigger on_auth_user_checked after insert on auth.users deferrable initially deferred for each row execute function public.no_change();
comment on trigger on_auth_user_checked on auth.users is 'At the end';
create function public.may_read(path text) returns boolean language sql stable as 'select exists (select from public.profiles p where p.id = auth.uid() and path <> '''')';
create policy "by profile" on storage.objects for select to authenticated using (public.may_read(name));
comment on policy "by profile" on storage.objects is 'Who has a profile';
create policy "writes by profile" on storage.objects as restrictive for insert to authenticated with check (public.may_read(name) and bucket_id <> '');

create schema "App ""x""";
create function public.label(n int) returns text language sql immutable as $f$ select 'label ' || n $f$;
create table "App ""x""".notes (
  id bigint generated always as identity primary key,
  customer uuid not null constraint "notes of" references public.customers on delete cascade,
  invoice bigint default nextval('public.invoice_numbers'),
  label text not null default public.label(3),
  constraint labelled check (label <> public.label(0))
);
comment on constraint "notes of" on "App ""x""".notes is 'Whose note';
insert into "App ""x""".notes (customer) values ('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa');
alter table public.customers add column first_note bigint references "App ""x""".notes;
create view "App ""x""".ann with (security_invoker = true, check_option = local) as select id, name from public.customers where name = 'Ann';
create view "App ""x""".over as select name from "App ""x""".ann;
grant select on "App ""x""".ann to anon;
comment on view "App ""x""".ann is 'Ann alone';
create table "App ""x""".log (id bigint);
create rule logged as on insert to "App ""x""".log do also insert into public.scratch values (new.id);
alter table "App ""x""".log disable rule logged;
create function "App ""x""".how_many() returns bigint stable begin atomic select count(*) from public.orders; end;
revoke all on function "App ""x""".how_many() from public;
create function public.watch() returns event_trigger language plpgsql as 'begin end';
create event trigger watch_tables on ddl_command_end when tag in ('CREATE TABLE', 'DROP VIEW') execute function public.watch();
create event trigger watch_asleep on sql_drop execute function public.watch();
alter event trigger watch_asleep disable;
comment on event trigger watch_tables is 'Looks on';
create publication whole for tables in schema public, "App ""x""";
`;
