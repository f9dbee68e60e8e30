/** What is noted of a database beside its dump, from the dump's own snapshot: with it a restore is proven and the grants put right. */
import type { Client } from 'pg';
import { z } from 'zod';
import type { Catalog } from '../../catalog/model.ts';
import { readCatalog } from '../postgres/read-catalog.ts';
import type { ArchiveFigures } from './archive-tap.ts';
import { portOf } from './deps.ts';

const properties = z.object({
  owner: z.string(),
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  /** `c` libc, `i` ICU, `b` builtin (since Postgres 17). */
  provider: z.string(),
  /** Of a provider that is not libc. */
  icuLocale: z.string().nullable(),
  connectionLimit: z.number(),
  comment: z.string().nullable(),
  /** As the catalog keeps it, such as `anon=c/postgres`; null for the default. */
  acl: z.array(z.string()).nullable(),
  /** `name=value`, by role; null for all roles. */
  settings: z.array(z.object({ role: z.string().nullable(), settings: z.array(z.string()) })),
});
export type DatabaseProperties = z.infer<typeof properties>;

const sequence = z.object({ schema: z.string(), name: z.string(), value: z.string().nullable() });
const tableFigures = z.object({
  schema: z.string(),
  table: z.string(),
  rows: z.number(),
  bytes: z.number(),
  sha256: z.string(),
  copy: z.string(),
});

export const databaseContents = z.object({
  format: z.literal('capstan-database/1'),
  database: z.string(),
  properties,
  sequences: z.array(sequence),
  figures: z.object({
    known: z.boolean(),
    server: z.string(),
    tables: z.array(tableFigures),
    largeObjects: z.object({ count: z.number(), bytes: z.number(), sha256: z.string() }),
  }),
  /** Grants and owners of large objects, which the catalog leaves out. */
  largeObjects: z.array(z.object({ oid: z.string(), owner: z.string(), acl: z.array(z.string()).nullable() })),
  catalog: z.custom<Catalog>((value) => typeof value === 'object' && value !== null && 'relations' in value),
});
export type DatabaseContents = z.infer<typeof databaseContents>;
export type Observed = Omit<DatabaseContents, 'figures' | 'format'>;

/** Reads everything but the figures, inside the transaction of the session. */
export async function observe(client: Client, database: string): Promise<Observed> {
  const catalog = await readCatalog(portOf(client));
  return {
    database,
    properties: await readProperties(client),
    sequences: z
      .array(sequence)
      .parse(
        (await client.query('select schemaname as schema, sequencename as name, last_value::text as value from pg_sequences order by 1, 2'))
          .rows,
      ),
    largeObjects: (
      await client.query(
        'select oid::text, pg_get_userbyid(lomowner)::text as owner, lomacl::text[] as acl from pg_largeobject_metadata order by oid limit 100000',
      )
    ).rows,
    catalog,
  };
}

export async function readProperties(client: Client): Promise<DatabaseProperties> {
  // The column of the locale has had two names.
  const { rows } = await client.query(
    `select pg_get_userbyid(d.datdba)::text as owner, pg_encoding_to_char(d.encoding)::text as encoding, d.datcollate::text as collate, d.datctype::text as ctype,
       d.datlocprovider::text as provider, coalesce(to_jsonb(d) ->> 'daticulocale', to_jsonb(d) ->> 'datlocale') as "icuLocale",
       d.datconnlimit as "connectionLimit", shobj_description(d.oid, 'pg_database') as comment, d.datacl::text[] as acl,
       coalesce((select json_agg(json_build_object('role', case when s.setrole = 0 then null else pg_get_userbyid(s.setrole)::text end, 'settings', s.setconfig) order by s.setrole)
         from pg_db_role_setting s where s.setdatabase = d.oid), '[]') as settings
     from pg_database d where d.datname = current_database()`,
  );
  return properties.parse(rows[0]);
}

export function toContents(observed: Observed, figures: ArchiveFigures): DatabaseContents {
  return { format: 'capstan-database/1', ...observed, figures };
}
