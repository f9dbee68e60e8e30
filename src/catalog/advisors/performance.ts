/** Lints about what makes a database slow or an upgrade fail. Pure. */
import type { Index, Policy, Relation } from '../model.ts';
import { quoted, written } from '../names.ts';
import { apiRoles, type Hit, isTable, type Lint, userRelations } from './rule.ts';

export const performanceLints: readonly Lint[] = [
  {
    name: 'invalid_index',
    level: 'ERROR',
    category: 'PERFORMANCE',
    say: 'Postgres keeps these indexes up to date and never uses them: their build failed, or a partition lacks its part.',
    fix: 'Drop the index and create it again; of a partitioned table, create and attach the missing part.',
    find: (catalog) => onIndexes(catalog.relations, ({ valid }) => !valid),
  },
  {
    name: 'auth_rls_initplan',
    level: 'WARN',
    category: 'PERFORMANCE',
    say: 'These policies call auth functions or current_setting once for each row.',
    fix: 'Put the call into a subquery, such as (select auth.uid()): then it is made once.',
    find: (catalog) =>
      userRelations(catalog).flatMap((relation) =>
        relation.rowSecurity === 'off'
          ? []
          : relation.policies.filter(callsPerRow).map(({ name }) => ({ on: written(relation), detail: `policy ${quoted(name)}` })),
      ),
  },
  {
    name: 'multiple_permissive_policies',
    level: 'WARN',
    category: 'PERFORMANCE',
    say: 'Several permissive policies hold for one role and action, and each of them is judged for every row.',
    fix: 'Join them into one policy.',
    find: (catalog) =>
      userRelations(catalog)
        .filter(({ rowSecurity }) => rowSecurity !== 'off')
        .flatMap(severalPolicies),
  },
  {
    name: 'duplicate_index',
    level: 'WARN',
    category: 'PERFORMANCE',
    say: 'These indexes do the same: every write pays for both.',
    fix: 'Drop all but one; keep the one of a constraint.',
    find: (catalog) => userRelations(catalog).flatMap(duplicates),
  },
  {
    name: 'unindexed_foreign_keys',
    level: 'INFO',
    category: 'PERFORMANCE',
    say: 'Deleting or changing the row that these keys point to reads the whole table, since no index begins with the key’s columns.',
    fix: 'Create an index on the columns of the key.',
    find: (catalog) => userRelations(catalog).flatMap(bareKeys),
  },
  {
    name: 'no_primary_key',
    level: 'INFO',
    category: 'PERFORMANCE',
    say: 'These tables have no primary key; updates and deletes of them cannot be replicated.',
    fix: 'Add one, or set a replica identity.',
    find: (catalog) =>
      userRelations(catalog)
        .filter((each) => isTable(each) && !each.constraints.some(({ kind }) => kind === 'primaryKey') && each.partition === undefined)
        .map((each) => ({ on: written(each) })),
  },
  {
    name: 'unused_index',
    level: 'INFO',
    category: 'PERFORMANCE',
    say: 'No query has used these indexes since the statistics of the server began.',
    fix: 'Drop them if the server has seen its usual work since then.',
    find: (catalog) =>
      onIndexes(
        userRelations(catalog),
        ({ unique, constraint, parent, valid, measured }, { kind }) =>
          valid && !unique && constraint === undefined && parent === undefined && kind !== 'partitionedTable' && measured.scans === 0,
      ),
  },
  {
    name: 'unvalidated_constraint',
    level: 'INFO',
    category: 'PERFORMANCE',
    say: 'Nobody has checked whether the older rows fulfil these constraints.',
    fix: 'Run ALTER TABLE … VALIDATE CONSTRAINT.',
    find: (catalog) =>
      userRelations(catalog).flatMap((each) =>
        each.constraints
          .filter(({ validated }) => !validated)
          .map(({ name }) => ({ on: written(each), detail: `constraint ${quoted(name)}` })),
      ),
  },
  {
    name: 'unsupported_reg_types',
    level: 'WARN',
    category: 'PERFORMANCE',
    say: 'pg_upgrade refuses a database with columns of these types.',
    fix: 'Keep the name as text and cast it where it is used.',
    find: (catalog) =>
      userRelations(catalog).flatMap((each) =>
        each.columns
          .filter(({ type }) => isTable(each) && /^reg(collation|config|dictionary|namespace|oper|operator|proc|procedure)$/.test(type))
          .map(({ name, type }) => ({ on: written(each), detail: `column ${quoted(name)} ${type}` })),
      ),
  },
];

function onIndexes(relations: readonly Relation[], fits: (index: Index, relation: Relation) => boolean): Hit[] {
  return relations.flatMap((relation) =>
    relation.indexes
      .filter((index) => fits(index, relation))
      .map(({ name }) => ({ on: written(relation), detail: `index ${quoted(name)}` })),
  );
}

/** Postgres writes a wrapped call as `( SELECT auth.uid() AS uid)`. */
function callsPerRow({ using = '', check = '' }: Policy): boolean {
  const bare = /(?:auth\.(?:uid|jwt|role|email)|current_setting)\s*\(/;
  return [using, check].some((text) => bare.test(text.replaceAll(/SELECT\s+(?:auth\.\w+|current_setting)\s*\(/gi, 'SELECT wrapped(')));
}

const actions = ['select', 'insert', 'update', 'delete'] as const;

function severalPolicies(relation: Relation): Hit[] {
  const permissive = relation.policies.filter((policy) => policy.permissive);
  const named = permissive.flatMap(({ roles }) => roles.filter((role) => role !== 'public'));
  const everybody = permissive.some(({ roles }) => roles.includes('public')) ? apiRoles : [];
  return [...new Set([...named, ...everybody])].sort().flatMap((role) =>
    actions.flatMap((action) => {
      const held = permissive.filter(
        ({ command, roles }) => (command === 'all' || command === action) && (roles.includes('public') || roles.includes(role)),
      );
      if (held.length < 2) return [];
      return [{ on: written(relation), detail: `${quoted(role)} ${action}: ${held.map(({ name }) => quoted(name)).join(', ')}` }];
    }),
  );
}

function duplicates(relation: Relation): Hit[] {
  const byForm = new Map<string, string[]>();
  for (const { form, name, valid } of relation.indexes) if (valid) byForm.set(form, [...(byForm.get(form) ?? []), name]);
  return [...byForm.values()]
    .filter((names) => names.length > 1)
    .map((names) => ({ on: written(relation), detail: `indexes ${names.map(quoted).join(', ')}` }));
}

function bareKeys(relation: Relation): Hit[] {
  const whole = relation.indexes.filter(({ valid, predicate }) => valid && predicate === undefined);
  return relation.constraints
    .filter(({ kind, columns }) => {
      if (kind !== 'foreignKey') return false;
      // The order of the key's columns does not matter, only that they come first.
      return !whole.some((index) => columns.every((column) => index.columns.slice(0, columns.length).includes(column)));
    })
    .map(({ name, columns }) => ({ on: written(relation), detail: `${quoted(name)} (${columns.map(quoted).join(', ')})` }));
}
