/**
 * What pointed into the schema in the backup and is not there any more: whatever was dropped "cascade" took the triggers, policies and
 * keys of other schemas along, and without them the schema that returns is only half of what it was. Pure. Invariants:
 * 1. Lost is only what is missing where its table still is; one that bears the name now was made by somebody, and stays.
 * 2. What would need an owner and grants of its own (views, routines) is told, never made.
 */
import type { Catalog, ObjectName, Relation } from '../../../catalog/model.ts';
import { identifier, literal } from '../roles.ts';
import type { References } from './references.ts';
import { describeReferences, eventTriggerStatements, type Lost, named, stateStatements } from './repoint.ts';

export const noneLost: Lost = { triggers: [], policies: [], constraints: [], defaults: [], rules: [], eventTriggers: [] };

const keyOf = ({ schema, name }: ObjectName): string => JSON.stringify([schema, name]);

/** `then` is what points into the schema in the copy, `now` the catalog of the database in use. */
export function lostOf(then: References, now: Catalog): Lost {
  const tables = new Map(now.relations.map((row) => [keyOf(row), row]));
  const lacks = (part: 'triggers' | 'policies' | 'constraints' | 'rules') => (row: { table: ObjectName; name: string }) => {
    const table: Relation | undefined = tables.get(keyOf(row.table));
    return table !== undefined && !table[part].some(({ name }: { name: string }) => name === row.name);
  };
  return {
    triggers: then.triggers.filter(lacks('triggers')),
    policies: then.policies.filter(lacks('policies')),
    constraints: then.constraints.filter(lacks('constraints')),
    rules: then.rules.filter(lacks('rules')),
    defaults: then.defaults.filter(({ table, column }) => {
      const found = tables.get(keyOf(table))?.columns.find(({ name }) => name === column);
      return found !== undefined && found.default === undefined && found.generated === undefined && found.identity === undefined;
    }),
    eventTriggers: then.eventTriggers.filter(({ name }) => !now.eventTriggers.some((row) => row.name === name)),
  };
}

/** Views and routines that pointed into the schema in the backup and are not there now: `view s.v`. */
export function goneOf(then: References, now: Catalog): string[] {
  const relations = new Set(now.relations.map(keyOf));
  const routines = new Set(now.routines.map((row) => `${keyOf(row)}(${row.identityArguments})`));
  return describeReferences({
    ...noneLost,
    views: then.views.filter(({ view }) => !relations.has(keyOf(view))),
    routines: then.routines.filter((row) => !routines.has(`${keyOf(row.routine)}(${row.arguments})`)),
  });
}

const commands = { '*': 'ALL', r: 'SELECT', a: 'INSERT', w: 'UPDATE', d: 'DELETE' } as const;

/** Makes them again, when the schema that they point to bears its name. */
export function lostStatements(lost: Lost): string[] {
  return [
    ...lost.rules.flatMap((row) => [row.definition, ...stateStatements('RULE', row)]),
    ...lost.defaults.map(
      ({ table, column, expression }) => `ALTER TABLE ${named(table)} ALTER COLUMN ${identifier(column)} SET DEFAULT ${expression}`,
    ),
    ...lost.constraints.flatMap(({ table, name, definition, comment }) => [
      `ALTER TABLE ${named(table)} ADD CONSTRAINT ${identifier(name)} ${definition}`,
      ...commentOn(`CONSTRAINT ${identifier(name)} ON ${named(table)}`, comment),
    ]),
    ...lost.triggers.flatMap((row) => [
      row.definition,
      ...stateStatements('TRIGGER', row),
      ...commentOn(`TRIGGER ${identifier(row.name)} ON ${named(row.table)}`, row.comment),
    ]),
    ...lost.policies.flatMap(({ table, name, using, check, permissive, command, roles, comment }) => [
      `CREATE POLICY ${identifier(name)} ON ${named(table)} AS ${permissive ? 'PERMISSIVE' : 'RESTRICTIVE'} FOR ${commands[command]} TO ${roles.join(', ')}${
        using === null ? '' : ` USING (${using})`
      }${check === null ? '' : ` WITH CHECK (${check})`}`,
      ...commentOn(`POLICY ${identifier(name)} ON ${named(table)}`, comment),
    ]),
    ...lost.eventTriggers.flatMap(eventTriggerStatements),
  ];
}

const commentOn = (what: string, comment: string | null): string[] =>
  comment === null ? [] : [`COMMENT ON ${what} IS ${literal(comment)}`];

/** Those that still point into the schema; what somebody has pointed elsewhere since is not ours to drop. */
export function stillThere(lost: Lost, now: References): Lost {
  const kept =
    <R extends object>(rows: readonly R[], identity: (row: R) => unknown) =>
    (row: R): boolean =>
      rows.some((other) => JSON.stringify(identity(other)) === JSON.stringify(identity(row)));
  const onTable = (row: { table: ObjectName; name: string }) => [row.table, row.name];
  return {
    triggers: lost.triggers.filter(kept(now.triggers, onTable)),
    policies: lost.policies.filter(kept(now.policies, onTable)),
    constraints: lost.constraints.filter(kept(now.constraints, onTable)),
    rules: lost.rules.filter(kept(now.rules, onTable)),
    defaults: lost.defaults.filter(kept(now.defaults, ({ table, column }) => [table, column])),
    eventTriggers: lost.eventTriggers.filter(kept(now.eventTriggers, ({ name }) => name)),
  };
}

/** Takes them away again. */
export function dropStatements(lost: Lost): string[] {
  return [
    ...lost.eventTriggers.map(({ name }) => `DROP EVENT TRIGGER ${identifier(name)}`),
    ...lost.policies.map(({ table, name }) => `DROP POLICY ${identifier(name)} ON ${named(table)}`),
    ...lost.triggers.map(({ table, name }) => `DROP TRIGGER ${identifier(name)} ON ${named(table)}`),
    ...lost.constraints.map(({ table, name }) => `ALTER TABLE ${named(table)} DROP CONSTRAINT ${identifier(name)}`),
    ...lost.defaults.map(({ table, column }) => `ALTER TABLE ${named(table)} ALTER COLUMN ${identifier(column)} DROP DEFAULT`),
    ...lost.rules.map(({ table, name }) => `DROP RULE ${identifier(name)} ON ${named(table)}`),
  ];
}
