/** Tables and views with everything that hangs on them. Pure. */
import { defined } from './defined.ts';
import { parseGrants } from './grants.ts';
import type * as model from './model.ts';
import { compareText, nameOf, qualified, sorted } from './order.ts';
import type { CatalogAnswer, Row } from './rows.ts';

/** Parts whose relation is not among the rows (made or dropped in between) are left out. */
export function toRelations(answer: CatalogAnswer): model.Relation[] {
  const parts = {
    columns: byRelation(answer.columns ?? answer.columnsBrief),
    constraints: byRelation(answer.constraints ?? answer.constraintsBrief),
    indexes: byRelation(answer.indexes),
    policies: byRelation(answer.policies ?? answer.policiesBrief),
    triggers: byRelation(answer.triggers),
    rules: byRelation(answer.rules),
  };
  return sorted(
    answer.relations ?? answer.relationsBrief,
    (row) => ({
      ...toRelation(row),
      columns: [...(parts.columns.get(row.id) ?? [])].sort((a, b) => a.place - b.place).map(toColumn),
      constraints: sorted(parts.constraints.get(row.id), toConstraint, nameOf),
      indexes: sorted(parts.indexes.get(row.id), toIndex, nameOf),
      policies: sorted(parts.policies.get(row.id), toPolicy, nameOf),
      triggers: sorted(parts.triggers.get(row.id), toTrigger, nameOf),
      rules: sorted(parts.rules.get(row.id), ({ name, definition, mode }) => ({ name, definition, mode: triggerModes[mode] }), nameOf),
    }),
    qualified,
  );
}

export const triggerModes = { O: 'origin', A: 'always', R: 'replica', D: 'disabled' } as const satisfies Record<string, model.TriggerMode>;

function byRelation<R extends { of: number }>(rows: readonly R[] | null | undefined): Map<number, R[]> {
  const groups = new Map<number, R[]>();
  for (const row of rows ?? []) {
    const group = groups.get(row.of);
    if (group) group.push(row);
    else groups.set(row.of, [row]);
  }
  return groups;
}

const relationKinds = { r: 'table', p: 'partitionedTable', f: 'foreignTable', v: 'view', m: 'materializedView' } as const;
const replicaIdentities = { d: 'default', n: 'nothing', f: 'full', i: 'index' } as const;

type Parts = 'columns' | 'constraints' | 'indexes' | 'policies' | 'triggers' | 'rules';

function toRelation({
  id: _,
  kind,
  persistence,
  secured,
  forced,
  replica,
  acl,
  rows,
  bound,
  parents,
  ...row
}: Row<'relations'>): Omit<model.Relation, Parts> {
  const [parent] = parents;
  return {
    ...defined(row),
    kind: relationKinds[kind],
    persistence: persistence === 'u' ? 'unlogged' : 'permanent',
    rowSecurity: forced && secured ? 'forced' : secured ? 'on' : 'off',
    replicaIdentity: replicaIdentities[replica],
    options: [...row.options].sort(compareText),
    ...(bound !== undefined && parent ? { partition: { of: parent, bound } } : {}),
    inherits: bound === undefined ? parents : [],
    grants: parseGrants(acl),
    measured: rows < 0 ? {} : { rows },
  };
}

const identities = { a: 'always', d: 'byDefault' } as const;

function toColumn({ of: _, place: __, identity, generated, expression, acl, ...row }: Row<'columns'>): model.Column {
  return {
    ...defined(row),
    ...defined({
      default: generated === undefined ? expression : undefined,
      generated: generated === undefined ? undefined : expression,
      identity: identity === undefined ? undefined : identities[identity],
    }),
    grants: parseGrants(acl),
  };
}

const constraintKinds = {
  p: 'primaryKey',
  u: 'unique',
  f: 'foreignKey',
  c: 'check',
  x: 'exclusion',
  t: 'trigger',
} as const satisfies Record<string, model.ConstraintKind>;

function toConstraint({ of: _, kind, ...row }: Row<'constraints'>): model.Constraint {
  return { ...defined(row), kind: constraintKinds[kind] };
}

function toIndex({ of: _, quoted, scans, ...row }: Row<'indexes'>): model.Index {
  return {
    ...defined(row),
    // The name stands where Postgres writes it: before any other name, so that a hostile one cannot be taken for it.
    form: row.definition.replace(`INDEX ${quoted} ON `, () => 'INDEX ON '),
    measured: { scans },
  };
}

const commands = { '*': 'all', r: 'select', a: 'insert', w: 'update', d: 'delete' } as const satisfies Record<string, model.PolicyCommand>;

function toPolicy({ of: _, command, ...row }: Row<'policies'>): model.Policy {
  return { ...defined(row), command: commands[command], roles: [...row.roles].sort(compareText) };
}

function toTrigger({ of: _, mode, ...row }: Row<'triggers'>): model.Trigger {
  return { ...defined(row), mode: triggerModes[mode] };
}
