/** What points into a schema from outside of it, read from a database. */
import type { Client } from 'pg';
import { z } from 'zod';
import { referencesSql } from './references-sql.ts';

const objectName = z.object({ schema: z.string(), name: z.string() });
/** As pg_trigger and pg_rewrite keep it: origin, always, replica, disabled. */
const mode = z.enum(['O', 'A', 'R', 'D']);
const comment = z.string().nullable();

export const references = z.object({
  triggers: z.array(z.object({ table: objectName, name: z.string(), definition: z.string(), mode, constraint: z.boolean(), comment })),
  policies: z.array(
    z.object({
      table: objectName,
      name: z.string(),
      using: z.string().nullable(),
      check: z.string().nullable(),
      permissive: z.boolean(),
      /** As pg_policy keeps it. */
      command: z.enum(['*', 'r', 'a', 'w', 'd']),
      /** As they are written in SQL. */
      roles: z.array(z.string()),
      comment,
    }),
  ),
  constraints: z.array(
    z.object({ table: objectName, name: z.string(), kind: z.enum(['foreignKey', 'check']), definition: z.string(), comment }),
  ),
  defaults: z.array(z.object({ table: objectName, column: z.string(), expression: z.string() })),
  views: z.array(z.object({ view: objectName, definition: z.string(), options: z.array(z.string()) })),
  rules: z.array(z.object({ table: objectName, name: z.string(), definition: z.string(), mode })),
  /** Routines with a parsed body (BEGIN ATOMIC); a body that is text finds its objects by name when it runs. */
  routines: z.array(z.object({ routine: objectName, arguments: z.string(), definition: z.string() })),
  eventTriggers: z.array(
    z.object({
      name: z.string(),
      event: z.string(),
      tags: z.array(z.string()),
      function: z.string(),
      mode,
      owner: z.string(),
      comment,
    }),
  ),
  /** What cannot be written anew so that it points elsewhere. `kind` is the catalog that keeps it. */
  blockers: z.array(z.object({ kind: z.string(), what: z.string(), on: z.string() })),
  /** Foreign keys that lead out of the schema; `gives` when a deleted row outside is followed, not refused. */
  pointOut: z.array(z.object({ table: objectName, name: z.string(), to: objectName, gives: z.boolean() })),
});
export type References = z.infer<typeof references>;

/** A schema that is not there has none. The session must have an empty search_path. */
export async function readReferences(client: Client, schema: string): Promise<References> {
  const { rows } = await client.query(referencesSql, [schema]);
  return references.parse(rows[0]);
}
