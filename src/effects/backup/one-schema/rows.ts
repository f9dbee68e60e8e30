/**
 * The rows of a schema from one database into another, table by table by COPY, and the proof that they arrived. Invariants:
 * 1. The text of COPY is hashed as pg_dump's archive was when the backup was made, so the same rows in the same order give the same sum.
 * 2. What is read back is what the receiving transaction holds, not what was sent.
 */
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { from, to } from 'pg-copy-streams';
import type { ObjectName } from '../../../catalog/model.ts';
import type { EffectContext } from '../../handler.ts';
import { createCounter } from '../archive-tap.ts';
import type { DatabaseContents } from '../database-contents.ts';
import { createProgress } from '../meter.ts';
import { named } from './repoint.ts';

type Table = DatabaseContents['figures']['tables'][number];
type Sequences = DatabaseContents['sequences'];

/** `COPY s.t (a, b) FROM stdin;`, as noted of the backup, without where to. */
const head = ({ copy }: Table): string => copy.replace(/\s+FROM stdin;$/i, '');

export async function copyRows(ctx: EffectContext, source: Client, sink: Client, tables: readonly Table[]): Promise<void> {
  const progress = createProgress('Bringing rows in', total(tables), ctx.now, ctx.progress);
  let bytes = 0;
  for (const table of tables) {
    const meter = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        progress(bytes);
        yield chunk;
      }
    };
    await pipeline(source.query(to(`${head(table)} TO STDOUT`)), meter, sink.query(from(`${head(table)} FROM STDIN`)), {
      signal: ctx.signal,
    });
  }
}

/** Where sequences stand is no row: it is read there and set here, with whether the value was given out. */
export async function copySequences(source: Client, sink: Client, sequences: Sequences): Promise<void> {
  for (const sequence of sequences) {
    const { rows } = await source.query<{ value: string; given: boolean }>(
      `select last_value::text as value, is_called as given from ${named(sequence)}`,
    );
    await sink.query('select pg_catalog.setval($1::regclass, $2::bigint, $3::boolean)', [named(sequence), rows[0]?.value, rows[0]?.given]);
  }
}

/** A dump of definitions leaves materialized views empty. They were made in the order of their dependencies, so they fill in that order. */
export async function refreshViews(source: Client, sink: Client, schema: string): Promise<void> {
  const views = `select n.nspname as schema, c.relname as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = $1 and c.relkind = 'm'`;
  const filled = await source.query<ObjectName>(`${views} and c.relispopulated`, [schema]);
  const names = new Set(filled.rows.map(named));
  const made = await sink.query<ObjectName>(`${views} order by c.oid`, [schema]);
  for (const view of made.rows.map(named)) if (names.has(view)) await sink.query(`refresh materialized view ${view}`);
}

/** One sentence for each table and sequence that is not as noted. */
export async function rowsThatDiffer(
  ctx: EffectContext,
  client: Client,
  tables: readonly Table[],
  sequences: Sequences,
): Promise<string[]> {
  const progress = createProgress('Comparing rows', total(tables), ctx.now, ctx.progress);
  const differences: string[] = [];
  let bytes = 0;
  for (const table of tables) {
    const counter = createCounter();
    const sum = new Writable({
      write(chunk: Buffer, _encoding, done) {
        counter.add(chunk, 0, chunk.length);
        bytes += chunk.length;
        progress(bytes);
        done();
      },
    });
    await pipeline(client.query(to(`${head(table)} TO STDOUT`)), sum, { signal: ctx.signal });
    const found = counter.end();
    const name = `${table.schema}.${table.table}`;
    if (found.rows !== table.rows) differences.push(`${name} has ${found.rows} rows and had ${table.rows}`);
    else if (found.sha256 !== table.sha256) differences.push(`rows of ${name} differ`);
  }
  const { rows } = await client.query<{ schema: string; name: string; value: string | null }>(
    'select schemaname as schema, sequencename as name, last_value::text as value from pg_catalog.pg_sequences',
  );
  const values = new Map(rows.map((row) => [named(row), row.value]));
  for (const sequence of sequences)
    if (values.get(named(sequence)) !== sequence.value) differences.push(`sequence ${sequence.schema}.${sequence.name} stands elsewhere`);
  return differences;
}

const total = (tables: readonly Table[]): number => tables.reduce((sum, { bytes }) => sum + bytes, 0);
