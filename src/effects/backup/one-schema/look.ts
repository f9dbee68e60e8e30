/** What stands in the way of exchanging one schema, looked for before anything is touched. */
import type { Client } from 'pg';
import { isManaged } from '../../../catalog/managed.ts';
import type { Catalog } from '../../../catalog/model.ts';
import { AppError } from '../../../errors.ts';
import { quoteVendorText } from '../../http/vendor-text.ts';
import { readCatalog } from '../../postgres/read-catalog.ts';
import type { DatabasePlace } from '../connection.ts';
import type { DatabaseContents } from '../database-contents.ts';
import { portOf } from '../deps.ts';
import { insideOf } from '../restore-document.ts';
import { type References, readReferences } from './references.ts';
import { describeBlockers } from './repoint.ts';

const shown = 50;

/** Mode schema and a schema go together. Throws MODE_AND_SCHEMA. Pure. */
export function requireModeFits({ mode, schema, keepCopy }: { mode: string; schema: string | null; keepCopy: boolean | null }): void {
  const fits = mode === 'schema' ? schema !== null : schema === null && keepCopy === null;
  if (fits) return;
  throw new AppError('MODE_AND_SCHEMA', {
    message:
      mode === 'schema'
        ? 'Mode schema brings one schema back, and none is named.'
        : `Only mode schema takes \`schema\` and \`keepCopy\`, and the mode is ${mode}.`,
    fix: 'Give mode schema and the name of a schema, such as public; or leave both out to restore the whole database.',
  });
}

/** Throws SCHEMA_MANAGED, SCHEMA_NOT_IN_BACKUP, BACKUP_WITHOUT_ROWS. Pure. */
export function requireSchema({ catalog, figures }: DatabaseContents, schema: string): void {
  const name = quoteVendorText(schema);
  if (isManaged(schema) || /^pg_/.test(schema) || schema === 'information_schema')
    throw new AppError('SCHEMA_MANAGED', {
      message: `The schema ${name} belongs to a service or extension of Supabase, or to Postgres, and is no use without the rest of its database.`,
      fix: 'Restore the whole database: leave `mode` and `schema` out for a copy beside, or set mode replace.',
    });
  if (!catalog.schemas.some((row) => row.name === schema))
    throw new AppError('SCHEMA_NOT_IN_BACKUP', {
      message: `The backup holds no schema ${name}.`,
      fix: `It holds: ${catalog.schemas
        .filter((row) => !isManaged(row.name))
        .map((row) => quoteVendorText(row.name))
        .join(', ')}.`,
    });
  if (figures.tables.length === 0 && catalog.relations.some(({ kind }) => kind === 'table'))
    throw new AppError('BACKUP_WITHOUT_ROWS', {
      message: 'The backup holds definitions only, so the schema would come back empty.',
      fix: 'Use a full backup, or restore this one beside and take definitions from the copy by hand.',
    });
}

/** Throws SCHEMA_HELD. Pure. `copy` is what was found in the restored copy, whose own borders count too. */
export function requireMovable(schema: string, inUse: References, copy?: References): void {
  const own = (copy?.blockers ?? []).filter(({ kind }) => kind === 'pg_inherits' || kind === 'pg_extension');
  const held = [...inUse.blockers, ...own];
  if (held.length === 0) return;
  const lines = [...new Set([...describeBlockers({ ...inUse, blockers: held })])];
  const extension = held.some(({ kind }) => kind === 'pg_extension');
  throw new AppError('SCHEMA_HELD', {
    message: `The schema ${quoteVendorText(schema)} cannot be exchanged alone: ${lines.length} objects hold it from outside in a way that cannot be pointed elsewhere, the first being ${quoteVendorText(lines[0] ?? '')}. Nothing was touched.`,
    fix: extension
      ? 'Move extensions out of it (ALTER EXTENSION … SET SCHEMA extensions), in the database in use and before the next backup; or restore the whole database in place (mode replace).'
      : 'Remove or rewrite what the details list, restore the whole database in place (mode replace), or take what you need from a copy beside.',
    details: { held: lines.slice(0, shown), more: Math.max(0, lines.length - shown) },
  });
}

export type Look = { existed: boolean; references: References; catalog: Catalog };

/** The schema in one database, with what points into it. */
export async function lookAtSchema(client: Client, schema: string): Promise<Look> {
  await client.query("select pg_catalog.set_config('search_path', '', false)");
  const catalog = await readCatalog(portOf(client));
  return { existed: catalog.schemas.some(({ name }) => name === schema), references: await readReferences(client, schema), catalog };
}

/** All of the above, before the backup is restored beside: the answer of the review may be another by then. */
export async function requireExchangeable(
  place: DatabasePlace,
  database: string,
  contents: DatabaseContents,
  schema: string,
): Promise<void> {
  requireSchema(contents, schema);
  const { references } = await insideOf(place, { key: 'capstan restore plan' }, database, (client) => lookAtSchema(client, schema));
  requireMovable(schema, references);
}
