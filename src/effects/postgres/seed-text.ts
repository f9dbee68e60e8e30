/** What a seed file holds: every statement parsed and classed before one of them runs. */
import { AppError } from '../../errors.ts';
import { parseSql } from './parse-sql.ts';
import { refusedClasses } from './statement-classes.ts';
import { isNode, type Node } from './tree.ts';

/** Characters; the parser keeps about twenty times as much in memory. */
export const maxSeedLength = 4 * 1024 * 1024;

export type SeedText = { statements: number; classes: { class: string; count: number }[] };

/** What is refused in one statement of a model but is usual in a seed, which a person reads and approves as a whole. */
const usual = new Set(['DoStmt', 'CallStmt', 'LockStmt', 'PrepareStmt', 'ExecuteStmt', 'DeallocateStmt']);
/** Settings that decide who one is; everything else that a seed sets ends with its session. */
const identity = /^(role|session_authorization|transaction.*|default_transaction.*|statement_timeout)$/;

/** Throws SQL_SYNTAX, SEED_EMPTY and SEED_REFUSED with the number of the statement. */
export async function readSeed(text: string): Promise<SeedText> {
  const { statements } = await parseSql(text, maxSeedLength);
  if (statements.length === 0)
    throw new AppError('SEED_EMPTY', { message: 'There is no statement in the seed file.', fix: 'Check that it is the file you mean.' });
  const counts = new Map<string, number>();
  for (const [index, statement] of statements.entries()) {
    const [kind = ''] = Object.keys(statement);
    const node = isNode(statement[kind]) ? statement[kind] : {};
    requireAllowed(kind, node, index + 1);
    const word = kind
      .replace(/Stmt$/, '')
      .replace(/([a-z])([A-Z])/g, '$1 $2')
      .toUpperCase();
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const classes = [...counts]
    .map(([name, count]) => ({ class: name, count }))
    .sort((a, b) => b.count - a.count || (a.class < b.class ? -1 : 1));
  return { statements: statements.length, classes };
}

function requireAllowed(kind: string, node: Node, place: number): void {
  if (usual.has(kind)) return;
  if (kind === 'VariableSetStmt' && !identity.test(String(node['name'] ?? 'transaction'))) return;
  const refusal = refusedClasses(kind, node);
  if (refusal === undefined) return;
  throw new AppError('SEED_REFUSED', {
    message: `Statement ${place} of the seed file is ${refusal.what}, which is refused, since ${refusal.why}.`,
    fix: 'Leave it out: the whole file runs as one transaction of its own. Rows go in by INSERT.',
    details: { statement: place },
  });
}
