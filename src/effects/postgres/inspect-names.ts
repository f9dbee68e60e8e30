/**
 * The third line, asked of the catalog: what the functions and views of a reading statement really are. Invariants:
 * 1. A function that Postgres does not call stable or immutable is refused in a reading session, but for those that only look.
 * 2. Views are followed to their ends: a view is judged by the text behind it, and so are the functions that it calls.
 */
import { isHarmless, secretWords, whyNeverFunction } from './forbidden.ts';
import { type Judged, judge, type Named, refused, shown } from './judge.ts';
import type { SqlSession } from './session.ts';

type FunctionRow = { kind: 'function'; schema: string; name: string; volatile: boolean; definer: boolean; body: string | null };
type ViewRow = { kind: 'view'; schema: string; name: string; body: string };

/** Function bodies travel only where a word in them matters. Names come as JSON, so one parameter carries them all. */
const functionsSql = `select 'function' as kind, n.nspname::text as schema, p.proname::text as name, p.provolatile = 'v' as volatile,
  p.prosecdef and o.rolsuper as definer,
  case when n.nspname in ('pg_catalog', 'information_schema') or l.lanname = 'c' then null else coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), p.prosrc) end as body
from (select x ->> 's' as s, x ->> 'n' as n from json_array_elements($1::json -> 'functions') as x) f
join pg_catalog.pg_proc p on p.proname = f.n join pg_catalog.pg_namespace n on n.oid = p.pronamespace
join pg_catalog.pg_language l on l.oid = p.prolang join pg_catalog.pg_roles o on o.oid = p.proowner
where f.s is null or f.s = n.nspname`;

const viewsSql = `select 'view' as kind, n.nspname::text as schema, c.relname::text as name, null::boolean as volatile, null::boolean as definer, pg_catalog.pg_get_viewdef(c.oid) as body
from (with recursive views(oid) as (
    select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join (select x ->> 's' as s, x ->> 'n' as n from json_array_elements($1::json -> 'relations') as x) r on c.relname = r.n and (r.s is null or r.s = n.nspname)
    where c.relkind = 'v' and n.nspname not in ('pg_catalog', 'information_schema')
    union
    select d.refobjid from views v join pg_catalog.pg_rewrite w on w.ev_class = v.oid
    join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
  ) select oid from views) v
join pg_catalog.pg_class c on c.oid = v.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'v'`;

/** Throws SQL_REFUSED, and the session's errors. Names that do not exist pass: the server says so better. */
export async function inspectNames(
  session: Pick<SqlSession, 'query'>,
  { functions, relations }: Pick<Judged, 'functions' | 'relations'>,
): Promise<void> {
  const known = new Set<string>();
  let names = { functions, relations };
  // Each round looks at what the views of the round before brought up; a view cannot contain itself, so this ends.
  for (let round = 0; round < 8 && names.functions.length + names.relations.length > 0; round++) {
    const parts = [...(names.functions.length > 0 ? [functionsSql] : []), ...(names.relations.length > 0 ? [viewsSql] : [])];
    const { rows } = await session.query<FunctionRow | ViewRow>(parts.join('\nunion all\n'), [
      JSON.stringify({ functions: names.functions.map(toPair), relations: names.relations.map(toPair) }),
    ]);
    const found: Named[] = [];
    for (const row of rows) {
      if (row.kind === 'function') requireReading(row);
      else if (!known.has(`${row.schema}.${row.name}`)) {
        known.add(`${row.schema}.${row.name}`);
        found.push(...(await functionsBehind(row)));
      }
    }
    names = { functions: found, relations: [] };
  }
}

function toPair({ schema, name }: Named): { s: string | null; n: string } {
  return { s: schema ?? null, n: name };
}

async function functionsBehind({ schema, name, body }: ViewRow): Promise<Named[]> {
  if (secretWords.test(body)) throw refused(`the view ${shown({ schema, name })}`, 'it shows passwords or keys');
  return (await judge(body)).functions;
}

function requireReading({ schema, name, volatile, definer, body }: FunctionRow): void {
  const what = `the function ${shown({ schema, name })}`;
  const never = whyNeverFunction(schema, name);
  if (never !== undefined) throw refused(what, never);
  if (volatile && !isHarmless(name))
    throw refused(
      what,
      'it is volatile, so it may do more than read',
      'Send it with write: true, for which a person has to approve, or have its owner declare it stable.',
    );
  if (definer) throw refused(what, 'it runs with the rights of a superuser');
  if (body !== null && secretWords.test(body)) throw refused(what, 'it reads passwords or keys');
}
