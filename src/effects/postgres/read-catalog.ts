/** Reads a database's catalog through anything that can query: one statement, then pure shaping. */
import { z } from 'zod';
import type { Catalog } from '../../catalog/model.ts';
import { catalogAnswer } from '../../catalog/rows.ts';
import { shapeCatalog } from '../../catalog/shape.ts';
import { AppError } from '../../errors.ts';
import { catalogSql, type SectionName, sections } from './catalog-sql.ts';
import type { QueryOptions, SqlResult, SqlValue } from './session.ts';

/** What reading needs of a session. */
export type QueryPort = {
  query<Row = Record<string, unknown>>(text: string, values?: readonly SqlValue[], options?: QueryOptions): Promise<SqlResult<Row>>;
};

/** Every section once, with every definition. */
export const wholeCatalog = Object.keys(sections).filter(
  (name): name is SectionName => name in sections && name !== 'routines' && !name.endsWith('Brief'),
);

const oldestMajor = 15;

/**
 * The named sections (default: all) as one consistent catalog; the others are empty lists. An object that is made or dropped while the
 * statement runs may be missing a definition, never another object's.
 * Throws POSTGRES_TOO_OLD, CATALOG_LOCKED, CATALOG_UNEXPECTED and the codes of the session.
 */
export async function readCatalog(port: QueryPort, names: readonly SectionName[] = wholeCatalog, options?: QueryOptions): Promise<Catalog> {
  const answer = await port
    .query<{ catalog: unknown }>(catalogSql(names), undefined, options)
    .catch((error: unknown) => explained(port, error));
  const [row] = answer.rows;
  const value = typeof row?.catalog === 'string' ? JSON.parse(row.catalog) : row?.catalog;
  const parsed = catalogAnswer.safeParse(value);
  if (parsed.success) return shapeCatalog(parsed.data);
  const [issue] = parsed.error.issues;
  throw new AppError('CATALOG_UNEXPECTED', {
    message: `The catalog holds something that Capstan does not know, at ${issue?.path.slice(0, 3).join('.') ?? 'its top'}.`,
    fix: 'Report it with the version of the database; Capstan reads Postgres 15 and newer.',
  });
}

const versionRow = z.object({ version: z.coerce.number() });

/** A catalog without what the statement reads is that of an older server; what is neither that nor a lock stays as it is. */
async function explained(port: QueryPort, error: unknown): Promise<never> {
  const sqlState = error instanceof AppError ? error.details?.['sqlState'] : undefined;
  if (sqlState === '55P03')
    throw new AppError('CATALOG_LOCKED', {
      message: 'Another session holds a lock on a table, so the definitions of the views above it cannot be read now.',
      fix: 'database_stats shows who holds it; ask again when it is gone. Lists of tables do not wait for it.',
      retry: 'later',
    });
  if (sqlState !== '42P01' && sqlState !== '42703') throw error;
  const { rows } = await port.query("select current_setting('server_version_num')::int / 10000 as version");
  const { version } = versionRow.parse(rows[0]);
  if (version >= oldestMajor) throw error;
  throw new AppError('POSTGRES_TOO_OLD', {
    message: `The database is Postgres ${version}, and Capstan reads the catalog of ${oldestMajor} and newer.`,
    fix: 'Upgrade the instance first; Supabase ends support of older majors.',
  });
}
