/**
 * Views of a backup in the words of another server. A newer major writes the same query differently (16 leaves out qualifiers that are not
 * needed), so that two texts of two majors say nothing of two queries; the words of one server for both do. Invariants:
 * 1. Nothing stays: each view is made for the moment, in a transaction that is taken back.
 * 2. A text that the server does not take stays as it is, and so does the difference.
 */
import type { Client } from 'pg';
import type { Catalog, Relation } from '../../catalog/model.ts';
import { identifier } from './roles.ts';

const majorOf = ({ server }: Catalog) => Math.trunc(server.version / 10_000);

/** `expected`, its views told as the server of the session tells them; unchanged where both are of one major. */
export async function retellViews(client: Client, expected: Catalog, found: Catalog): Promise<Catalog> {
  if (majorOf(expected) === majorOf(found)) return expected;
  const now = new Map(found.relations.map((row) => [keyOf(row), row.definition]));
  const relations: Relation[] = [];
  for (const row of expected.relations)
    relations.push(
      row.definition === undefined || now.get(keyOf(row)) === row.definition ? row : { ...row, definition: await retold(client, row) },
    );
  return { ...expected, relations };
}

const keyOf = ({ schema, name }: Relation) => JSON.stringify([schema, name]);

async function retold(client: Client, { definition = '', columns }: Relation): Promise<string> {
  await client.query('begin');
  try {
    await client.query(`set local search_path to ''`);
    const names = columns.map(({ name }) => identifier(name)).join(', ');
    // One statement and no more, whatever the text is; the driver knows queryMode, its types do not.
    const asked = { text: `create temporary view capstan_retold (${names}) as ${definition}`, queryMode: 'extended' };
    await client.query(asked);
    const { rows } = await client.query<{ text: string }>(`select pg_get_viewdef('pg_temp.capstan_retold'::regclass) as text`);
    return rows[0]?.text ?? definition;
  } catch {
    return definition;
  } finally {
    await client.query('rollback');
  }
}
