/** The answer of the catalog statement as it comes: nulls are stripped, lists may be missing. Unknown kinds are errors, not guesses. */
import { z } from 'zod';

const text = z.string();
const flag = z.boolean();
const names = z.array(text).default([]);
const acl = z.array(text).default([]);
const comment = text.optional();
const objectName = z.object({ schema: text, name: text });
const mode = z.enum(['O', 'A', 'R', 'D']);
/** oid of the relation that a part belongs to; never leaves the shaping. */
const of = z.number();

const schema = z.object({ name: text, owner: text, comment, acl });
const relation = z.object({
  id: z.number(),
  schema: text,
  name: text,
  kind: z.enum(['r', 'p', 'f', 'v', 'm']),
  owner: text,
  comment,
  persistence: z.enum(['p', 'u']),
  secured: flag,
  forced: flag,
  replica: z.enum(['d', 'n', 'f', 'i']),
  options: names,
  acl,
  rows: z.number(),
  bound: text.optional(),
  partitionKey: text.optional(),
  definition: text.optional(),
  server: text.optional(),
  parents: z.array(objectName).default([]),
});
const column = z.object({
  of,
  name: text,
  place: z.number(),
  type: text,
  notNull: flag,
  identity: z.enum(['a', 'd']).optional(),
  generated: text.optional(),
  expression: text.optional(),
  collation: text.optional(),
  acl,
  comment,
});
const constraint = z.object({
  of,
  name: text,
  kind: z.enum(['p', 'u', 'f', 'c', 'x', 't']),
  validated: flag,
  inherited: flag,
  definition: text,
  columns: names,
  references: objectName.extend({ columns: names }).optional(),
  comment,
});
const index = z.object({
  of,
  name: text,
  quoted: text,
  method: text,
  unique: flag,
  valid: flag,
  columns: names,
  constraint: text.optional(),
  predicate: text.optional(),
  definition: text,
  parent: objectName.optional(),
  scans: z.number(),
});
const policy = z.object({
  of,
  name: text,
  permissive: flag,
  command: z.enum(['*', 'r', 'a', 'w', 'd']),
  roles: names,
  using: text.optional(),
  check: text.optional(),
  comment,
});
const trigger = z.object({ of, name: text, definition: text, mode, inherited: flag, function: objectName, comment });
const rule = z.object({ of, name: text, definition: text, mode });
const routine = z.object({
  schema: text,
  name: text,
  kind: z.enum(['f', 'p', 'a', 'w']),
  identityArguments: text,
  arguments: text,
  result: text.optional(),
  language: text,
  volatility: z.enum(['i', 's', 'v']),
  securityDefiner: flag,
  strict: flag,
  leakproof: flag,
  parallel: z.enum(['s', 'r', 'u']),
  settings: names,
  owner: text,
  comment,
  acl,
  definition: text.optional(),
});
const userType = z.object({
  schema: text,
  name: text,
  kind: z.enum(['e', 'd', 'c', 'r', 'b']),
  owner: text,
  comment,
  acl,
  labels: names,
  base: text.optional(),
  notNull: flag,
  default: text.optional(),
  constraints: z.array(z.object({ name: text, definition: text })).default([]),
  attributes: z.array(z.object({ name: text, type: text })).default([]),
  subtype: text.optional(),
});
const sequence = z.object({
  schema: text,
  name: text,
  owner: text,
  comment,
  acl,
  type: text,
  start: text,
  increment: text,
  minimum: text,
  maximum: text,
  cache: text,
  cycle: flag,
  ownedBy: objectName.extend({ column: text, identity: flag }).optional(),
});
const extension = z.object({ name: text, schema: text, version: text, available: text.optional() });
const publication = z.object({
  name: text,
  owner: text,
  allTables: flag,
  insert: flag,
  update: flag,
  delete: flag,
  truncate: flag,
  viaRoot: flag,
  tables: z.array(objectName.extend({ where: text.nullish(), columns: z.array(text).nullish() })).default([]),
  schemas: names,
});
const defaultPrivileges = z.object({ role: text, schema: text.optional(), on: z.enum(['r', 'S', 'f', 'T', 'n', 'L']), acl });
const eventTrigger = z.object({ name: text, event: text, tags: names, mode, owner: text, function: objectName });
const role = z.object({
  name: text,
  superuser: flag,
  inherit: flag,
  createrole: flag,
  createdb: flag,
  login: flag,
  replication: flag,
  bypassrls: flag,
  connectionLimit: z.number().optional(),
  members: z.array(z.object({ role: text, admin: flag })).default([]),
  settings: names,
});

const list = <T extends z.ZodType>(row: T) => z.array(row).nullish();

export const catalogAnswer = z.object({
  server: z.object({ version: z.number(), database: text, encoding: text, collation: text, characterType: text }),
  schemas: list(schema),
  relations: list(relation),
  relationsBrief: list(relation),
  columns: list(column),
  columnsBrief: list(column),
  constraints: list(constraint),
  constraintsBrief: list(constraint),
  indexes: list(index),
  policies: list(policy),
  policiesBrief: list(policy),
  triggers: list(trigger),
  rules: list(rule),
  routines: list(routine),
  routinesWhole: list(routine),
  types: list(userType),
  sequences: list(sequence),
  extensions: list(extension),
  publications: list(publication),
  defaultPrivileges: list(defaultPrivileges),
  eventTriggers: list(eventTrigger),
  roles: list(role),
  others: list(z.object({ kind: text, identity: text })),
});
export type CatalogAnswer = z.infer<typeof catalogAnswer>;
export type Row<K extends keyof CatalogAnswer> = NonNullable<CatalogAnswer[K]> extends (infer R)[] ? R : never;
