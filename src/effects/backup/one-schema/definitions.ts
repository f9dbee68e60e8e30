/**
 * The definitions of one schema as SQL text, in two halves: what must be there before the rows, and what comes after them. Taken by
 * pg_dump from a database and written out by pg_restore, without the schema's own line: that is made by whoever runs them.
 * The text goes to a server and never to psql, whose own commands a hostile name could otherwise smuggle in.
 */

import { z } from 'zod';
import { AppError } from '../../../errors.ts';
import type { EffectContext } from '../../handler.ts';
import { startChild } from '../child.ts';
import { type DatabasePlace, libpqOf } from '../connection.ts';
import { pgClientFor } from '../programs.ts';
import { insideOf } from '../restore-document.ts';
import { identifier, literal } from '../roles.ts';
import { castsSql } from './references-sql.ts';

export type Definitions = { before: string; after: string };

const cast = z.object({ cast: z.string(), way: z.string(), comment: z.string().nullable() });

/** More text than any schema that people write by hand or by tools. */
const maxBytes = 256 * 2 ** 20;

export async function readDefinitions(ctx: EffectContext, place: DatabasePlace, database: string, schema: string): Promise<Definitions> {
  const { major, casts } = await insideOf(place, ctx, database, async (client) => {
    await client.query("select pg_catalog.set_config('search_path', '', false)");
    const version = await client.query<{ major: number }>(`select current_setting('server_version_num')::int / 10000 as major`);
    return { major: version.rows[0]?.major ?? 0, casts: z.array(cast).parse((await client.query(castsSql, [schema])).rows) };
  });
  const { dbname, ...libpq } = libpqOf(place, ctx.key, database);
  const dump = await pgClientFor('pg_dump', major);
  const archive = await outputOf(
    ctx,
    dump.file,
    ['-Fc', '--schema-only', '--strict-names', '--no-publications', '-n', identifier(schema), '--no-password', `--dbname=${dbname}`],
    undefined,
    libpq,
  );
  const { file } = await pgClientFor('pg_restore', major);
  const section = async (name: 'pre-data' | 'post-data') =>
    sqlOnly(
      (await outputOf(ctx, file, [`--section=${name}`, `--schema=${schema}`, '--no-publications', '-f', '-'], archive)).toString(),
      major,
    );
  const made = casts.flatMap((each) => [
    `CREATE ${each.cast} ${each.way};`,
    ...(each.comment === null ? [] : [`COMMENT ON ${each.cast} IS ${literal(each.comment)};`]),
  ]);
  return { before: [await section('pre-data'), ...made].join('\n'), after: await section('post-data') };
}

/** Newer programs fence their text by two lines that only psql understands, and begin with a setting that servers before 17 do not know. Pure. */
export function sqlOnly(text: string, serverMajor = Number.POSITIVE_INFINITY): string {
  const key = /^\\restrict (\S+)$/m.exec(text)?.[1];
  const open = key === undefined ? text : text.replace(`\\restrict ${key}\n`, '').replace(`\\unrestrict ${key}\n`, '');
  return serverMajor >= 17 ? open : open.replace(head, '$1');
}

/** The settings with which pg_restore begins: nothing that a person made stands before them. */
const head = /^((?:(?:--[^\n]*|SET [^\n]*;)?\n)*?)SET transaction_timeout = 0;\n/;

async function outputOf(
  ctx: EffectContext,
  file: string,
  args: string[],
  input?: Buffer,
  more: Partial<Parameters<typeof startChild>[0]> = {},
): Promise<Buffer> {
  const child = startChild({ ...more, file, args, signal: ctx.signal });
  child.stdin.end(input);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxBytes)
        throw new AppError('SCHEMA_TOO_LARGE', {
          message: 'The definitions of the schema are larger than 256 MB of text.',
          fix: 'Restore the whole database in place (mode replace), or take the schema out of the copy beside by hand.',
        });
      chunks.push(chunk);
    }
    await child.ended;
  } finally {
    child.stop();
  }
  return Buffer.concat(chunks);
}
