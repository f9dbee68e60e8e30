/** From the rows of the catalog statement to the normalised catalog (model.ts). Pure. */
import { defined } from './defined.ts';
import { parseGrants } from './grants.ts';
import type * as model from './model.ts';
import { compareText, nameOf, qualified, sorted } from './order.ts';
import type { CatalogAnswer, Row } from './rows.ts';
import { toRelations, triggerModes } from './shape-relations.ts';

/** Sections that were not asked for are empty lists. */
export function shapeCatalog(answer: CatalogAnswer): model.Catalog {
  return {
    server: answer.server,
    schemas: sorted(answer.schemas, ({ acl, ...row }) => ({ ...defined(row), grants: parseGrants(acl) }), nameOf),
    relations: toRelations(answer),
    routines: sorted(answer.routinesWhole ?? answer.routines, toRoutine, (row) => `${qualified(row)}(${row.identityArguments})`),
    types: sorted(answer.types, toType, qualified),
    sequences: sorted(answer.sequences, ({ acl, ...row }) => ({ ...defined(row), grants: parseGrants(acl) }), qualified),
    extensions: sorted(answer.extensions, defined, nameOf),
    publications: sorted(answer.publications, toPublication, nameOf),
    defaultPrivileges: sorted(answer.defaultPrivileges, toDefaultPrivileges, (row) => `${row.role}\0${row.schema ?? ''}\0${row.on}`),
    eventTriggers: sorted(answer.eventTriggers, (row) => ({ ...row, mode: triggerModes[row.mode] }), nameOf),
    roles: sorted(answer.roles, toRole, nameOf),
    others: sorted(
      answer.others,
      (row) => row,
      (row) => `${row.kind}\0${row.identity}`,
    ),
  };
}

const routineKinds = { f: 'function', p: 'procedure', a: 'aggregate', w: 'window' } as const;
const volatilities = { i: 'immutable', s: 'stable', v: 'volatile' } as const;
const parallels = { s: 'safe', r: 'restricted', u: 'unsafe' } as const;

function toRoutine({ acl, kind, volatility, parallel, ...row }: Row<'routines'>): model.Routine {
  return {
    ...defined(row),
    kind: routineKinds[kind],
    volatility: volatilities[volatility],
    parallel: parallels[parallel],
    settings: [...row.settings].sort(compareText),
    grants: parseGrants(acl),
  };
}

function toType(row: Row<'types'>): model.UserType {
  const { schema, name, owner, comment } = row;
  const head = { ...defined({ schema, name, owner, comment }), grants: parseGrants(row.acl) };
  switch (row.kind) {
    case 'e':
      return { ...head, kind: 'enum', labels: row.labels };
    case 'd':
      return {
        ...head,
        ...defined({ default: row.default }),
        kind: 'domain',
        base: row.base ?? '',
        notNull: row.notNull,
        constraints: row.constraints,
      };
    case 'c':
      return { ...head, kind: 'composite', attributes: row.attributes };
    case 'r':
      return { ...head, kind: 'range', subtype: row.subtype ?? '' };
    case 'b':
      return { ...head, kind: 'base' };
    default:
      return row.kind satisfies never;
  }
}

function toPublication({ insert, update, delete: deletes, truncate, tables, ...row }: Row<'publications'>): model.Publication {
  const publishes = Object.entries({ insert, update, delete: deletes, truncate }).flatMap(([what, on]) => (on ? [what] : []));
  const members = tables.map(({ where, columns, ...table }) => ({
    ...table,
    ...(where == null ? {} : { where }),
    ...(columns == null ? {} : { columns }),
  }));
  return { ...row, publishes, tables: sorted(members, (each) => each, qualified), schemas: [...row.schemas].sort(compareText) };
}

const objectTypes = { r: 'tables', S: 'sequences', f: 'functions', T: 'types', n: 'schemas', L: 'largeObjects' } as const;

function toDefaultPrivileges({ role, schema, on, acl }: Row<'defaultPrivileges'>): model.DefaultPrivileges {
  return { ...defined({ role, schema }), on: objectTypes[on], grants: parseGrants(acl) };
}

function toRole({ name, connectionLimit, members, settings, ...flags }: Row<'roles'>): model.Role {
  return {
    ...defined({ name, connectionLimit }),
    attributes: Object.entries(flags).flatMap(([attribute, on]) => (on ? [attribute] : [])),
    memberOf: sorted(
      members,
      (each) => each,
      ({ role }) => role,
    ),
    settings: [...settings].sort(compareText),
  };
}
