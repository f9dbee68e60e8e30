/** Lints about who can see or change what. Pure. */
import type { Policy, Relation } from '../model.ts';
import { quoted, written } from '../names.ts';
import { apiSchema, isServed, isTable, type Lint, servedTo, userRelations, userRoutines } from './rule.ts';

const on = (relations: readonly Relation[]) => relations.map((relation) => ({ on: written(relation) }));
const textOf = ({ using = '', check = '' }: Policy): string => `${using}\n${check}`;
const isInvoker = ({ options }: Relation): boolean => options.some((option) => /^security_invoker=(true|on|1|yes)$/i.test(option));
const onPolicies = (relations: readonly Relation[], fits: (policy: Policy, relation: Relation) => boolean) =>
  relations.flatMap((relation) =>
    relation.policies
      .filter((policy) => fits(policy, relation))
      .map(({ name }) => ({ on: written(relation), detail: `policy ${quoted(name)}` })),
  );

/** Parts of column names that promise something nobody should read. */
const sensitive = /(^|_)(password|passwd|pwd|secret|api_?key|token|ssn|social_security|credit_card|card_number|cvv|iban|private_key)(_|$)/i;

export const securityLints: readonly Lint[] = [
  {
    name: 'rls_disabled_in_public',
    level: 'ERROR',
    category: 'SECURITY',
    say: 'Anybody with the public key can read or change these tables: the API serves them and row level security is off.',
    fix: 'Run ALTER TABLE … ENABLE ROW LEVEL SECURITY and write policies; or revoke the grants of anon and authenticated.',
    find: (catalog) => on(userRelations(catalog).filter((each) => isTable(each) && isServed(each) && each.rowSecurity === 'off')),
  },
  {
    name: 'policy_exists_rls_disabled',
    level: 'ERROR',
    category: 'SECURITY',
    say: 'These tables have policies that do nothing, since row level security is off.',
    fix: 'Run ALTER TABLE … ENABLE ROW LEVEL SECURITY.',
    find: (catalog) => on(catalog.relations.filter((each) => isTable(each) && each.policies.length > 0 && each.rowSecurity === 'off')),
  },
  {
    name: 'auth_users_exposed',
    level: 'ERROR',
    category: 'SECURITY',
    say: 'These views show auth.users to everybody who may use the API.',
    fix: 'Drop the view or revoke it from anon and authenticated; keep what is public in a table of your own.',
    find: (catalog) =>
      on(
        userRelations(catalog).filter(
          (each) =>
            (each.kind === 'materializedView' || (each.kind === 'view' && !isInvoker(each))) &&
            isServed(each) &&
            /\bauth\.users\b/.test(each.definition ?? ''),
        ),
      ),
  },
  {
    name: 'security_definer_view',
    level: 'ERROR',
    category: 'SECURITY',
    say: 'These views read with the rights of their owner, so the row level security of the tables below does not hold for who asks.',
    fix: 'Run ALTER VIEW … SET (security_invoker = true).',
    find: (catalog) => on(userRelations(catalog).filter((each) => each.kind === 'view' && !isInvoker(each) && isServed(each))),
  },
  {
    name: 'rls_references_user_metadata',
    level: 'ERROR',
    category: 'SECURITY',
    say: 'These policies trust user_metadata, which every user can change.',
    fix: 'Use app_metadata or a table of your own instead.',
    find: (catalog) => onPolicies(catalog.relations, (policy) => /user_metadata|raw_user_meta_data/.test(textOf(policy))),
  },
  {
    name: 'sensitive_columns_exposed',
    level: 'ERROR',
    category: 'SECURITY',
    say: 'These columns sound like secrets, and the API serves their table without row level security.',
    fix: 'Enable row level security, or revoke the column from anon and authenticated.',
    find: (catalog) =>
      userRelations(catalog)
        .filter((each) => isTable(each) && isServed(each) && each.rowSecurity === 'off')
        .flatMap((each) =>
          each.columns
            .filter(({ name }) => sensitive.test(name))
            .map(({ name }) => ({ on: written(each), detail: `column ${quoted(name)}` })),
        ),
  },
  {
    name: 'rls_policy_always_true',
    level: 'WARN',
    category: 'SECURITY',
    say: 'These policies let everybody they are for change every row.',
    fix: 'Write the condition that the row belongs to who asks, or leave the policy out.',
    find: (catalog) =>
      onPolicies(
        userRelations(catalog).filter(({ rowSecurity }) => rowSecurity !== 'off'),
        ({ permissive, command, using, check }) =>
          permissive && command !== 'select' && (check === 'true' || (using === 'true' && command !== 'insert' && check === undefined)),
      ),
  },
  {
    name: 'rls_enabled_no_policy',
    level: 'INFO',
    category: 'SECURITY',
    say: 'Row level security is on and there is no policy: only roles that bypass it see a row.',
    fix: 'Write a policy, if the API should serve these tables.',
    find: (catalog) =>
      on(userRelations(catalog).filter((each) => isTable(each) && each.rowSecurity !== 'off' && each.policies.length === 0)),
  },
  {
    name: 'function_search_path_mutable',
    level: 'WARN',
    category: 'SECURITY',
    say: 'Whoever calls these functions decides in which schemas their names are looked up.',
    fix: "Run ALTER FUNCTION … SET search_path = '' and qualify the names in it.",
    find: (catalog) =>
      userRoutines(catalog)
        .filter(
          ({ kind, settings }) =>
            (kind === 'function' || kind === 'procedure') && !settings.some((each) => each.startsWith('search_path=')),
        )
        .map((each) => ({ on: `${written(each)}(${each.identityArguments})` })),
  },
  {
    name: 'security_definer_function_executable',
    level: 'WARN',
    category: 'SECURITY',
    say: 'The API lets visitors or signed-in users call these functions, which run with the rights of their owner.',
    fix: 'Revoke EXECUTE from public, anon and authenticated where that is not meant, or make them SECURITY INVOKER.',
    find: (catalog) =>
      userRoutines(catalog)
        .filter(
          ({ schema, securityDefiner, grants, result }) =>
            schema === apiSchema && securityDefiner && result !== 'trigger' && result !== 'event_trigger' && servedTo(grants, ['EXECUTE']),
        )
        .map((each) => ({ on: `${written(each)}(${each.identityArguments})` })),
  },
  {
    name: 'extension_in_public',
    level: 'WARN',
    category: 'SECURITY',
    say: 'These extensions live in the schema that the API serves.',
    fix: 'Run ALTER EXTENSION … SET SCHEMA extensions.',
    find: ({ extensions }) => extensions.filter(({ schema }) => schema === apiSchema).map(({ name }) => ({ on: quoted(name) })),
  },
  {
    name: 'materialized_view_in_api',
    level: 'WARN',
    category: 'SECURITY',
    say: 'The API serves these materialized views, and row level security never holds for them.',
    fix: 'Revoke them from anon and authenticated, or move them to a schema that is not served.',
    find: (catalog) => on(userRelations(catalog).filter((each) => each.kind === 'materializedView' && isServed(each))),
  },
  {
    name: 'foreign_table_in_api',
    level: 'WARN',
    category: 'SECURITY',
    say: 'The API serves these foreign tables, and row level security does not hold for them.',
    fix: 'Revoke them from anon and authenticated, or move them to a schema that is not served.',
    find: (catalog) => on(userRelations(catalog).filter((each) => each.kind === 'foreignTable' && isServed(each))),
  },
  {
    name: 'extension_versions_outdated',
    level: 'WARN',
    category: 'SECURITY',
    say: 'The server brings a newer version of these extensions than the database uses.',
    fix: 'Run ALTER EXTENSION … UPDATE after reading its notes.',
    find: ({ extensions }) =>
      extensions
        .filter(({ version, available }) => available !== undefined && available !== version)
        .map(({ name, version, available }) => ({ on: quoted(name), detail: `${version} -> ${available}` })),
  },
];
