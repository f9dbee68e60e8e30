/**
 * The statements by which what points into a schema points to the one that bears its name now. Pure. Invariants:
 * 1. Each definition was read while the other schema bore the name, so the same text finds the new one.
 * 2. What can be exchanged in place is: owners, grants, comments and what depends on it stay.
 */
import type { Catalog, ObjectName, Publication } from '../../../catalog/model.ts';
import { escapeInvisible } from '../../http/vendor-text.ts';
import { identifier, literal } from '../roles.ts';
import type { References } from './references.ts';

export const named = ({ schema, name }: ObjectName): string => `${identifier(schema)}.${identifier(name)}`;

const switches = { O: 'ENABLE', A: 'ENABLE ALWAYS', R: 'ENABLE REPLICA', D: 'DISABLE' } as const;

export function repointStatements(found: References): string[] {
  return [
    ...found.routines.map(({ definition }) => definition),
    ...found.views.map(({ view, definition, options }) => `CREATE OR REPLACE VIEW ${named(view)}${withOptions(options)} AS ${definition}`),
    ...found.rules.flatMap(ruleStatements),
    ...found.defaults.map(
      ({ table, column, expression }) => `ALTER TABLE ${named(table)} ALTER COLUMN ${identifier(column)} SET DEFAULT ${expression}`,
    ),
    ...found.constraints.flatMap(constraintStatements),
    ...found.triggers.flatMap(triggerStatements),
    ...found.policies.map(policyStatement),
    ...found.eventTriggers.flatMap((trigger) => [`DROP EVENT TRIGGER ${identifier(trigger.name)}`, ...eventTriggerStatements(trigger)]),
  ];
}

/** `name=value` as pg_class keeps it. */
function withOptions(options: readonly string[]): string {
  if (options.length === 0) return '';
  const shown = options.map((option) => {
    const at = option.indexOf('=');
    return `${identifier(option.slice(0, at))} = ${literal(option.slice(at + 1))}`;
  });
  return ` WITH (${shown.join(', ')})`;
}

function ruleStatements({ table, name, definition, mode }: References['rules'][number]): string[] {
  return [definition.replace(/^CREATE RULE /, 'CREATE OR REPLACE RULE '), ...stateStatements('RULE', { table, name, mode })];
}

function constraintStatements({ table, name, definition, comment }: References['constraints'][number]): string[] {
  return [
    `ALTER TABLE ${named(table)} DROP CONSTRAINT ${identifier(name)}`,
    `ALTER TABLE ${named(table)} ADD CONSTRAINT ${identifier(name)} ${definition}`,
    ...(comment === null ? [] : [`COMMENT ON CONSTRAINT ${identifier(name)} ON ${named(table)} IS ${literal(comment)}`]),
  ];
}

function triggerStatements({ table, name, definition, mode, constraint, comment }: References['triggers'][number]): string[] {
  // Postgres replaces a trigger in place, but not one that is a constraint.
  const made = constraint
    ? [
        `DROP TRIGGER ${identifier(name)} ON ${named(table)}`,
        definition,
        ...(comment === null ? [] : [`COMMENT ON TRIGGER ${identifier(name)} ON ${named(table)} IS ${literal(comment)}`]),
      ]
    : [definition.replace(/^CREATE TRIGGER /, 'CREATE OR REPLACE TRIGGER ')];
  return [...made, ...stateStatements('TRIGGER', { table, name, mode })];
}

/** What was made anew is enabled as usual. */
export function stateStatements(
  kind: 'RULE' | 'TRIGGER',
  { table, name, mode }: { table: ObjectName; name: string; mode: keyof typeof switches },
) {
  return mode === 'O' ? [] : [`ALTER TABLE ${named(table)} ${switches[mode]} ${kind} ${identifier(name)}`];
}

function policyStatement({ table, name, using, check }: References['policies'][number]): string {
  const parts = [...(using === null ? [] : [`USING (${using})`]), ...(check === null ? [] : [`WITH CHECK (${check})`])];
  return `ALTER POLICY ${identifier(name)} ON ${named(table)} ${parts.join(' ')}`;
}

export function eventTriggerStatements(trigger: References['eventTriggers'][number]): string[] {
  const { event, tags, mode, owner, comment } = trigger;
  const name = identifier(trigger.name);
  const when = tags.length === 0 ? '' : ` WHEN TAG IN (${tags.map(literal).join(', ')})`;
  return [
    `CREATE EVENT TRIGGER ${name} ON ${identifier(event)}${when} EXECUTE FUNCTION ${trigger.function}()`,
    `ALTER EVENT TRIGGER ${name} OWNER TO ${identifier(owner)}`,
    ...(mode === 'O' ? [] : [`ALTER EVENT TRIGGER ${name} ${switches[mode]}`]),
    ...(comment === null ? [] : [`COMMENT ON EVENT TRIGGER ${name} IS ${literal(comment)}`]),
  ];
}

/** What can be made again out of its own text alone, once it is gone. */
export type Lost = Pick<References, 'triggers' | 'policies' | 'constraints' | 'defaults' | 'rules' | 'eventTriggers'>;

/** What a schema's tables are in a publication: some of them, or the schema as a whole. */
export type Membership = Pick<Publication, 'name' | 'tables' | 'schemas'>;

/** Publications of all tables name none, so nothing of them is to be exchanged. */
export function membershipsOf({ publications }: Pick<Catalog, 'publications'>, schema: string): Membership[] {
  return publications
    .filter(({ allTables }) => !allTables)
    .map(({ name, tables, schemas }) => ({
      name,
      tables: tables.filter((table) => table.schema === schema),
      schemas: schemas.filter((each) => each === schema),
    }))
    .filter(({ tables, schemas }) => tables.length + schemas.length > 0);
}

/** `schema` is the name that the schema bears when the statements run. */
export function leaveStatements(memberships: readonly Membership[], schema: string): string[] {
  return memberships.flatMap(({ name, tables, schemas }) => [
    ...(tables.length === 0
      ? []
      : [`ALTER PUBLICATION ${identifier(name)} DROP TABLE ${tables.map((table) => named({ schema, name: table.name })).join(', ')}`]),
    ...(schemas.length === 0 ? [] : [`ALTER PUBLICATION ${identifier(name)} DROP TABLES IN SCHEMA ${identifier(schema)}`]),
  ]);
}

export function joinStatements(memberships: readonly Membership[]): string[] {
  return memberships.flatMap(({ name, tables, schemas }) => [
    ...tables.map(({ columns, where, ...table }) => {
      const only = columns === undefined ? '' : ` (${columns.map(identifier).join(', ')})`;
      return `ALTER PUBLICATION ${identifier(name)} ADD TABLE ${named(table)}${only}${where === undefined ? '' : ` WHERE (${where})`}`;
    }),
    ...schemas.map((schema) => `ALTER PUBLICATION ${identifier(name)} ADD TABLES IN SCHEMA ${identifier(schema)}`),
  ]);
}

const said = (text: string): string => escapeInvisible(text).slice(0, 200);
const of = ({ schema, name }: ObjectName): string => `${schema}.${name}`;

/** One line for people for each thing that is re-pointed. */
export function describeReferences(found: Lost & Partial<Pick<References, 'views' | 'routines'>>): string[] {
  return [
    ...(found.routines ?? []).map((row) => `routine ${of(row.routine)}(${row.arguments})`),
    ...(found.views ?? []).map(({ view }) => `view ${of(view)}`),
    ...found.triggers.map(({ name, table }) => `trigger ${name} on ${of(table)}`),
    ...found.policies.map(({ name, table }) => `policy ${name} on ${of(table)}`),
    ...found.constraints.map(({ name, table, kind }) => `${kind === 'check' ? 'check' : 'foreign key'} ${name} of ${of(table)}`),
    ...found.defaults.map(({ table, column }) => `default of ${of(table)}.${column}`),
    ...found.rules.map(({ name, table }) => `rule ${name} on ${of(table)}`),
    ...found.eventTriggers.map(({ name }) => `event trigger ${name}`),
  ].map(said);
}

export const describeBlockers = ({ blockers }: References): string[] => blockers.map(({ what, on }) => said(`${what} depends on ${on}`));
