/** Roles of a server as data and as SQL. The server keeps verifiers, no passwords; only a superuser may read them. */
import type { Client } from 'pg';
import { z } from 'zod';

export const roleRow = z.object({
  name: z.string(),
  attributes: z.array(z.string()),
  connectionLimit: z.number(),
  /** SCRAM verifier; null when there is none or it could not be read. */
  verifier: z.string().nullable(),
  validUntil: z.string().nullable(),
  comment: z.string().nullable(),
  /** `name=value`, for every database. */
  settings: z.array(z.string()),
});
export type RoleRow = z.infer<typeof roleRow>;
export const membership = z.object({
  role: z.string(),
  member: z.string(),
  admin: z.boolean(),
  /** Since Postgres 16; before, a member inherits as its own attribute says, and may always SET ROLE. */
  inherit: z.boolean().nullish(),
  set: z.boolean().nullish(),
});
export type Membership = z.infer<typeof membership>;
export const rolesDocument = z.object({ verifiersRead: z.boolean(), roles: z.array(roleRow), memberships: z.array(membership) });
export type RolesDocument = z.infer<typeof rolesDocument>;

const rolesSql = (table: string, verifier: string) => `
  select r.rolname as name, r.rolconnlimit as "connectionLimit", ${verifier} as verifier, r.rolvaliduntil::text as "validUntil",
    shobj_description(r.oid, 'pg_authid') as comment,
    array_remove(array[
      case when r.rolsuper then 'SUPERUSER' end, case when r.rolcanlogin then 'LOGIN' else 'NOLOGIN' end,
      case when r.rolinherit then 'INHERIT' else 'NOINHERIT' end, case when r.rolcreaterole then 'CREATEROLE' end,
      case when r.rolcreatedb then 'CREATEDB' end, case when r.rolreplication then 'REPLICATION' end,
      case when r.rolbypassrls then 'BYPASSRLS' end], null) as attributes,
    coalesce((select s.setconfig from pg_db_role_setting s where s.setrole = r.oid and s.setdatabase = 0), '{}') as settings
  from ${table} r where r.rolname !~ '^pg_' order by r.rolname`;

export async function readRoles(client: Client, superuser: boolean): Promise<RolesDocument> {
  const { rows } = await client.query(superuser ? rolesSql('pg_authid', 'r.rolpassword') : rolesSql('pg_roles', 'null::text'));
  const members = await client.query(
    `select r.rolname as role, m.rolname as member, bool_or(a.admin_option) as admin,
       bool_or((to_jsonb(a) ->> 'inherit_option')::boolean) as inherit, bool_or((to_jsonb(a) ->> 'set_option')::boolean) as set
     from pg_auth_members a join pg_roles r on r.oid = a.roleid join pg_roles m on m.oid = a.member
     where m.rolname !~ '^pg_' group by 1, 2 order by 1, 2`,
  );
  return rolesDocument.parse({ verifiersRead: superuser, roles: rows, memberships: members.rows });
}

export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
export const literal = (text: string): string =>
  text.includes('\\') ? ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'` : `'${text.replaceAll("'", "''")}'`;

/** One role anew, with its settings and comment. */
export function createRoleSql({ name, attributes, connectionLimit, verifier, validUntil, comment, settings }: RoleRow): string[] {
  const options = [
    ...attributes,
    ...(connectionLimit >= 0 ? [`CONNECTION LIMIT ${connectionLimit}`] : []),
    ...(verifier === null ? [] : [`PASSWORD ${literal(verifier)}`]),
    ...(validUntil === null ? [] : [`VALID UNTIL ${literal(validUntil)}`]),
  ];
  return [
    `CREATE ROLE ${identifier(name)} ${options.join(' ')}`.trim(),
    ...settings.map((setting) => settingSql(`ROLE ${identifier(name)}`, setting)),
    ...(comment === null ? [] : [`COMMENT ON ROLE ${identifier(name)} IS ${literal(comment)}`]),
  ];
}

// These take a list; each of their values is quoted by itself, as pg_dump does it.
const lists = new Set([
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'local_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** `ALTER … SET name TO value` from `name=value` as the catalog keeps it. */
export function settingSql(on: string, setting: string): string {
  const at = setting.indexOf('=');
  const [name, value] = [setting.slice(0, at), setting.slice(at + 1)];
  const shown = name.split('.').map(identifier).join('.');
  // A list stands in the catalog with the quotes that its names need.
  return `ALTER ${on} SET ${shown} TO ${lists.has(name) ? listItems(value) : literal(value)}`;
}

function listItems(value: string): string {
  const items = [...value.matchAll(/"((?:[^"]|"")*)"|([^,\s][^,]*)/g)].map(([, quoted, plain]) =>
    quoted === undefined ? (plain ?? '').trim() : quoted.replaceAll('""', '"'),
  );
  return items.length === 0 ? "''" : items.map(literal).join(', ');
}

export function membershipSql({ role, member, admin, inherit, set }: Membership): string {
  const word = (on: boolean) => (on ? 'TRUE' : 'FALSE');
  const options =
    typeof inherit === 'boolean' && typeof set === 'boolean'
      ? ` WITH ADMIN ${word(admin)}, INHERIT ${word(inherit)}, SET ${word(set)}`
      : admin
        ? ' WITH ADMIN OPTION'
        : '';
  return `GRANT ${identifier(role)} TO ${identifier(member)}${options}`;
}

/** The whole document as a script that a person can run with psql; roles that exist are left as they are. */
export function rolesScript({ verifiersRead, roles, memberships }: RolesDocument): string {
  const lines = [
    '-- Roles, written by Capstan. Roles that exist already are left as they are.',
    ...(verifiersRead ? [] : ['-- Passwords could not be read: set new ones.']),
    ...roles.flatMap((role) => [
      `SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(role.name)}) AS missing \\gset`,
      '\\if :missing',
      ...createRoleSql(role).map((statement) => `${statement};`),
      '\\endif',
    ]),
    ...memberships.map((each) => `${membershipSql(each)};`),
  ];
  return `${lines.join('\n')}\n`;
}
