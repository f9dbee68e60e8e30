/** What was approved of the exchange of one schema (engine.md A1), and the mark by which it is known whether it took place. */
import type { Client } from 'pg';
import { z } from 'zod';
import { AppError } from '../../../errors.ts';
import type { EffectContext } from '../../handler.ts';
import { sha256Of } from '../book.ts';
import type { RestorePlan } from '../restore-document.ts';
import { identifier, literal } from '../roles.ts';
import { references } from './references.ts';

const memberships = z.array(
  z.object({
    name: z.string(),
    tables: z.array(
      z.object({ schema: z.string(), name: z.string(), columns: z.array(z.string()).exactOptional(), where: z.string().exactOptional() }),
    ),
    schemas: z.array(z.string()),
  }),
);

export const schemaPlan = z.strictObject({
  version: z.literal(1),
  schema: z.string(),
  /** The name under which the present one is kept. */
  keepAs: z.string(),
  /** The name for the restored one when it is taken back after somebody wrote into it. */
  asideAs: z.string(),
  /** False when there is no such schema now: then an empty one bears the mark. */
  existed: z.boolean(),
  references,
  /** What pointed into the schema in the backup, was dropped since, and is made again. */
  lost: references.pick({ triggers: true, policies: true, constraints: true, defaults: true, rules: true, eventTriggers: true }),
  /** Publications of the database in use that are no matter of all tables. */
  publications: z.array(z.string()),
  /** In which of them the present schema is, and in which the restored one will be. */
  members: memberships,
  joins: memberships,
  /** What will have been compared when it is confirmed. */
  tables: z.number(),
  rows: z.number(),
  objects: z.number(),
});
export type SchemaPlan = z.infer<typeof schemaPlan>;

/** Throws PLAN_CHANGED when it is not the approved one. */
export async function readSchemaPlan(ctx: EffectContext, { plan, planHash }: { plan: string; planHash: string }): Promise<SchemaPlan> {
  const text = await ctx.artifacts.read(plan);
  if (sha256Of(text) === planHash) return schemaPlan.parse(JSON.parse(text));
  throw new AppError('PLAN_CHANGED', { message: 'The stored plan is not the one that was approved.', fix: 'Look at the schema again.' });
}

const markOf = (runId: string) => `capstan restore ${runId}: `;

/** Written in the transaction of the exchange, on what is kept: it stays as long as that is kept. */
export function setSchemaMark(client: Client, { schema, keepAs }: SchemaPlan, runId: string, replacedBy: string) {
  const text = `${markOf(runId)}what ${schema} was until it was replaced by ${replacedBy}`;
  return client.query(`comment on schema ${identifier(keepAs)} is ${literal(text)}`);
}

export type Standing =
  /** Nothing was exchanged, or it was taken back. */
  | { is: 'before' }
  /** `restored` is there when the restored schema still bears the name. */
  | { is: 'exchanged'; restored: boolean }
  /** A schema with the name of what is kept that is none of this run, or another one in the place of the restored. */
  | { is: 'foreign' };

export async function standingOf(client: Client, { schema, keepAs }: SchemaPlan, runId: string): Promise<Standing> {
  const { rows } = await client.query<{ name: string; id: string; comment: string | null }>(
    `select nspname as name, oid::text as id, pg_catalog.obj_description(oid, 'pg_namespace') as comment
     from pg_catalog.pg_namespace where nspname = any($1)`,
    [[schema, keepAs]],
  );
  const kept = rows.find(({ name }) => name === keepAs);
  if (!kept) return { is: 'before' };
  if (!kept.comment?.startsWith(markOf(runId))) return { is: 'foreign' };
  const now = rows.find(({ name }) => name === schema);
  if (!now) return { is: 'exchanged', restored: false };
  return kept.comment.endsWith(` ${now.id}`) ? { is: 'exchanged', restored: true } : { is: 'foreign' };
}

/** The schema of a plan of mode `schema`. */
export function schemaOf({ schema }: Pick<RestorePlan, 'schema'>): string {
  if (schema === null) throw new TypeError('the approved plan names no schema');
  return schema;
}
