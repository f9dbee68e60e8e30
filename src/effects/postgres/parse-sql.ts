/** The parser of Postgres itself, loaded when it is first needed. */
import { AppError } from '../../errors.ts';
import { quoteVendorText } from '../http/vendor-text.ts';
import { isNode, type Node } from './tree.ts';

export type ParsedSql = {
  statements: Node[];
  /** The text of each statement without what separates them. */
  texts: string[];
};

/** In characters; larger jobs are files (seeds, migrations). */
export const maxSqlLength = 100_000;

/** Throws SQL_SYNTAX for what does not parse, holds a NUL, is too long or nested too deep. */
export async function parseSql(text: string, maxLength = maxSqlLength): Promise<ParsedSql> {
  if (text.length > maxLength)
    throw syntax(`It has more than ${maxLength} characters.`, 'Put large jobs into a file: seeds and migrations take one.');
  // For the parser a text ends at NUL, for others it goes on.
  if (text.includes('\0')) throw syntax('It holds a NUL character.');
  if (text.trim() === '') return { statements: [], texts: [] };
  const { parse } = await import('libpg-query');
  const parsed: unknown = await parse(text).catch((error: unknown) => {
    // Not the parser's word but ours when its stack ends: the next text parses as ever.
    const tooDeep = error instanceof RangeError || (error instanceof Error && /memory exhausted|stack/i.test(error.message));
    throw tooDeep
      ? syntax('It is nested too deep.')
      : syntax(`The parser says ${quoteVendorText(error instanceof Error ? error.message : '')}.`);
  });
  const rows = isNode(parsed) && Array.isArray(parsed['stmts']) ? parsed['stmts'].filter(isNode) : [];
  const bytes = Buffer.from(text, 'utf8');
  const statements: Node[] = [];
  const texts: string[] = [];
  for (const row of rows) {
    if (!isNode(row['stmt'])) continue;
    const from = Number(row['stmt_location'] ?? 0);
    const length = Number(row['stmt_len'] ?? 0);
    statements.push(row['stmt']);
    texts.push(
      bytes
        .subarray(from, length === 0 ? bytes.length : from + length)
        .toString('utf8')
        .trim(),
    );
  }
  return { statements, texts };
}

function syntax(what: string, fix = 'Mend the statement and send it again.'): AppError {
  return new AppError('SQL_SYNTAX', { message: `The SQL cannot be read. ${what}`, fix });
}
