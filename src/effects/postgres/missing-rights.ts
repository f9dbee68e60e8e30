/** Which rights a role lacks in a schema, object by object, and the grants and revokes that follow from it. Statements are pure functions of the rights. */
import { AppError } from '../../errors.ts';
import { requireGrantable } from './access-matrix.ts';
import type { SqlSession } from './session.ts';

export type Wish = { role: string; schema: string; want: 'read' | 'write' };

/** One right on one object; of a schema, `name` is its own. `open`: a table without row security. */
export type Right = { kind: 'schema' | 'table' | 'sequence'; name: string; right: string; open: boolean };

const tables = "c.relkind in ('r', 'p', 'v', 'm', 'f')";
const scope = `who as (select oid from pg_catalog.pg_roles where rolname = $1), place as (select oid, nspname, nspacl from pg_catalog.pg_namespace where nspname = $2)`;

/** Rights that come by membership or through PUBLIC count as there. */
const missingSql = `with ${scope}
select 'schema' as kind, p.nspname::text as name, 'USAGE' as right, false as open from place p, who w where not has_schema_privilege(w.oid, p.oid, 'USAGE')
union all
select 'table', c.relname::text, r.name, c.relkind in ('r', 'p') and not c.relrowsecurity
from place p join pg_catalog.pg_class c on c.relnamespace = p.oid and ${tables} cross join who w cross join unnest(string_to_array($3::text, ',')) r(name)
where not has_table_privilege(w.oid, c.oid, r.name)
union all
select 'sequence', c.relname::text, r.name, false
from place p join pg_catalog.pg_class c on c.relnamespace = p.oid and c.relkind = 'S' cross join who w cross join unnest(string_to_array($4::text, ',')) r(name)
where not has_sequence_privilege(w.oid, c.oid, r.name)
order by 1, 2, 3`;

/** What stands in the access lists for the role itself. */
const standingSql = `with ${scope}
select 'schema' as kind, p.nspname::text as name, x.privilege_type as right, false as open from place p, who w, aclexplode(p.nspacl) x where x.grantee = w.oid
union all
select case when c.relkind = 'S' then 'sequence' else 'table' end, c.relname::text, x.privilege_type, false
from place p join pg_catalog.pg_class c on c.relnamespace = p.oid and (c.relkind = 'S' or ${tables}) cross join who w, aclexplode(c.relacl) x where x.grantee = w.oid`;

const knownSql = `select exists (select from pg_catalog.pg_roles where rolname = $1) as role, exists (select from pg_catalog.pg_namespace where nspname = $2) as schema`;

/** Throws ACCESS_UNKNOWN, GRANT_REFUSED and the session's errors. */
export async function missingRights(session: Pick<SqlSession, 'query'>, { role, schema, want }: Wish): Promise<Right[]> {
  requireGrantable({ role, schema });
  const [known] = (await session.query<{ role: boolean; schema: boolean }>(knownSql, [role, schema])).rows;
  if (known?.role !== true || known.schema !== true)
    throw new AppError('ACCESS_UNKNOWN', {
      message: `There is no such ${known?.role === true ? 'schema' : 'role'}.`,
      fix: 'Look at the whole matrix first: check_access without role and schema.',
    });
  const rights = want === 'read' ? 'SELECT' : 'SELECT,INSERT,UPDATE,DELETE';
  return (await session.query<Right>(missingSql, [role, schema, rights, want === 'read' ? '' : 'USAGE,SELECT'])).rows;
}

/** Those of the rights that the role holds by a grant of its own. */
export async function standingRights(
  session: Pick<SqlSession, 'query'>,
  { role, schema }: Pick<Wish, 'role' | 'schema'>,
  of: readonly Right[],
): Promise<Right[]> {
  const { rows } = await session.query<Right>(standingSql, [role, schema]);
  const there = new Set(rows.map(keyOf));
  return of.filter((each) => there.has(keyOf(each)));
}

export const keyOf = ({ kind, name, right }: Right): string => JSON.stringify([kind, name, right]);

/** One statement for each set of rights that several objects lack alike. */
export function grantStatements(wish: Pick<Wish, 'role' | 'schema'>, rights: readonly Right[]): string[] {
  return statements(wish, rights, (what, on, who) => `grant ${what} on ${on} to ${who}`);
}

/** Newest first: what lies in the schema before the schema itself. */
export function revokeStatements(wish: Pick<Wish, 'role' | 'schema'>, rights: readonly Right[]): string[] {
  return statements(wish, rights, (what, on, who) => `revoke ${what} on ${on} from ${who}`).reverse();
}

/** Far below what one command inside a container takes. */
const namesInOne = 200;

function statements(
  { role, schema }: Pick<Wish, 'role' | 'schema'>,
  rights: readonly Right[],
  say: (what: string, on: string, who: string) => string,
): string[] {
  const objects = new Map<string, { kind: Right['kind']; name: string; rights: string[] }>();
  for (const { kind, name, right } of rights) {
    const key = JSON.stringify([kind, name]);
    const object = objects.get(key) ?? { kind, name, rights: [] };
    object.rights.push(right.toLowerCase());
    objects.set(key, object);
  }
  const alike = new Map<string, { kind: Right['kind']; what: string; names: string[] }>();
  for (const { kind, name, rights: missing } of objects.values()) {
    const what = missing.join(', ');
    const group = alike.get(`${kind} ${what}`) ?? { kind, what, names: [] };
    group.names.push(kind === 'schema' ? quoted(name) : `${quoted(schema)}.${quoted(name)}`);
    alike.set(`${kind} ${what}`, group);
  }
  const order = ['schema', 'table', 'sequence'];
  return [...alike.values()]
    .sort((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind))
    .flatMap(({ kind, what, names }) =>
      Array.from({ length: Math.ceil(names.length / namesInOne) }, (_, index) =>
        say(what, `${kind} ${names.slice(index * namesInOne, (index + 1) * namesInOne).join(', ')}`, quoted(role)),
      ),
    );
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
