/**
 * What a statement is and whether it may run at all: the second line, behind the read-only session and its role. Invariants:
 * 1. The whole tree is walked: what hides in a CTE, a sub-select, EXPLAIN or a function call counts as much as the top.
 * 2. A class that is not known is a write. What is refused is refused before anything is sent.
 * 3. Messages quote names only, never values.
 */
import { AppError } from '../../errors.ts';
import { escapeInvisible } from '../http/vendor-text.ts';
import { isPlainSetting, whyNeverFunction, whyNotRelation } from './forbidden.ts';
import { parseSql } from './parse-sql.ts';
import { refusedClasses } from './statement-classes.ts';
import { isNode, type Node, namesOf, walkTree } from './tree.ts';

export type Named = { schema?: string; name: string };

export type Judged = {
  /** The one statement, without what stood around it. */
  text: string;
  /** select and show only look; explain runs what it explains when it says ANALYZE; write is everything else. */
  kind: 'select' | 'explain' | 'show' | 'write';
  /** What a person has to know: `DELETE from public.t`, `CREATE TABLE`, `SELECT … FOR UPDATE`. */
  classes: string[];
  relations: Named[];
  functions: Named[];
  /** The highest $n. */
  parameters: number;
};

/** Throws SQL_SYNTAX, SQL_EMPTY, SQL_SEVERAL_STATEMENTS, SQL_REFUSED. */
export async function judge(text: string): Promise<Judged> {
  const { statements, texts } = await parseSql(text);
  const [statement] = statements;
  if (statement === undefined)
    throw new AppError('SQL_EMPTY', { message: 'There is no statement in the SQL.', fix: 'Send exactly one statement.' });
  if (statements.length > 1)
    throw new AppError('SQL_SEVERAL_STATEMENTS', {
      message: `The SQL holds ${statements.length} statements, and one at a time is taken.`,
      fix: 'Send them one after the other; a file with many goes through seed_database or a migration.',
    });
  const [top = ''] = Object.keys(statement);
  const seen = look(statement, top);
  const kind = kindOf(statement, top, seen.classes);
  // VALUES and sub-selects are part of every change; beside it they say nothing.
  const telling = seen.classes.filter((each) => each !== 'SELECT');
  return { text: texts[0] ?? '', kind, ...seen, classes: telling.length > 0 ? telling : seen.classes };
}

/** Refuses what only looks but may not, and everything that may change something. Throws SQL_WRITES. */
export function requireRead(judged: Judged): void {
  if (judged.kind !== 'write') return;
  throw new AppError('SQL_WRITES', {
    message: `This statement may change something: ${judged.classes.join(', ')}.`,
    fix: 'Send it again with write: true; a person has to approve it.',
    details: { classes: judged.classes },
  });
}

function kindOf(statement: Node, top: string, classes: readonly string[]): Judged['kind'] {
  if (classes.some((each) => each !== 'SELECT' && each !== 'EXPLAIN' && each !== 'SHOW')) return 'write';
  if (top === 'VariableShowStmt') return 'show';
  if (top === 'ExplainStmt' && isNode(statement[top])) return 'explain';
  return top === 'SelectStmt' ? 'select' : 'write';
}

function look(statement: Node, top: string): Pick<Judged, 'classes' | 'relations' | 'functions' | 'parameters'> {
  const classes = new Set<string>();
  const relations: Named[] = [];
  const functions: Named[] = [];
  let parameters = 0;
  walkTree(statement, (key, node) => {
    if (/Stmt$/.test(key)) classes.add(classOf(key, node));
    if (isNode(node['intoClause'])) classes.add('SELECT INTO (creates a table)');
    if (Array.isArray(node['lockingClause']) && node['lockingClause'].length > 0) classes.add('SELECT … FOR UPDATE (locks rows)');
    if (typeof node['relname'] === 'string') relations.push(checkedRelation(node));
    if (Array.isArray(node['funcname'])) functions.push(checkedFunction(node));
    if (key === 'ParamRef') parameters = Math.max(parameters, Number(node['number'] ?? 0));
    if (key === 'VariableShowStmt') requirePlainSetting(String(node['name'] ?? ''));
  });
  if (!classes.has(classOf(top, isNode(statement[top]) ? statement[top] : {}))) classes.add(top);
  return { classes: [...classes], relations, functions, parameters };
}

function classOf(key: string, node: Node): string {
  const refusal = refusedClasses(key, node);
  if (refusal !== undefined) throw refused(refusal.what, refusal.why, refusal.fix);
  const words = key
    .replace(/Stmt$/, '')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toUpperCase();
  const label =
    key === 'VariableShowStmt'
      ? 'SHOW'
      : key === 'CreateStmt'
        ? 'CREATE TABLE'
        : key === 'IndexStmt'
          ? 'CREATE INDEX'
          : key === 'ViewStmt'
            ? 'CREATE VIEW'
            : words;
  const relation = node['relation'];
  if (!isNode(relation) || typeof relation['relname'] !== 'string' || label === 'SELECT') return label;
  return `${label} ${shown({ ...(typeof relation['schemaname'] === 'string' ? { schema: relation['schemaname'] } : {}), name: relation['relname'] })}`;
}

function checkedRelation(node: Node): Named {
  const schema = typeof node['schemaname'] === 'string' ? node['schemaname'] : undefined;
  const named = { ...(schema === undefined ? {} : { schema }), name: String(node['relname']) };
  const why = whyNotRelation(schema, named.name);
  if (why !== undefined) throw refused(`the relation ${shown(named)}`, why);
  return named;
}

function checkedFunction(node: Node): Named {
  const names = namesOf(node['funcname']);
  const name = names.at(-1) ?? '';
  const schema = names.length > 1 ? names.at(-2) : undefined;
  const named = { ...(schema === undefined ? {} : { schema }), name };
  const why = whyNeverFunction(schema, name);
  if (why !== undefined) throw refused(`the function ${shown(named)}`, why);
  if (name === 'current_setting') requirePlainSetting(firstText(node['args']));
  return named;
}

/** The first argument where it is a plain text; anything computed is none. */
function firstText(args: unknown): string | undefined {
  const first: unknown = Array.isArray(args) ? args[0] : undefined;
  const constant = isNode(first) && isNode(first['A_Const']) ? first['A_Const']['sval'] : undefined;
  return isNode(constant) && typeof constant['sval'] === 'string' ? constant['sval'] : undefined;
}

function requirePlainSetting(name: string | undefined): void {
  if (name !== undefined && name !== 'all' && isPlainSetting(name)) return;
  throw refused('a setting', 'own parameters such as app.settings.jwt_secret hold keys; the name must be a plain one, written out');
}

/** A name as a sentence may hold it. */
export function shown({ schema, name }: Named): string {
  const clean = (text: string) =>
    escapeInvisible(text)
      .replace(/[^\w.$-]/g, '?')
      .slice(0, 60);
  return schema === undefined ? clean(name) : `${clean(schema)}.${clean(name)}`;
}

/** The refusal of a statement as such. */
export function refused(what: string, why: string, fix = 'Leave it out; nothing was sent to the database.'): AppError {
  return new AppError('SQL_REFUSED', { message: `The statement uses ${what}, which is refused, since ${why}.`, fix });
}
