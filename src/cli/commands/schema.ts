import { type Kind, kinds, legend } from '../../catalog/lines.ts';
import { usage } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { indented } from '../render.ts';

const text = (valueHint: string, description: string) => ({ type: 'string', valueHint, description }) as const;

export const schema = command(
  'schema',
  'Look at the schema of a database: its tables with columns and keys, or one object whole',
  {
    target: { ...text('NAME', 'A registered target'), required: true },
    schema: text('SCHEMA', 'Default: every schema that Supabase does not manage'),
    object: text('NAME', 'One table, view, function or type, whole'),
    kind: text('KIND', `One of: ${kinds.join(', ')}. Default: tables`),
  },
  async ({ target, schema: wanted, object, kind }) => {
    if (kind !== undefined && !isKind(kind)) throw usage('capstan schema', `--kind is one of: ${kinds.join(', ')}.`);
    const answer = await withApp((app) => app.database.inspectSchema(target, { schema: wanted, object, kind }));
    const { via, schemas, lines } = answer;
    const told = [
      ...(schemas.length === 0 ? [] : ['Schemas', ...schemas.map(line), '']),
      ...(lines.length === 0 ? ['(nothing)'] : object === undefined ? lines.map(line) : lines.map((each) => indented(each).trim())),
      ...(object === undefined && (kind ?? 'tables') === 'tables' ? ['', `(${legend})`] : []),
      `(Postgres ${via.postgres}, by ${via.rung} as ${via.role})`,
    ];
    return { exit: exitCodes.ok, json: answer, text: told.join('\n') };
  },
);

function isKind(kind: string): kind is Kind {
  return kinds.some((known) => known === kind);
}

/** `table public.orders  columns …  rows 12`. */
function line(row: Record<string, unknown>): string {
  return Object.entries(row)
    .map(([key, value]) => `${key} ${typeof value === 'string' ? value.replaceAll('\n', '\\n') : JSON.stringify(value)}`)
    .join('  ');
}
