/**
 * One line of plain data per object: what inspect_schema shows. Pure. Invariants:
 * 1. Names stand quoted as in SQL; comments and definitions are cut to a length that is said.
 * 2. A member without content (no comment, no policy) is left out.
 */
import type { Catalog, Column, Grant, Relation, Routine, UserType } from './model.ts';
import { quoted, written } from './names.ts';

export type Line = Record<string, unknown>;

const maxComment = 200;
const maxDefinition = 4_000;
const maxColumns = 4_000;

export const kinds = [
  'tables',
  'functions',
  'types',
  'sequences',
  'indexes',
  'constraints',
  'policies',
  'triggers',
  'extensions',
  'publications',
  'grants',
] as const;
export type Kind = (typeof kinds)[number];

/** How the compact form of columns is read. */
export const legend = 'columns: name type; ? may be null, pk primary key, -> foreign key, = generated or identity. rows are estimates.';

type Source = { catalog: Catalog; has: (schema: string) => boolean };

/** Every object of a kind, in the catalog's order; database-wide kinds ignore the schemas. */
export function linesOf(kind: Kind, { catalog, has }: Source): Line[] {
  const relations = catalog.relations.filter(({ schema }) => has(schema));
  const on = <T>(pick: (relation: Relation) => readonly T[], line: (item: T) => Line): Line[] =>
    relations.flatMap((relation) => pick(relation).map((item) => ({ on: written(relation), ...line(item) })));
  switch (kind) {
    case 'tables':
      return relations.map(tableLine);
    case 'functions':
      return catalog.routines.filter(({ schema }) => has(schema)).map(routineLine);
    case 'types':
      return catalog.types.filter(({ schema }) => has(schema)).map(typeLine);
    case 'sequences':
      return catalog.sequences
        .filter(({ schema }) => has(schema))
        .map(({ schema, name, type, ownedBy, increment, cycle }) => ({
          sequence: written({ schema, name }),
          type,
          ...(increment === '1' ? {} : { increment }),
          ...(cycle ? { cycle } : {}),
          ...(ownedBy ? { ownedBy: `${written(ownedBy)}.${quoted(ownedBy.column)}` } : {}),
        }));
    case 'indexes':
      return on(({ indexes }) => indexes, indexLine);
    case 'constraints':
      return on(
        ({ constraints }) => constraints,
        ({ name, kind: type, definition, validated }) => ({
          constraint: quoted(name),
          kind: type,
          definition: cut(definition, maxDefinition),
          ...(validated ? {} : { validated }),
        }),
      );
    case 'policies':
      return on(
        ({ policies }) => policies,
        ({ name, permissive, command, roles, using, check }) => ({
          policy: quoted(name),
          command,
          roles: roles.map(quoted),
          ...(permissive ? {} : { restrictive: true }),
          ...(using === undefined ? {} : { using: cut(using, maxDefinition) }),
          ...(check === undefined ? {} : { check: cut(check, maxDefinition) }),
        }),
      );
    case 'triggers':
      return on(
        ({ triggers }) => triggers,
        ({ name, definition, mode, function: calls }) => ({
          trigger: quoted(name),
          calls: written(calls),
          definition: cut(definition, maxDefinition),
          ...(mode === 'origin' ? {} : { mode }),
        }),
      );
    case 'extensions':
      return catalog.extensions.map(({ name, schema, version, available }) => ({
        extension: quoted(name),
        schema: quoted(schema),
        version,
        ...(available === undefined || available === version ? {} : { available }),
      }));
    case 'publications':
      return catalog.publications.map(({ name, publishes, allTables, tables, schemas }) => ({
        publication: quoted(name),
        publishes,
        ...(allTables ? { allTables } : {}),
        ...(tables.length === 0 ? {} : { tables: tables.map(written) }),
        ...(schemas.length === 0 ? {} : { schemas: schemas.map(quoted) }),
      }));
    case 'grants':
      return grantLines({ catalog, has });
    default:
      return kind satisfies never;
  }
}

/** A table or view on one line. */
export function tableLine(relation: Relation): Line {
  const { kind, rowSecurity, policies, comment, measured } = relation;
  return {
    [kind === 'view' || kind === 'materializedView' ? 'view' : 'table']: written(relation),
    ...(kind === 'table' || kind === 'view' ? {} : { kind }),
    columns: cut(relation.columns.map((column) => compactColumn(column, relation)).join(', '), maxColumns),
    ...(measured.rows === undefined ? {} : { rows: measured.rows }),
    ...(rowSecurity === 'off' ? {} : { rls: rowSecurity, policies: policies.length }),
    ...(comment === undefined ? {} : { comment: cut(comment, maxComment) }),
  };
}

function compactColumn({ name, type, notNull, identity, generated }: Column, { constraints, kind }: Relation): string {
  const isView = kind === 'view' || kind === 'materializedView';
  const primary = constraints.some((each) => each.kind === 'primaryKey' && each.columns.includes(name));
  const reference = constraints.find((each) => each.kind === 'foreignKey' && each.columns.includes(name));
  const target = reference?.references?.columns[reference.columns.indexOf(name)];
  return [
    `${quoted(name)} ${type}${notNull || isView ? '' : '?'}`,
    ...(primary ? ['pk'] : []),
    ...(identity === undefined && generated === undefined ? [] : ['=']),
    ...(reference?.references && target !== undefined ? [`-> ${written(reference.references)}.${quoted(target)}`] : []),
  ].join(' ');
}

/** One table or view, whole: itself, then its columns and everything that hangs on it, each on a line. */
export function relationLines(relation: Relation, catalog: Catalog): Line[] {
  const { kind, owner, rowSecurity, comment, definition, options, partition, partitionKey, inherits, persistence, measured } = relation;
  const only = { catalog: { ...catalog, relations: [relation] }, has: () => true };
  const head: Line = {
    [kind]: written(relation),
    owner: quoted(owner),
    rls: rowSecurity,
    ...(persistence === 'permanent' ? {} : { persistence }),
    ...(measured.rows === undefined ? {} : { rows: measured.rows }),
    ...(options.length === 0 ? {} : { options }),
    ...(partition ? { partitionOf: written(partition.of), bound: partition.bound } : {}),
    ...(partitionKey === undefined ? {} : { partitionKey }),
    ...(inherits.length === 0 ? {} : { inherits: inherits.map(written) }),
    ...(comment === undefined ? {} : { comment: cut(comment, 1_000) }),
    ...(definition === undefined ? {} : { definition: cut(definition, maxDefinition) }),
  };
  const parts = (['constraints', 'indexes', 'policies', 'triggers'] as const).flatMap((part) => linesOf(part, only));
  return [
    head,
    ...relation.columns.map(columnLine),
    ...parts.map(({ on: _, ...line }) => line),
    ...relation.rules.map(({ name, definition: text }) => ({ rule: quoted(name), definition: cut(text, maxDefinition) })),
    ...relation.grants.map((grant) => ({ ...grantLine(grant) })),
  ];
}

function columnLine({ name, type, notNull, default: initial, identity, generated, collation, comment, grants }: Column): Line {
  return {
    column: quoted(name),
    type,
    ...(notNull ? { notNull } : {}),
    ...(initial === undefined ? {} : { default: cut(initial, maxDefinition) }),
    ...(identity === undefined ? {} : { identity }),
    ...(generated === undefined ? {} : { generated: cut(generated, maxDefinition) }),
    ...(collation === undefined ? {} : { collation }),
    ...(grants.length === 0 ? {} : { grants: grants.map(grantLine) }),
    ...(comment === undefined ? {} : { comment: cut(comment, 1_000) }),
  };
}

function indexLine({ name, definition, valid, constraint }: Relation['indexes'][number]): Line {
  return {
    index: quoted(name),
    definition: cut(definition, maxDefinition),
    ...(constraint === undefined ? {} : { constraint: quoted(constraint) }),
    ...(valid ? {} : { valid }),
  };
}

function routineLine(routine: Routine): Line {
  const { kind, language, securityDefiner, settings, result, volatility, comment } = routine;
  return {
    [kind]: `${written(routine)}(${cut(routine.arguments, maxDefinition)})`,
    ...(result === undefined ? {} : { returns: cut(result, maxDefinition) }),
    language,
    volatility,
    ...(securityDefiner ? { securityDefiner } : {}),
    ...(settings.length === 0 ? {} : { settings: settings.map((each) => cut(each, maxComment)) }),
    ...(comment === undefined ? {} : { comment: cut(comment, maxComment) }),
  };
}

/** A routine whole, with its source. */
export function routineLines(routine: Routine): Line[] {
  const { definition, owner, grants } = routine;
  return [
    { ...routineLine(routine), owner: quoted(owner), ...(definition === undefined ? {} : { definition: cut(definition, 20_000) }) },
    ...grants.map(grantLine),
  ];
}

export function typeLine(type: UserType): Line {
  const head = { [type.kind]: written(type), ...(type.comment === undefined ? {} : { comment: cut(type.comment, maxComment) }) };
  switch (type.kind) {
    case 'enum':
      return { ...head, labels: type.labels };
    case 'domain':
      return {
        ...head,
        base: type.base,
        ...(type.notNull ? { notNull: true } : {}),
        ...(type.constraints.length === 0 ? {} : { checks: type.constraints.map(({ definition }) => cut(definition, maxDefinition)) }),
      };
    case 'composite':
      return { ...head, attributes: type.attributes.map(({ name, type: of }) => `${quoted(name)} ${of}`).join(', ') };
    case 'range':
      return { ...head, subtype: type.subtype };
    case 'base':
      return head;
    default:
      return type satisfies never;
  }
}

/** Schemas first, then everything in them that somebody else than its owner may use, then what future objects will start with. */
function grantLines({ catalog, has }: Source): Line[] {
  const toOthers = (owner: string, grants: readonly Grant[]) => grants.filter(({ to }) => to !== owner).map(grantLine);
  const line = (what: string, name: string, owner: string, grants: readonly Grant[]): Line => ({
    [what]: name,
    owner: quoted(owner),
    grants: toOthers(owner, grants),
  });
  return [
    ...catalog.schemas.filter(({ name }) => has(name)).map(({ name, owner, grants }) => line('schema', quoted(name), owner, grants)),
    ...catalog.relations
      .filter(({ schema }) => has(schema))
      .map((each) => line(each.kind === 'view' ? 'view' : 'table', written(each), each.owner, each.grants)),
    ...catalog.routines
      .filter(({ schema }) => has(schema))
      .map((each) => line(each.kind, `${written(each)}(${each.identityArguments})`, each.owner, each.grants)),
    ...catalog.sequences.filter(({ schema }) => has(schema)).map((each) => line('sequence', written(each), each.owner, each.grants)),
    ...catalog.defaultPrivileges
      .filter(({ schema }) => schema === undefined || has(schema))
      .map(({ role, schema, on, grants }) => ({
        defaultPrivilegesOf: quoted(role),
        ...(schema === undefined ? {} : { schema: quoted(schema) }),
        on,
        grants: grants.map(grantLine),
      })),
  ];
}

function grantLine({ to, privileges, grantable }: Grant): Line {
  return { to: quoted(to), privileges, ...(grantable.length === 0 ? {} : { grantable }) };
}

/** Says how much is left out, so that nobody takes a part for the whole. */
export function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max)}… (${text.length - max} more characters)`;
}
