/** Values for rungs that carry text only: each `$n` of the statement becomes a literal, placed by the parser and not by searching the text. */
import { AppError } from '../../errors.ts';
import { parseSql } from './parse-sql.ts';
import type { SqlValue } from './session.ts';
import { walkTree } from './tree.ts';

/** Throws SQL_SYNTAX for text that does not parse, and SQL_PARAMETERS when numbers and values do not fit. */
export async function inlineValues(text: string, values: readonly SqlValue[]): Promise<string> {
  const places = await paramPlaces(text);
  const highest = Math.max(0, ...places.map(({ number }) => number));
  if (highest !== values.length)
    throw new AppError('SQL_PARAMETERS', {
      message: `The statement takes ${highest} parameters, and ${values.length} were given.`,
      fix: 'Give one value for each of $1, $2 and so on.',
    });
  if (places.length === 0) return text;
  // The parser counts bytes.
  const bytes = Buffer.from(text, 'utf8');
  const parts: Buffer[] = [];
  let from = 0;
  for (const { at, number } of places) {
    parts.push(bytes.subarray(from, at), Buffer.from(literal(values[number - 1] ?? null)));
    from = at + 1 + String(number).length;
  }
  return Buffer.concat([...parts, bytes.subarray(from)]).toString('utf8');
}

async function paramPlaces(text: string): Promise<{ at: number; number: number }[]> {
  const found: { at: number; number: number }[] = [];
  for (const statement of (await parseSql(text)).statements)
    walkTree(statement, (key, node) => {
      if (key === 'ParamRef') found.push({ at: Number(node['location'] ?? 0), number: Number(node['number']) });
    });
  return found.sort((one, other) => one.at - other.at);
}

/** Of unknown type, as a parameter would be; in the form that no setting of the server reads differently. */
function literal(value: SqlValue): string {
  if (value === null) return ' NULL ';
  return ` E'${String(value).replaceAll('\\', '\\\\').replaceAll("'", "''")}' `;
}
