/**
 * The catalog as one constant statement: one round trip on every way to a database, one snapshot, one JSON value. Invariants:
 * 1. It only reads, and any role may run it: pg_authid, pg_user_mapping, settings' values and rows of tables are never touched.
 * 2. search_path is empty while it runs: the condition below is a one-time filter, which Postgres judges before any output column.
 * 3. It waits for no lock longer than `lockTimeoutMs`. Only what Postgres writes out of stored expressions needs one (defaults, checks, policies,
 *    views: it opens their tables), so the brief forms never wait.
 * 4. Postgres 15 and newer.
 */

/** Not of an extension, not of Postgres itself. */
const own = (catalog: string, id: string) =>
  `not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.${catalog}'::regclass and e.objid = ${id} and e.deptype = 'e')`;
const userSchema = (alias: string) => `${alias}.nspname !~ '^pg_' and ${alias}.nspname <> 'information_schema'`;
const comment = (catalog: string, id: string) => `pg_catalog.obj_description(${id}, '${catalog}') as comment`;
const grants = (column: string, kind: string, owner: string) =>
  `coalesce(${column}, pg_catalog.acldefault('${kind}', ${owner}))::text[] as acl`;
const ownerOf = (column: string) => `pg_catalog.pg_get_userbyid(${column}) as owner`;

/** The relations of user schemas; every part of a relation joins them. */
const relationSource = `pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace`;
const relationFilter = `c.relkind in ('r', 'p', 'f', 'v', 'm') and c.relpersistence <> 't' and ${userSchema('n')} and ${own('pg_class', 'c.oid')}`;

const attributeNames = (relation: string, numbers: string) =>
  `array(select a.attname from unnest(${numbers}) with ordinality u(number, place)
     join pg_catalog.pg_attribute a on a.attrelid = ${relation} and a.attnum = u.number order by u.place)`;

/** How long a definition may wait for a lock that somebody else holds. */
export const lockTimeoutMs = 3_000;

export const sections = {
  schemas: `
    select n.nspname as name, ${ownerOf('n.nspowner')}, ${comment('pg_namespace', 'n.oid')}, ${grants('n.nspacl', 'n', 'n.nspowner')}
    from pg_catalog.pg_namespace n where ${userSchema('n')}`,
  relations: relations(true),
  relationsBrief: relations(false),
  columns: columns(true),
  columnsBrief: columns(false),
  constraints: constraints(true),
  constraintsBrief: constraints(false),
  indexes: `
    select c.oid::bigint as of, x.relname as name, quote_ident(x.relname) as quoted, m.amname as method, i.indisunique as unique, i.indisvalid and i.indisready as valid,
      array(select coalesce((select a.attname from pg_catalog.pg_attribute a where a.attrelid = c.oid and a.attnum = k.number and k.number <> 0), '(expression)')
        from unnest(i.indkey::int2[]) with ordinality k(number, place) where k.place <= i.indnkeyatts order by k.place) as columns,
      (select k.conname from pg_catalog.pg_constraint k where k.conindid = i.indexrelid and k.conrelid = c.oid and k.contype in ('p', 'u', 'x')) as constraint,
      pg_catalog.pg_get_expr(i.indpred, i.indrelid) as predicate, pg_catalog.pg_get_indexdef(i.indexrelid) as definition,
      (select json_build_object('schema', pn.nspname, 'name', p.relname) from pg_catalog.pg_inherits h join pg_catalog.pg_class p on p.oid = h.inhparent
        join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace where h.inhrelid = i.indexrelid) as parent,
      coalesce(pg_catalog.pg_stat_get_numscans(i.indexrelid), 0) as scans
    from ${relationSource} join pg_catalog.pg_index i on i.indrelid = c.oid join pg_catalog.pg_class x on x.oid = i.indexrelid
      join pg_catalog.pg_am m on m.oid = x.relam
    where ${relationFilter}`,
  policies: policies(true),
  policiesBrief: policies(false),
  triggers: `
    select c.oid::bigint as of, t.tgname as name, pg_catalog.pg_get_triggerdef(t.oid) as definition, t.tgenabled::text as mode, t.tgparentid <> 0 as inherited,
      json_build_object('schema', pn.nspname, 'name', p.proname) as function, ${comment('pg_trigger', 't.oid')}
    from ${relationSource} join pg_catalog.pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
      join pg_catalog.pg_proc p on p.oid = t.tgfoid join pg_catalog.pg_namespace pn on pn.oid = p.pronamespace
    where ${relationFilter}`,
  rules: `
    select c.oid::bigint as of, r.rulename as name, pg_catalog.pg_get_ruledef(r.oid) as definition, r.ev_enabled::text as mode
    from ${relationSource} join pg_catalog.pg_rewrite r on r.ev_class = c.oid and r.rulename <> '_RETURN' where ${relationFilter}`,
  routines: routines(false),
  routinesWhole: routines(true),
  types: `
    select n.nspname as schema, t.typname as name, t.typtype::text as kind, ${ownerOf('t.typowner')}, ${comment('pg_type', 't.oid')}, ${grants('t.typacl', 'T', 't.typowner')},
      case when t.typtype = 'e' then array(select e.enumlabel from pg_catalog.pg_enum e where e.enumtypid = t.oid order by e.enumsortorder) end as labels,
      case when t.typtype = 'd' then pg_catalog.format_type(t.typbasetype, t.typtypmod) end as base, t.typnotnull as "notNull", t.typdefault as default,
      case when t.typtype = 'd' then (select json_agg(json_build_object('name', k.conname, 'definition', pg_catalog.pg_get_constraintdef(k.oid)) order by k.conname)
        from pg_catalog.pg_constraint k where k.contypid = t.oid and k.contype = 'c') end as constraints,
      case when t.typtype = 'c' then (select json_agg(json_build_object('name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod)) order by a.attnum)
        from pg_catalog.pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped) end as attributes,
      case when t.typtype = 'r' then (select pg_catalog.format_type(r.rngsubtype, null) from pg_catalog.pg_range r where r.rngtypid = t.oid) end as subtype
    from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where ${userSchema('n')} and ${own('pg_type', 't.oid')} and t.typtype in ('e', 'd', 'c', 'r', 'b')
      and (t.typtype <> 'c' or exists (select from pg_catalog.pg_class c where c.oid = t.typrelid and c.relkind = 'c'))
      and not exists (select from pg_catalog.pg_type e where e.typarray = t.oid)`,
  sequences: `
    select n.nspname as schema, c.relname as name, ${ownerOf('c.relowner')}, ${comment('pg_class', 'c.oid')}, ${grants('c.relacl', 's', 'c.relowner')},
      pg_catalog.format_type(s.seqtypid, null) as type, s.seqstart::text as start, s.seqincrement::text as increment, s.seqmin::text as minimum, s.seqmax::text as maximum,
      s.seqcache::text as cache, s.seqcycle as cycle,
      (select json_build_object('schema', tn.nspname, 'name', t.relname, 'column', a.attname, 'identity', d.deptype = 'i')
        from pg_catalog.pg_depend d join pg_catalog.pg_class t on t.oid = d.refobjid join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
          join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = d.refobjsubid
        where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i') limit 1) as "ownedBy"
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace join pg_catalog.pg_sequence s on s.seqrelid = c.oid
    where c.relpersistence <> 't' and ${userSchema('n')} and ${own('pg_class', 'c.oid')}`,
  extensions: `
    select x.extname as name, n.nspname as schema, x.extversion as version, a.default_version as available
    from pg_catalog.pg_extension x join pg_catalog.pg_namespace n on n.oid = x.extnamespace left join pg_catalog.pg_available_extensions a on a.name = x.extname`,
  publications: `
    select p.pubname as name, ${ownerOf('p.pubowner')}, p.puballtables as "allTables", p.pubinsert as insert, p.pubupdate as update, p.pubdelete as delete,
      p.pubtruncate as truncate, p.pubviaroot as "viaRoot",
      (select json_agg(json_build_object('schema', n.nspname, 'name', c.relname, 'where', pg_catalog.pg_get_expr(r.prqual, r.prrelid),
          'columns', case when r.prattrs is not null then ${attributeNames('c.oid', 'r.prattrs::int2[]')} end))
        from pg_catalog.pg_publication_rel r join pg_catalog.pg_class c on c.oid = r.prrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
        where r.prpubid = p.oid) as tables,
      array(select n.nspname from pg_catalog.pg_publication_namespace s join pg_catalog.pg_namespace n on n.oid = s.pnnspid where s.pnpubid = p.oid) as schemas
    from pg_catalog.pg_publication p where ${own('pg_publication', 'p.oid')}`,
  defaultPrivileges: `
    select pg_catalog.pg_get_userbyid(d.defaclrole) as role, n.nspname as schema, d.defaclobjtype::text as on, d.defaclacl::text[] as acl
    from pg_catalog.pg_default_acl d left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace`,
  eventTriggers: `
    select t.evtname as name, t.evtevent as event, coalesce(t.evttags, '{}') as tags, t.evtenabled::text as mode, ${ownerOf('t.evtowner')},
      json_build_object('schema', n.nspname, 'name', p.proname) as function
    from pg_catalog.pg_event_trigger t join pg_catalog.pg_proc p on p.oid = t.evtfoid join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where ${own('pg_event_trigger', 't.oid')}`,
  roles: `
    select r.rolname as name, r.rolsuper as superuser, r.rolinherit as inherit, r.rolcreaterole as createrole, r.rolcreatedb as createdb, r.rolcanlogin as login,
      r.rolreplication as replication, r.rolbypassrls as bypassrls, nullif(r.rolconnlimit, -1) as "connectionLimit",
      (select json_agg(json_build_object('role', pg_catalog.pg_get_userbyid(m.roleid), 'admin', m.admin_option)) from pg_catalog.pg_auth_members m where m.member = r.oid) as members,
      array(select distinct split_part(s.setting, '=', 1) from pg_catalog.pg_db_role_setting d, unnest(d.setconfig) s(setting) where d.setrole = r.oid and d.setdatabase in (0, (select b.oid from pg_catalog.pg_database b where b.datname = current_database()))) as settings
    from pg_catalog.pg_roles r where r.rolname !~ '^pg_'`,
  others: `
    select o.type as kind, o.identity
    from (
      select 'pg_catalog.pg_collation'::regclass as class, oid from pg_catalog.pg_collation
      union all select 'pg_catalog.pg_conversion'::regclass, oid from pg_catalog.pg_conversion
      union all select 'pg_catalog.pg_operator'::regclass, oid from pg_catalog.pg_operator
      union all select 'pg_catalog.pg_opclass'::regclass, oid from pg_catalog.pg_opclass
      union all select 'pg_catalog.pg_opfamily'::regclass, oid from pg_catalog.pg_opfamily
      union all select 'pg_catalog.pg_cast'::regclass, oid from pg_catalog.pg_cast
      union all select 'pg_catalog.pg_am'::regclass, oid from pg_catalog.pg_am
      union all select 'pg_catalog.pg_language'::regclass, oid from pg_catalog.pg_language
      union all select 'pg_catalog.pg_statistic_ext'::regclass, oid from pg_catalog.pg_statistic_ext
      union all select 'pg_catalog.pg_ts_config'::regclass, oid from pg_catalog.pg_ts_config
      union all select 'pg_catalog.pg_ts_dict'::regclass, oid from pg_catalog.pg_ts_dict
      union all select 'pg_catalog.pg_ts_parser'::regclass, oid from pg_catalog.pg_ts_parser
      union all select 'pg_catalog.pg_ts_template'::regclass, oid from pg_catalog.pg_ts_template
      union all select 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid from pg_catalog.pg_foreign_data_wrapper
      union all select 'pg_catalog.pg_foreign_server'::regclass, oid from pg_catalog.pg_foreign_server
    ) x cross join lateral pg_catalog.pg_identify_object(x.class, x.oid, 0) o
    where x.oid >= 16384 and not exists (select from pg_catalog.pg_depend e where e.classid = x.class and e.objid = x.oid and e.deptype in ('e', 'i'))`,
} as const;

export type SectionName = keyof typeof sections;

function relations(whole: boolean): string {
  return `
    select c.oid::bigint as id, n.nspname as schema, c.relname as name, c.relkind::text as kind, ${ownerOf('c.relowner')},
      ${comment('pg_class', 'c.oid')}, c.relpersistence::text as persistence, c.relrowsecurity as secured, c.relforcerowsecurity as forced,
      c.relreplident::text as replica, c.reloptions as options, ${grants('c.relacl', 'r', 'c.relowner')}, c.reltuples::bigint as rows,
      case when c.relispartition then pg_catalog.pg_get_expr(c.relpartbound, c.oid) end as bound,
      case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end as "partitionKey",
      ${whole ? `case when c.relkind in ('v', 'm') then pg_catalog.pg_get_viewdef(c.oid) end as definition,` : ''}
      (select s.srvname from pg_catalog.pg_foreign_table t join pg_catalog.pg_foreign_server s on s.oid = t.ftserver where t.ftrelid = c.oid) as server,
      (select json_agg(json_build_object('schema', pn.nspname, 'name', p.relname) order by i.inhseqno)
        from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
        where i.inhrelid = c.oid) as parents
    from ${relationSource} where ${relationFilter}`;
}

function columns(whole: boolean): string {
  return `
    select c.oid::bigint as of, a.attname as name, a.attnum as place, pg_catalog.format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as "notNull",
      nullif(a.attidentity::text, '') as identity, nullif(a.attgenerated::text, '') as generated,
      ${
        whole
          ? `case when a.atthasdef then (select pg_catalog.pg_get_expr(d.adbin, d.adrelid) from pg_catalog.pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum) end`
          : `case when a.attgenerated <> '' then '' end`
      } as expression,
      case when a.attcollation <> t.typcollation then
        (select quote_ident(cn.nspname) || '.' || quote_ident(co.collname) from pg_catalog.pg_collation co join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation) end as collation,
      a.attacl::text[] as acl,
      (select d.description from pg_catalog.pg_description d where d.objoid = a.attrelid and d.classoid = 'pg_catalog.pg_class'::regclass and d.objsubid = a.attnum) as comment
    from ${relationSource} join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      join pg_catalog.pg_type t on t.oid = a.atttypid
    where ${relationFilter}`;
}

function constraints(whole: boolean): string {
  return `
    select c.oid::bigint as of, k.conname as name, k.contype::text as kind, k.convalidated as validated, not k.conislocal or k.conparentid <> 0 as inherited,
      ${whole ? 'pg_catalog.pg_get_constraintdef(k.oid)' : `''`} as definition, ${attributeNames('k.conrelid', 'k.conkey')} as columns,
      case when k.contype = 'f' then (select json_build_object('schema', rn.nspname, 'name', r.relname, 'columns', ${attributeNames('k.confrelid', 'k.confkey')})
        from pg_catalog.pg_class r join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace where r.oid = k.confrelid) end as "references",
      ${comment('pg_constraint', 'k.oid')}
    from ${relationSource} join pg_catalog.pg_constraint k on k.conrelid = c.oid and k.contype <> 'n' where ${relationFilter}`;
}

function policies(whole: boolean): string {
  return `
    select c.oid::bigint as of, p.polname as name, p.polpermissive as permissive, p.polcmd::text as command,
      array(select case when r.id = 0 then 'public' else pg_catalog.pg_get_userbyid(r.id)::text end from unnest(p.polroles) r(id)) as roles,
      ${whole ? 'pg_catalog.pg_get_expr(p.polqual, p.polrelid) as using, pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as check,' : ''} ${comment('pg_policy', 'p.oid')}
    from ${relationSource} join pg_catalog.pg_policy p on p.polrelid = c.oid where ${relationFilter}`;
}

function routines(whole: boolean): string {
  return `
    select n.nspname as schema, p.proname as name, p.prokind::text as kind, pg_catalog.pg_get_function_identity_arguments(p.oid) as "identityArguments",
      pg_catalog.pg_get_function_arguments(p.oid) as arguments, pg_catalog.pg_get_function_result(p.oid) as result, l.lanname as language,
      p.provolatile::text as volatility, p.prosecdef as "securityDefiner", p.proisstrict as strict, p.proleakproof as leakproof, p.proparallel::text as parallel,
      p.proconfig as settings, ${ownerOf('p.proowner')}, ${comment('pg_proc', 'p.oid')}, ${grants('p.proacl', 'f', 'p.proowner')}
      ${whole ? `, case when p.prokind <> 'a' then pg_catalog.pg_get_functiondef(p.oid) end as definition` : ''}
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace join pg_catalog.pg_language l on l.oid = p.prolang
    where ${userSchema('n')} and ${own('pg_proc', 'p.oid')}
      and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid and e.deptype = 'i')`;
}

const server = `
  select json_build_object('version', current_setting('server_version_num')::int, 'database', d.datname, 'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
    'collation', d.datcollate, 'characterType', d.datctype)
  from pg_catalog.pg_database d where d.datname = current_database()`;

/** One statement that answers the named sections, and the server, as one JSON value in the column `catalog`. */
export function catalogSql(names: readonly SectionName[]): string {
  const parts = names.map((name) => `'${name}', (select json_agg(json_strip_nulls(row_to_json(q))) from (${sections[name]}) q)`);
  return `select json_build_object('server', (${server}), ${parts.join(',\n')}) as catalog where (select pg_catalog.set_config('search_path', '', true) || pg_catalog.set_config('lock_timeout', '${lockTimeoutMs}', true)) is not null`;
}
