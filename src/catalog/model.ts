/**
 * A database's catalog as plain, normalised data: what tools show, advisors judge, and comparisons of two databases stand on.
 * Invariants:
 * 1. No oid and nothing that differs between two equal databases, except the figures in `measured`.
 * 2. Types, expressions and definitions are written with schemas, as Postgres writes them under an empty search_path.
 * 3. Lists that have no order of their own are sorted by code point; columns, enum labels and keys keep theirs.
 * 4. Grants are the effective ones: where nothing was granted or revoked, the ones that Postgres starts with.
 * 5. What Postgres keeps twice stands once: NOT NULL of columns and domains is no constraint here, whatever the major.
 * 6. Members of extensions are left out: they belong to the extension.
 */

export type ObjectName = { schema: string; name: string };

/** `to` is a role's name; `public` is everybody (Postgres lets no role bear that name). */
export type Grant = { to: string; privileges: string[]; grantable: string[] };

export type Column = {
  name: string;
  type: string;
  notNull: boolean;
  default?: string;
  identity?: 'always' | 'byDefault';
  /** The expression of a stored generated column. */
  generated?: string;
  /** Only where it is not the one of the type. */
  collation?: string;
  comment?: string;
  /** Grants on this column alone. */
  grants: Grant[];
};

export type ConstraintKind = 'primaryKey' | 'unique' | 'foreignKey' | 'check' | 'exclusion' | 'trigger';

export type Constraint = {
  name: string;
  kind: ConstraintKind;
  columns: string[];
  references?: ObjectName & { columns: string[] };
  definition: string;
  validated: boolean;
  /** Comes with the parent of a partition or an inheriting table. */
  inherited: boolean;
  comment?: string;
};

export type Index = {
  name: string;
  method: string;
  /** Key columns in order; `(expression)` in the place of an expression. */
  columns: string[];
  unique: boolean;
  /** False after a concurrent build that failed, or where a partition's index is missing: Postgres does not use it. */
  valid: boolean;
  /** Set where a constraint made it. */
  constraint?: string;
  predicate?: string;
  definition: string;
  /** The definition without the index's own name: equal for two indexes that do the same. */
  form: string;
  /** The index of the partitioned table that this one is attached to. */
  parent?: ObjectName;
  measured: { scans: number };
};

export type PolicyCommand = 'all' | 'select' | 'insert' | 'update' | 'delete';

export type Policy = {
  name: string;
  permissive: boolean;
  command: PolicyCommand;
  /** `public` for everybody. */
  roles: string[];
  using?: string;
  check?: string;
  comment?: string;
};

export type TriggerMode = 'origin' | 'always' | 'replica' | 'disabled';

export type Trigger = { name: string; function: ObjectName; definition: string; mode: TriggerMode; inherited: boolean; comment?: string };

export type Rule = { name: string; definition: string; mode: TriggerMode };

export type RelationKind = 'table' | 'partitionedTable' | 'foreignTable' | 'view' | 'materializedView';

export type Relation = ObjectName & {
  kind: RelationKind;
  owner: string;
  comment?: string;
  persistence: 'permanent' | 'unlogged';
  rowSecurity: 'off' | 'on' | 'forced';
  replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  options: string[];
  partition?: { of: ObjectName; bound: string };
  partitionKey?: string;
  inherits: ObjectName[];
  /** The query of a view. */
  definition?: string;
  /** Of a foreign table. */
  server?: string;
  columns: Column[];
  constraints: Constraint[];
  indexes: Index[];
  policies: Policy[];
  triggers: Trigger[];
  rules: Rule[];
  grants: Grant[];
  /** Estimated rows; undefined until the first ANALYZE. */
  measured: { rows?: number };
};

export type RoutineKind = 'function' | 'procedure' | 'aggregate' | 'window';

export type Routine = ObjectName & {
  kind: RoutineKind;
  /** With `schema` and `name` the identity of a routine. */
  identityArguments: string;
  arguments: string;
  result?: string;
  language: string;
  volatility: 'immutable' | 'stable' | 'volatile';
  securityDefiner: boolean;
  strict: boolean;
  leakproof: boolean;
  parallel: 'safe' | 'restricted' | 'unsafe';
  /** `name=value`, such as `search_path=""`. */
  settings: string[];
  /** The whole CREATE statement; left out where only a list was asked for, and for aggregates. */
  definition?: string;
  owner: string;
  comment?: string;
  grants: Grant[];
};

export type UserType = ObjectName & {
  owner: string;
  comment?: string;
  grants: Grant[];
} & (
    | { kind: 'enum'; labels: string[] }
    | { kind: 'domain'; base: string; notNull: boolean; default?: string; constraints: { name: string; definition: string }[] }
    | { kind: 'composite'; attributes: { name: string; type: string }[] }
    | { kind: 'range'; subtype: string }
    | { kind: 'base' }
  );

export type Sequence = ObjectName & {
  type: string;
  start: string;
  increment: string;
  minimum: string;
  maximum: string;
  cache: string;
  cycle: boolean;
  ownedBy?: ObjectName & { column: string; identity: boolean };
  owner: string;
  comment?: string;
  grants: Grant[];
};

export type Schema = { name: string; owner: string; comment?: string; grants: Grant[] };

export type Extension = { name: string; schema: string; version: string; available?: string };

export type Publication = {
  name: string;
  owner: string;
  allTables: boolean;
  publishes: string[];
  viaRoot: boolean;
  tables: (ObjectName & { columns?: string[]; where?: string })[];
  schemas: string[];
};

export type DefaultPrivileges = { role: string; schema?: string; on: string; grants: Grant[] };

export type EventTrigger = { name: string; event: string; tags: string[]; function: ObjectName; mode: TriggerMode; owner: string };

export type Role = {
  name: string;
  /** Such as `login`, `superuser`, `bypassrls`. */
  attributes: string[];
  connectionLimit?: number;
  memberOf: { role: string; admin: boolean }[];
  /** Names alone: the values may be secrets. */
  settings: string[];
};

/** A kind of object that is listed by its identity only: collations, operators, casts, text search, statistics, foreign servers, … */
export type OtherObject = { kind: string; identity: string };

export type Catalog = {
  server: { version: number; database: string; encoding: string; collation: string; characterType: string };
  schemas: Schema[];
  relations: Relation[];
  routines: Routine[];
  types: UserType[];
  sequences: Sequence[];
  extensions: Extension[];
  publications: Publication[];
  defaultPrivileges: DefaultPrivileges[];
  eventTriggers: EventTrigger[];
  roles: Role[];
  others: OtherObject[];
};
