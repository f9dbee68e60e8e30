/** The part of a catalog, and of what was noted of a database, that is one schema. Pure. */
import type { Catalog } from '../../../catalog/model.ts';
import { quoted } from '../../../catalog/names.ts';
import type { DatabaseContents } from '../database-contents.ts';
import { identifier } from '../roles.ts';
import { membershipsOf } from './repoint.ts';

/** `publications` are those that are there on both sides: what one lacks cannot have members. */
export function catalogWithin(catalog: Catalog, schema: string, publications: readonly string[]): Catalog {
  const isIn = (row: { schema?: string }) => row.schema === schema;
  const members = new Map(membershipsOf(catalog, schema).map((each) => [each.name, each]));
  return {
    server: catalog.server,
    schemas: catalog.schemas.filter(({ name }) => name === schema),
    relations: catalog.relations.filter(isIn),
    routines: catalog.routines.filter(isIn),
    types: catalog.types.filter(isIn),
    sequences: catalog.sequences.filter(isIn),
    extensions: [],
    // What a publication is, and whose, is no matter of the schema.
    publications: catalog.publications.flatMap((row) => {
      const member = members.get(row.name);
      return member && publications.includes(row.name) ? [{ ...member, owner: '', allTables: false, publishes: [], viaRoot: false }] : [];
    }),
    defaultPrivileges: catalog.defaultPrivileges.filter(isIn),
    eventTriggers: [],
    roles: [],
    others: catalog.others.filter(({ kind, identity }) => isOf(schema, kind, identity)),
  };
}

/** Postgres writes a name in quotes where it must; a cast has no schema, but its types have. */
function isOf(schema: string, kind: string, identity: string): boolean {
  return [quoted(schema), identifier(schema)].some((name) =>
    kind === 'cast' ? identity.startsWith(`(${name}.`) || identity.includes(` AS ${name}.`) : identity.startsWith(`${name}.`),
  );
}

/** Tables whose rows were counted, and where sequences stood. */
export function rowsWithin({ figures, sequences }: DatabaseContents, schema: string) {
  const tables = figures.tables.filter((table) => table.schema === schema);
  return {
    tables,
    rows: tables.reduce((sum, table) => sum + table.rows, 0),
    bytes: tables.reduce((sum, table) => sum + table.bytes, 0),
    sequences: sequences.filter((sequence) => sequence.schema === schema),
  };
}
