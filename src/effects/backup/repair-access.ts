/**
 * The statements that make the owners and grants of one catalog those of another. A dump cannot say what a target's default privileges
 * hand out to everything new: that is revoked here. Pure; what it cannot put right is left for the proof to find.
 */
import type { Catalog, DefaultPrivileges, Grant } from '../../catalog/model.ts';
import { identifier } from './roles.ts';

/** One statement, and the object it is about, such as `table public.t`. */
export type Repair = { of: string; statement: string };

type Owned = { of: string; on: string; owner: string; grants: Grant[]; ownerMoves: boolean };

/** In the order in which they are to be run: owners first, since what an owner holds moves along with it. */
export function accessRepairs(expected: Catalog, found: Catalog): Repair[] {
  const after = new Map(ownedOf(found).map((row) => [row.of, row]));
  const pairs = ownedOf(expected).flatMap((row) => {
    const other = after.get(row.of);
    return other ? [{ row, other }] : [];
  });
  return [
    ...pairs.flatMap(({ row, other }) =>
      row.owner === other.owner || !row.ownerMoves ? [] : [{ of: row.of, statement: `ALTER ${row.on} OWNER TO ${identifier(row.owner)}` }],
    ),
    ...pairs.flatMap(({ row, other }) => grantRepairs(row.of, `ON ${row.on}`, row.grants, movedTo(row.owner, other))),
    ...columnRepairs(expected, found),
    ...defaultRepairs(expected, found),
  ];
}

const named = ({ schema, name }: { schema: string; name: string }) => `${identifier(schema)}.${identifier(name)}`;

function ownedOf(catalog: Catalog): Owned[] {
  return [
    ...catalog.schemas.map((row) => ({ ...row, of: `schema ${row.name}`, on: `SCHEMA ${identifier(row.name)}`, ownerMoves: true })),
    ...catalog.relations.map((row) => ({
      ...row,
      of: `${row.kind} ${row.schema}.${row.name}`,
      on: `TABLE ${named(row)}`,
      ownerMoves: true,
    })),
    ...catalog.routines.map((row) => ({
      ...row,
      of: `${row.kind} ${row.schema}.${row.name}(${row.identityArguments})`,
      on: `ROUTINE ${named(row)}(${row.identityArguments})`,
      ownerMoves: true,
    })),
    ...catalog.types.map((row) => ({ ...row, of: `type ${row.schema}.${row.name}`, on: `TYPE ${named(row)}`, ownerMoves: true })),
    // The owner of a column's sequence is that of its table.
    ...catalog.sequences.map((row) => ({
      ...row,
      of: `sequence ${row.schema}.${row.name}`,
      on: `SEQUENCE ${named(row)}`,
      ownerMoves: row.ownedBy === undefined,
    })),
    ...catalog.publications.map((row) => ({
      ...row,
      of: `publication ${row.name}`,
      on: `PUBLICATION ${identifier(row.name)}`,
      grants: [],
      ownerMoves: true,
    })),
    ...catalog.eventTriggers.map((row) => ({
      ...row,
      of: `event trigger ${row.name}`,
      on: `EVENT TRIGGER ${identifier(row.name)}`,
      grants: [],
      ownerMoves: true,
    })),
  ];
}

/** What is held once the owner is the right one. */
function movedTo(owner: string, { owner: before, grants }: Owned): Grant[] {
  return owner === before ? grants : grants.map((grant) => (grant.to === before ? { ...grant, to: owner } : grant));
}

type Columned = { schema: string; name: string; columns: { name: string; grants: Grant[] }[] };

function columnRepairs(expected: Catalog, found: Catalog): Repair[] {
  const after = new Map(found.relations.map((row: Columned) => [named(row), row]));
  return expected.relations.flatMap((row) =>
    row.columns.flatMap((column) => {
      const other = after.get(named(row))?.columns.find(({ name }) => name === column.name);
      if (!other) return [];
      return grantRepairs(
        `column ${row.schema}.${row.name}.${column.name}`,
        `ON TABLE ${named(row)}`,
        column.grants,
        other.grants,
        identifier(column.name),
      );
    }),
  );
}

const maintainSince = 170_000;

/** Where no row is kept, Postgres grants all to the owner, and to everybody the use of functions and types; in one schema it adds nothing. */
function startOf({ role, schema, on }: DefaultPrivileges, maintain: boolean): Grant[] {
  if (schema !== undefined) return [];
  const all: Record<string, string[]> = {
    tables: ['DELETE', 'INSERT', ...(maintain ? ['MAINTAIN'] : []), 'REFERENCES', 'SELECT', 'TRIGGER', 'TRUNCATE', 'UPDATE'],
    sequences: ['SELECT', 'UPDATE', 'USAGE'],
    functions: ['EXECUTE'],
    types: ['USAGE'],
    schemas: ['CREATE', 'USAGE'],
  };
  const everybody: Record<string, string[]> = { functions: ['EXECUTE'], types: ['USAGE'] };
  return [
    { to: role, privileges: all[on] ?? [], grantable: [] },
    ...(everybody[on] ? [{ to: 'public', privileges: everybody[on], grantable: [] }] : []),
  ];
}

function defaultRepairs({ server, defaultPrivileges: expected }: Catalog, { defaultPrivileges: found }: Catalog): Repair[] {
  const keyOf = ({ role, schema, on }: DefaultPrivileges) => JSON.stringify([role, schema, on]);
  const [before, after] = [new Map(expected.map((row) => [keyOf(row), row])), new Map(found.map((row) => [keyOf(row), row]))];
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((key) => {
    const row = before.get(key) ?? after.get(key);
    if (!row) return [];
    const of = `default privileges of ${row.role} in ${row.schema ?? 'every schema'} on ${row.on}`;
    const lead = `ALTER DEFAULT PRIVILEGES FOR ROLE ${identifier(row.role)}${row.schema === undefined ? '' : ` IN SCHEMA ${identifier(row.schema)}`} `;
    const kind = `ON ${row.on.toUpperCase()}`;
    const grants = (side: Map<string, DefaultPrivileges>) => side.get(key)?.grants ?? startOf(row, server.version >= maintainSince);
    return grantRepairs(of, kind, grants(before), grants(after)).map(({ statement }) => ({ of, statement: lead + statement }));
  });
}

function grantRepairs(of: string, on: string, expected: readonly Grant[], found: readonly Grant[], column?: string): Repair[] {
  const empty = { privileges: [], grantable: [] };
  const roles = [...new Set([...found, ...expected].map(({ to }) => to))];
  const list = (names: readonly string[]) => names.map((name) => (column === undefined ? name : `${name} (${column})`)).join(', ');
  return roles.flatMap((to) => {
    const who = to === 'public' ? 'PUBLIC' : identifier(to);
    const before: Omit<Grant, 'to'> = expected.find((grant) => grant.to === to) ?? empty;
    const after: Omit<Grant, 'to'> = found.find((grant) => grant.to === to) ?? empty;
    const without = (names: readonly string[], others: readonly string[]) => names.filter((name) => !others.includes(name));
    const revoke = without(after.privileges, before.privileges);
    const revokeOption = without(without(after.grantable, before.grantable), revoke);
    const grantOption = without(before.grantable, after.grantable);
    const grant = without(without(before.privileges, after.privileges), grantOption);
    return [
      ...(revoke.length === 0 ? [] : [`REVOKE ${list(revoke)} ${on} FROM ${who}`]),
      ...(revokeOption.length === 0 ? [] : [`REVOKE GRANT OPTION FOR ${list(revokeOption)} ${on} FROM ${who}`]),
      ...(grant.length === 0 ? [] : [`GRANT ${list(grant)} ${on} TO ${who}`]),
      ...(grantOption.length === 0 ? [] : [`GRANT ${list(grantOption)} ${on} TO ${who} WITH GRANT OPTION`]),
    ].map((statement) => ({ of, statement }));
  });
}

/** From Postgres 17 on an owner holds MAINTAIN too: nothing that a backup of an older server could say. */
export function asBefore17(found: Catalog, expected: Catalog): Catalog {
  if (expected.server.version >= maintainSince || found.server.version < maintainSince) return found;
  const owned = <T extends { owner: string; grants: Grant[] }>(row: T): T => ({ ...row, grants: withoutMaintain(row.grants, row.owner) });
  return {
    ...found,
    relations: found.relations.map(owned),
    defaultPrivileges: found.defaultPrivileges.map((row) => ({ ...row, grants: withoutMaintain(row.grants, row.role) })),
  };
}

function withoutMaintain(grants: readonly Grant[], owner: string): Grant[] {
  const left = (names: readonly string[]) => names.filter((name) => name !== 'MAINTAIN');
  return grants.map((grant) =>
    grant.to === owner ? { ...grant, privileges: left(grant.privileges), grantable: left(grant.grantable) } : grant,
  );
}
