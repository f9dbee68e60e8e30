/**
 * The exchange taken back, inside one transaction: the kept schema bears its name again, and what points into it does so again. Invariants:
 * 1. The restored schema is dropped only when it still is as in the backup; what somebody wrote since stays beside under another name,
 *    and so it does when the backup cannot be read any more.
 * 2. What points into the name now is pointed to the kept one, whoever made it, by the same means as on the way there.
 */
import type { Client } from 'pg';
import type { EffectContext } from '../../handler.ts';
import { readCatalog } from '../../postgres/read-catalog.ts';
import { compareCatalogs } from '../compare-catalogs.ts';
import { portOf } from '../deps.ts';
import { identifier } from '../roles.ts';
import type { SchemaPlan } from './document.ts';
import { commentStatements, type Noted, renaming, requireNothingPointsTo, runAll } from './exchange.ts';
import { requireMovable } from './look.ts';
import { dropStatements, stillThere } from './lost.ts';
import { readReferences } from './references.ts';
import { joinStatements, leaveStatements, membershipsOf, named, repointStatements } from './repoint.ts';
import { rowsThatDiffer } from './rows.ts';
import { tellWatchers } from './transaction.ts';
import { catalogWithin, rowsWithin } from './within.ts';

type Kept = { comment: string | null };

/** `noted` is what is known of the backup, if it can be read; `restored` says whether the restored schema still bears the name. */
export async function takeSchemaBack(
  ctx: EffectContext,
  client: Client,
  plan: SchemaPlan,
  noted: Noted | undefined,
  { comment }: Kept,
  restored: boolean,
): Promise<void> {
  const { schema, keepAs, asideAs, existed, members } = plan;
  const made = stillThere(plan.lost, await readReferences(client, schema));
  await runAll(client, dropStatements(made));
  const references = await readReferences(client, schema);
  requireMovable(schema, references);
  let unused = false;
  if (restored) {
    unused = noted !== undefined && (await isAsRestored(ctx, client, plan, noted));
    const now = membershipsOf(await readCatalog(portOf(client), ['publications']), schema);
    await runAll(client, [...leaveStatements(now, schema), renaming(schema, asideAs)]);
  }
  await runAll(client, existed ? [renaming(keepAs, schema), ...repointStatements(references)] : [`drop schema ${identifier(keepAs)}`]);
  await runAll(client, joinStatements(members));
  if (restored) {
    await requireNothingPointsTo(client, asideAs);
    if (unused) await runAll(client, [`drop schema ${identifier(asideAs)} cascade`]);
  }
  await tellWatchers(client, () => runAll(client, existed ? commentStatements(schema, comment) : []));
}

/** Nobody writes into it from here on. */
async function isAsRestored(ctx: EffectContext, client: Client, plan: SchemaPlan, { contents, catalog }: Noted): Promise<boolean> {
  const expected = catalogWithin(catalog, plan.schema, plan.publications);
  const { rows: held } = await client.query<{ schema: string; name: string }>(
    `select n.nspname as schema, c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
     where n.nspname = $1 and c.relkind in ('r', 'p')`,
    [plan.schema],
  );
  if (held.length > 0) await runAll(client, [`lock table ${held.map(named).join(', ')} in share mode`]);
  const found = catalogWithin(await readCatalog(portOf(client)), plan.schema, plan.publications);
  if (compareCatalogs(expected, found).differences.length > 0) return false;
  const { tables, sequences } = rowsWithin(contents, plan.schema);
  return (await rowsThatDiffer(ctx, client, tables, sequences)).length === 0;
}
