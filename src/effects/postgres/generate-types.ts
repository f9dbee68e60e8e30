/** TypeScript types of a database, by the library behind `supabase gen types`. Loaded when first asked: it costs half a second. */
import { AppError } from '../../errors.ts';
import type { QueryPort } from './read-catalog.ts';

export type GeneratedTypes = { text: string; tables: number; views: number; functions: number };

export type TypesOptions = {
  schemas: readonly string[];
  /** Such as `14.12`; written into the types so that supabase-js knows what its server can do. */
  postgrestVersion?: string;
};

/** Throws SCHEMA_UNKNOWN for a schema that is not there, and the codes of the session. */
export async function generateTypes(port: QueryPort, { schemas, postgrestVersion }: TypesOptions): Promise<GeneratedTypes> {
  const [{ introspect }, { generateTypescript, sortGeneratorMetadata }] = await Promise.all([
    import('@supabase/postgrest-typegen/introspection'),
    import('@supabase/postgrest-typegen'),
  ]);
  const metadata = sortGeneratorMetadata(await introspect(oneAtATime(port), { includedSchemas: [...schemas] }));
  const known = new Set(metadata.schemas.map(({ name }) => name));
  const missing = schemas.filter((name) => !known.has(name));
  if (missing.length > 0)
    throw new AppError('SCHEMA_UNKNOWN', {
      message: `There is no schema ${missing.map((name) => JSON.stringify(name.slice(0, 100))).join(', ')}, or the role may not use it.`,
      fix: 'inspect_schema lists the schemas.',
    });
  const text = await generateTypescript(metadata, {
    detectOneToOneRelationships: true,
    ...(postgrestVersion === undefined ? {} : { postgrestVersion }),
  });
  return {
    text,
    tables: metadata.tables.length + metadata.foreignTables.length,
    views: metadata.views.length + metadata.materializedViews.length,
    functions: metadata.functions.length,
  };
}

/** The library asks ten things at once; a session answers one after the other. */
function oneAtATime(port: QueryPort): { query(sql: string): Promise<{ rows: Record<string, unknown>[] }> } {
  let last: Promise<unknown> = Promise.resolve();
  return {
    query(sql) {
      const answer = last.then(() => port.query(sql));
      last = answer.catch(() => undefined);
      return answer;
    },
  };
}
