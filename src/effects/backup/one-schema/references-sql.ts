/**
 * What outside of a schema points into it, as one constant statement with the schema's name as $1. Invariants:
 * 1. Every row of pg_depend that leads from outside into the schema is either one of the kinds that can be written anew, or a blocker:
 *    what this statement does not know it tells, and never leaves out.
 * 2. `held` moves along with the schema when it is renamed, so it points nowhere from outside.
 * 3. It only reads. Definitions are written with schemas under an empty search_path, which the session must have.
 */

/** Catalogs whose objects live in a schema, with the column that says which. */
const homes = {
  pg_class: 'relnamespace',
  pg_proc: 'pronamespace',
  pg_type: 'typnamespace',
  pg_operator: 'oprnamespace',
  pg_opclass: 'opcnamespace',
  pg_opfamily: 'opfnamespace',
  pg_collation: 'collnamespace',
  pg_conversion: 'connamespace',
  pg_ts_config: 'cfgnamespace',
  pg_ts_dict: 'dictnamespace',
  pg_ts_parser: 'prsnamespace',
  pg_ts_template: 'tmplnamespace',
  pg_statistic_ext: 'stxnamespace',
  pg_constraint: 'connamespace',
  pg_default_acl: 'defaclnamespace',
  pg_publication_namespace: 'pnnspid',
} as const;

/** Parts of relations and families, with the column that says of which. */
const parts = {
  pg_trigger: ['tgrelid', 'pg_class'],
  pg_policy: ['polrelid', 'pg_class'],
  pg_rewrite: ['ev_class', 'pg_class'],
  pg_attrdef: ['adrelid', 'pg_class'],
  pg_publication_rel: ['prrelid', 'pg_class'],
  pg_amop: ['amopfamily', 'pg_opfamily'],
  pg_amproc: ['amprocfamily', 'pg_opfamily'],
} as const;

const idsIn = (catalog: keyof typeof homes) =>
  `select x.oid from pg_catalog.${catalog} x where x.${homes[catalog]} = (select oid from home)`;

const toasted = `select c.reltoastrelid from pg_catalog.pg_class c where c.relnamespace = (select oid from home) and c.reltoastrelid <> 0`;

const held = [
  `select 'pg_catalog.pg_namespace'::regclass::oid, oid from home`,
  ...Object.entries(homes).map(
    ([catalog, column]) =>
      `select 'pg_catalog.${catalog}'::regclass::oid, x.oid from pg_catalog.${catalog} x where x.${column} = (select oid from home)`,
  ),
  ...Object.entries(parts).map(
    ([catalog, [column, of]]) =>
      `select 'pg_catalog.${catalog}'::regclass::oid, x.oid from pg_catalog.${catalog} x where x.${column} in (${idsIn(of)})`,
  ),
  // The other ends of foreign keys that lead out of it, and the toast of its tables.
  `select 'pg_catalog.pg_trigger'::regclass::oid, x.oid from pg_catalog.pg_trigger x where x.tgconstraint in (${idsIn('pg_constraint')})`,
  `select 'pg_catalog.pg_class'::regclass::oid, x.reltoastrelid from (${toasted}) x`,
  `select 'pg_catalog.pg_class'::regclass::oid, i.indexrelid from pg_catalog.pg_index i where i.indrelid in (${toasted})`,
  `select 'pg_catalog.pg_cast'::regclass::oid, x.oid from pg_catalog.pg_cast x where x.castsource in (${idsIn('pg_type')}) or x.casttarget in (${idsIn('pg_type')})`,
];

const idOf = (catalog: string) => `select d.objid from dependent d where d.classid = 'pg_catalog.${catalog}'::regclass`;
const tableOf = (id: string) => `(select json_build_object('schema', tn.nspname, 'name', tc.relname)
  from pg_catalog.pg_class tc join pg_catalog.pg_namespace tn on tn.oid = tc.relnamespace where tc.oid = ${id})`;
const commentOf = (catalog: string, id: string) => `pg_catalog.obj_description(${id}, '${catalog}')`;
const list = (query: string) => `coalesce((select json_agg(to_json(q)) from (${query}) q), '[]')`;
/** Types of a routine's own signature: they cannot be exchanged in place. */
const signature = `array[p.prorettype] || p.proargtypes::oid[] || coalesce(p.proallargtypes, '{}')`;

export const referencesSql = `
with home as (select n.oid from pg_catalog.pg_namespace n where n.nspname = $1),
held(class, id) as (${held.join(' union ')}),
dependent as materialized (
  select distinct d.classid, d.objid, d.objsubid, d.refclassid, d.refobjid, d.refobjsubid
  from pg_catalog.pg_depend d join held h on h.class = d.refclassid and h.id = d.refobjid
  where not exists (select from held m where m.class = d.classid and m.id = d.objid)
),
known(class, id) as (
  select 'pg_catalog.pg_trigger'::regclass::oid, t.oid from pg_catalog.pg_trigger t where t.oid in (${idOf('pg_trigger')}) and not t.tgisinternal
  union all select 'pg_catalog.pg_policy'::regclass, p.oid from pg_catalog.pg_policy p where p.oid in (${idOf('pg_policy')})
  union all select 'pg_catalog.pg_constraint'::regclass, k.oid from pg_catalog.pg_constraint k
    where k.oid in (${idOf('pg_constraint')}) and (k.contype = 'f' or k.contype = 'c' and k.conrelid <> 0 and (k.conislocal or k.coninhcount > 0))
  union all select 'pg_catalog.pg_attrdef'::regclass, f.oid from pg_catalog.pg_attrdef f
    join pg_catalog.pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum where f.oid in (${idOf('pg_attrdef')}) and a.attgenerated = ''
  union all select 'pg_catalog.pg_rewrite'::regclass, r.oid from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
    where r.oid in (${idOf('pg_rewrite')}) and (c.relkind = 'v' or r.rulename <> '_RETURN')
  union all select 'pg_catalog.pg_proc'::regclass, p.oid from pg_catalog.pg_proc p
    where p.oid in (${idOf('pg_proc')}) and p.prosqlbody is not null and not ${signature} && array(${idsIn('pg_type')})
  union all select 'pg_catalog.pg_event_trigger'::regclass, e.oid from pg_catalog.pg_event_trigger e where e.oid in (${idOf('pg_event_trigger')})
)
select
  ${list(`
    select ${tableOf('t.tgrelid')} as table, t.tgname as name, pg_catalog.pg_get_triggerdef(t.oid) as definition, t.tgenabled::text as mode,
      t.tgconstraint <> 0 as constraint, ${commentOf('pg_trigger', 't.oid')} as comment
    from pg_catalog.pg_trigger t where t.oid in (select id from known where class = 'pg_catalog.pg_trigger'::regclass) and t.tgparentid = 0 order by t.tgrelid::regclass::text, t.tgname`)} as triggers,
  ${list(`
    select ${tableOf('p.polrelid')} as table, p.polname as name, pg_catalog.pg_get_expr(p.polqual, p.polrelid) as using,
      pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as check, p.polpermissive as permissive, p.polcmd::text as command,
      array(select case when r.id = 0 then 'public' else quote_ident(pg_catalog.pg_get_userbyid(r.id)) end from unnest(p.polroles) r(id) order by 1) as roles,
      ${commentOf('pg_policy', 'p.oid')} as comment
    from pg_catalog.pg_policy p where p.oid in (select id from known where class = 'pg_catalog.pg_policy'::regclass) order by p.polrelid::regclass::text, p.polname`)} as policies,
  ${list(`
    select ${tableOf('k.conrelid')} as table, k.conname as name, case k.contype when 'f' then 'foreignKey' else 'check' end as kind,
      pg_catalog.pg_get_constraintdef(k.oid) as definition, ${commentOf('pg_constraint', 'k.oid')} as comment
    from pg_catalog.pg_constraint k where k.oid in (select id from known where class = 'pg_catalog.pg_constraint'::regclass) and k.conparentid = 0 and k.coninhcount = 0
    order by k.conrelid::regclass::text, k.conname`)} as constraints,
  ${list(`
    select ${tableOf('f.adrelid')} as table, a.attname as column, pg_catalog.pg_get_expr(f.adbin, f.adrelid) as expression
    from pg_catalog.pg_attrdef f join pg_catalog.pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
    where f.oid in (select id from known where class = 'pg_catalog.pg_attrdef'::regclass) order by f.adrelid::regclass::text, a.attnum`)} as defaults,
  ${list(`
    select ${tableOf('r.ev_class')} as view, pg_catalog.pg_get_viewdef(r.ev_class) as definition, coalesce(c.reloptions, '{}') as options
    from pg_catalog.pg_rewrite r join pg_catalog.pg_class c on c.oid = r.ev_class
    where r.oid in (select id from known where class = 'pg_catalog.pg_rewrite'::regclass) and r.rulename = '_RETURN' order by r.ev_class::regclass::text`)} as views,
  ${list(`
    select ${tableOf('r.ev_class')} as table, r.rulename as name, pg_catalog.pg_get_ruledef(r.oid) as definition, r.ev_enabled::text as mode
    from pg_catalog.pg_rewrite r where r.oid in (select id from known where class = 'pg_catalog.pg_rewrite'::regclass) and r.rulename <> '_RETURN'
    order by r.ev_class::regclass::text, r.rulename`)} as rules,
  ${list(`
    select json_build_object('schema', n.nspname, 'name', p.proname) as routine, pg_catalog.pg_get_function_identity_arguments(p.oid) as arguments,
      pg_catalog.pg_get_functiondef(p.oid) as definition
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where p.oid in (select id from known where class = 'pg_catalog.pg_proc'::regclass) order by p.oid::regprocedure::text`)} as routines,
  ${list(`
    select e.evtname as name, e.evtevent as event, coalesce(e.evttags, '{}') as tags, e.evtfoid::regproc::text as function, e.evtenabled::text as mode,
      pg_catalog.pg_get_userbyid(e.evtowner) as owner, ${commentOf('pg_event_trigger', 'e.oid')} as comment
    from pg_catalog.pg_event_trigger e where e.oid in (select id from known where class = 'pg_catalog.pg_event_trigger'::regclass) order by e.evtname`)} as "eventTriggers",
  ${list(`
    select distinct d.classid::regclass::text as kind, pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) as what,
      pg_catalog.pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) as on
    from dependent d where not exists (select from known k where k.class = d.classid and k.id = d.objid)
    union select 'pg_inherits', pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, i.inhrelid, 0),
      pg_catalog.pg_describe_object('pg_catalog.pg_class'::regclass, i.inhparent, 0)
    from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relnamespace = (select oid from home)
      join pg_catalog.pg_class p on p.oid = i.inhparent and p.relnamespace <> (select oid from home)
    order by 1, 2, 3`)} as blockers,
  ${list(`
    select ${tableOf('k.conrelid')} as table, k.conname as name, ${tableOf('k.confrelid')} as "to", k.confdeltype in ('c', 'n', 'd') as gives
    from pg_catalog.pg_constraint k join pg_catalog.pg_class c on c.oid = k.confrelid
    where k.connamespace = (select oid from home) and k.contype = 'f' and k.conparentid = 0 and c.relnamespace <> (select oid from home)
    order by k.conrelid::regclass::text, k.conname`)} as "pointOut"`;

/** Casts from and to types of a schema ($1), which pg_dump leaves out of the dump of a schema. */
export const castsSql = `
with home as (select n.oid from pg_catalog.pg_namespace n where n.nspname = $1)
select 'CAST (' || pg_catalog.format_type(c.castsource, null) || ' AS ' || pg_catalog.format_type(c.casttarget, null) || ')' as cast,
  case c.castmethod when 'f' then 'WITH FUNCTION ' || c.castfunc::regprocedure::text when 'i' then 'WITH INOUT' else 'WITHOUT FUNCTION' end
    || case c.castcontext when 'a' then ' AS ASSIGNMENT' when 'i' then ' AS IMPLICIT' else '' end as way,
  pg_catalog.obj_description(c.oid, 'pg_cast') as comment
from pg_catalog.pg_cast c
where (c.castsource in (${idsIn('pg_type')}) or c.casttarget in (${idsIn('pg_type')}))
  and not exists (select from pg_catalog.pg_depend e where e.classid = 'pg_catalog.pg_cast'::regclass and e.objid = c.oid and e.deptype in ('e', 'i'))
order by 1`;
