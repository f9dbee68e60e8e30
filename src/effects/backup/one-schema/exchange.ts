/**
 * The exchange itself, step by step inside one transaction (transaction.ts). Invariants:
 * 1. What points into the schema is exactly what was approved; anything else is looked at again by a person first (engine.md E9).
 * 2. It is confirmed only when catalog, owners, grants, sequences and rows are those of the backup, and nothing outside points to what is kept.
 * 3. Locks on tables of other schemas are taken after the rows are in and compared, so they are held for moments.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Client } from 'pg';
import type { Catalog } from '../../../catalog/model.ts';
import { AppError } from '../../../errors.ts';
import type { EffectContext } from '../../handler.ts';
import { quoteVendorText } from '../../http/vendor-text.ts';
import { readCatalog } from '../../postgres/read-catalog.ts';
import { compareCatalogs } from '../compare-catalogs.ts';
import type { DatabaseContents } from '../database-contents.ts';
import { portOf } from '../deps.ts';
import { accessRepairs, asBefore17 } from '../repair-access.ts';
import { identifier, literal } from '../roles.ts';
import type { Definitions } from './definitions.ts';
import { type SchemaPlan, setSchemaMark, standingOf } from './document.ts';
import { requireMovable } from './look.ts';
import { lostStatements } from './lost.ts';
import { type References, readReferences } from './references.ts';
import { describeReferences, joinStatements, leaveStatements, membershipsOf, named, repointStatements } from './repoint.ts';
import { copyRows, copySequences, refreshViews, rowsThatDiffer } from './rows.ts';
import { lockTimeout, tellWatchers } from './transaction.ts';
import { catalogWithin, rowsWithin } from './within.ts';

/** What was noted of the backup; `catalog` is told in the words of this server. */
export type Noted = { contents: DatabaseContents; catalog: Catalog };
export type Material = Noted & { definitions: Definitions; copy: Client };

export async function exchangeSchema(ctx: EffectContext, client: Client, plan: SchemaPlan, material: Material): Promise<void> {
  const { schema, keepAs } = plan;
  const { definitions, contents, catalog, copy } = material;
  const { tables, sequences } = rowsWithin(contents, schema);
  const expected = catalogWithin(catalog, schema, plan.publications);
  await requireAsApproved(ctx, client, plan);
  await client.query(plan.existed ? renaming(schema, keepAs) : `create schema ${identifier(keepAs)}`);
  const owner = expected.schemas[0]?.owner ?? '';
  await client.query(`create schema ${identifier(schema)} authorization ${identifier(owner)}`);
  await client.query(definitions.before);
  await copyRows(ctx, copy, client, tables);
  await copySequences(copy, client, sequences);
  throwIfDifferent(schema, await rowsThatDiffer(ctx, client, tables, sequences));
  ctx.progress('Exchanging');
  await runAll(client, [definitions.after]);
  await refreshViews(copy, client, schema);
  await runAll(client, [
    ...repointStatements(plan.references),
    ...lostStatements(plan.lost),
    ...leaveStatements(plan.members, keepAs),
    ...joinStatements(plan.joins),
    ...commentStatements(schema, expected.schemas[0]?.comment),
  ]);
  const found = async () => catalogWithin(await readCatalog(portOf(client)), schema, plan.publications);
  await runAll(
    client,
    accessRepairs(expected, asBefore17(await found(), expected)).map(({ statement }) => statement),
  );
  const analyzed = expected.relations.filter(({ kind }) => kind === 'table' || kind === 'partitionedTable' || kind === 'materializedView');
  if (analyzed.length > 0) await client.query(`analyze ${analyzed.map(named).join(', ')}`);
  await requireNothingPointsTo(client, keepAs);
  await requirePointsAsPlanned(client, plan);
  throwIfDifferent(schema, compareCatalogs(expected, await found()).differences);
  const { rows } = await client.query<{ id: string }>('select oid::text as id from pg_catalog.pg_namespace where nspname = $1', [schema]);
  await tellWatchers(client, () => setSchemaMark(client, plan, ctx.runId, rows[0]?.id ?? ''));
}

export const renaming = (from: string, to: string): string => `alter schema ${identifier(from)} rename to ${identifier(to)}`;

export function commentStatements(schema: string, comment: string | null | undefined): string[] {
  return [`comment on schema ${identifier(schema)} is ${comment == null ? 'null' : literal(comment)}`];
}

/** A dump sets its own limits and reading a catalog a shorter one: ours is set again first. */
export async function runAll(client: Client, statements: readonly string[]): Promise<void> {
  for (const statement of statements) {
    await client.query(lockTimeout.replace('set ', 'set local '));
    await client.query(statement.replace(/^SET lock_timeout = 0;$/m, ''));
  }
}

async function requireAsApproved(ctx: EffectContext, client: Client, plan: SchemaPlan): Promise<void> {
  const { is } = await standingOf(client, plan, ctx.runId);
  const { rows } = await client.query('select 1 from pg_catalog.pg_namespace where nspname = $1', [plan.schema]);
  const references = await readReferences(client, plan.schema);
  requireMovable(plan.schema, references);
  const members = membershipsOf(await readCatalog(portOf(client), ['publications']), plan.schema);
  if (
    is === 'before' &&
    rows.length === (plan.existed ? 1 : 0) &&
    isDeepStrictEqual([references, members], [plan.references, plan.members])
  )
    return;
  throw new AppError('SCHEMA_CHANGED', {
    message: `The schema ${quoteVendorText(plan.schema)}, or what points into it, is not what it was when the plan was made; nothing was changed.`,
    fix: 'Look again, and approve the new plan.',
  });
}

export async function requireNothingPointsTo(client: Client, schema: string): Promise<void> {
  const left: References = await readReferences(client, schema);
  const lines = [...describeReferences(left), ...left.blockers.map(({ what }) => what)];
  if (lines.length === 0) return;
  throw new AppError('SCHEMA_HELD', {
    message: `${lines.length} objects still point to the schema that was replaced, the first being ${quoteVendorText(lines[0] ?? '')}; nothing was changed.`,
    fix: 'Report it with the details; restore the whole database in place (mode replace) meanwhile.',
    details: { held: lines.slice(0, 50) },
  });
}

/** Every definition, state and comment of what points into the schema is what it was, and what was lost is there. */
async function requirePointsAsPlanned(client: Client, { schema, references, lost }: SchemaPlan): Promise<void> {
  const found = await readReferences(client, schema);
  const differences = (Object.keys(lost) as (keyof typeof lost)[]).flatMap((kind) => {
    const [wanted, there] = [[...references[kind], ...lost[kind]], found[kind]].map((rows) =>
      rows.map((row) => JSON.stringify(row)).sort(),
    );
    return isDeepStrictEqual(wanted, there) ? [] : [`${kind} of other schemas that point into it`];
  });
  throwIfDifferent(schema, differences);
}

function throwIfDifferent(schema: string, differences: readonly string[]): void {
  if (differences.length === 0) return;
  throw new AppError('RESTORE_DIFFERS', {
    message: `The schema ${quoteVendorText(schema)} came out other than in the backup, at ${differences.length} places, so nothing was changed.`,
    fix: 'Read the differences in the details. Where the database in use lacks what the schema needs, put that right; else restore the whole database in place.',
    details: { differences: differences.slice(0, 50).map((text) => text.slice(0, 300)), more: Math.max(0, differences.length - 50) },
  });
}
