import * as contract from '../../../machines/effects/restore.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { createArchiveTap } from './archive-tap.ts';
import { startReading } from './child.ts';
import { compareCatalogs } from './compare-catalogs.ts';
import { type DatabasePlace, libpqOf, openSession } from './connection.ts';
import { type DatabaseContents, observe } from './database-contents.ts';
import type { BackupDeps } from './deps.ts';
import { createProgress } from './meter.ts';
import { pgClientFor } from './programs.ts';
import { openRestore } from './restore-document.ts';
import { retellViews } from './retell-views.ts';
import { contentsOf } from './verify.ts';

const shown = 50;

export function proveRestore(deps: BackupDeps) {
  return defineHandler(contract.proveRestore, {
    async run(ctx, input) {
      const { plan, place, backup, file } = await openRestore(deps, ctx, input);
      const expected = await contentsOf(backup, file);
      const client = await openSession(place, ctx.key, plan.into);
      let found: Awaited<ReturnType<typeof observe>>;
      let major: number;
      let told: DatabaseContents['catalog'];
      try {
        found = await observe(client, plan.into);
        const { rows } = await client.query<{ major: number }>(`select current_setting('server_version_num')::int / 10000 as major`);
        major = rows[0]?.major ?? 0;
        told = await retellViews(client, expected.catalog, found.catalog);
      } finally {
        await client.end();
      }
      const { objects, differences } = compareCatalogs(told, found.catalog);
      differences.push(...propertiesThatDiffer(expected, found));
      const { tables, rows } = await compareRows(ctx, place, plan.into, major, expected, file.rawBytes, differences);
      return {
        identical: differences.length === 0,
        tables,
        rows,
        objects,
        differences: differences.slice(0, shown).map((text) => text.slice(0, 300)),
        moreDifferences: Math.max(0, differences.length - shown),
      };
    },
  });
}

function propertiesThatDiffer(expected: DatabaseContents, found: Awaited<ReturnType<typeof observe>>): string[] {
  const out: string[] = [];
  const { comment: _, ...before } = expected.properties;
  const { comment: __, ...after } = found.properties;
  for (const field of Object.keys(before) as (keyof typeof before)[])
    if (sortedText(before[field]) !== sortedText(after[field])) out.push(`the database's ${field} differs`);
  const values = new Map(found.sequences.map(({ schema, name, value }) => [`${schema}.${name}`, value]));
  // A data-less backup holds the sequences, not where they stand.
  if (expected.figures.tables.length > 0)
    for (const { schema, name, value } of expected.sequences)
      if (values.get(`${schema}.${name}`) !== value) out.push(`sequence ${schema}.${name} stands elsewhere`);
  if (expected.figures.largeObjects.count > 0 && sortedText(expected.largeObjects) !== sortedText(found.largeObjects))
    out.push('owners or grants of large objects differ');
  return out;
}

/** Lists of the catalog have no order of their own. */
function sortedText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedText).sort().join()}]`;
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([name, inner]) => `${name}:${sortedText(inner)}`)
      .sort()
      .join()}}`;
  return JSON.stringify(value) ?? '';
}

async function compareRows(
  ctx: EffectContext,
  place: DatabasePlace,
  database: string,
  major: number,
  { figures }: DatabaseContents,
  rawBytes: number,
  differences: string[],
): Promise<{ tables: number; rows: number }> {
  if (figures.tables.length === 0 && figures.largeObjects.count === 0) return { tables: 0, rows: 0 };
  const program = await pgClientFor('pg_dump', major);
  const { dbname, ...libpq } = libpqOf(place, ctx.key, database);
  const child = await startReading({
    file: program.file,
    args: ['-Fc', '-Z0', '--data-only', '--no-password', `--dbname=${dbname}`],
    signal: ctx.signal,
    ...libpq,
  });
  const tap = createArchiveTap();
  const progress = createProgress('Comparing rows', rawBytes, ctx.now, ctx.progress);
  let bytes = 0;
  try {
    for await (const piece of child.pieces) {
      tap.see(piece);
      bytes += piece.length;
      progress(bytes);
    }
    await child.ended;
  } finally {
    child.stop();
  }
  const found = tap.figures();
  if (!found.known || !figures.known) differences.push('the rows could not be compared: the format of the dump is not known');
  const after = new Map(found.tables.map((table) => [`${table.schema}.${table.table}`, table]));
  let rows = 0;
  for (const table of figures.tables) {
    const name = `${table.schema}.${table.table}`;
    const other = after.get(name);
    rows += other?.rows ?? 0;
    if (!other) differences.push(`the rows of ${name} are missing`);
    else if (other.rows !== table.rows) differences.push(`${name} has ${other.rows} rows and had ${table.rows}`);
    else if (other.sha256 !== table.sha256) differences.push(`rows of ${name} differ`);
  }
  if (found.largeObjects.sha256 !== figures.largeObjects.sha256) differences.push('large objects differ');
  return { tables: figures.tables.length, rows };
}
