/**
 * A schema as a Markdown document. Pure. Invariants:
 * 1. Names and texts from the database stand in code spans or quotes, in one line each, with what Markdown or HTML would read escaped:
 *    no name can start a heading, a link, a picture or an instruction of its own.
 * 2. The same catalog makes the same document.
 */
import { cut, typeLine } from './lines.ts';
import { isManaged } from './managed.ts';
import type { Catalog, Column, Relation, Routine } from './model.ts';
import { quoted, written } from './names.ts';

export type DescribeOptions = { schemas?: readonly string[] | undefined };

/** Every schema that Supabase does not manage, or the named ones. */
export function describeCatalog(catalog: Catalog, { schemas }: DescribeOptions = {}): string {
  const wanted = catalog.schemas.filter(({ name }) => (schemas === undefined ? !isManaged(name) : schemas.includes(name)));
  const sections = wanted.map((schema) => schemaSection(catalog, schema.name));
  const major = Math.floor(catalog.server.version / 10_000);
  return `${['# Database schema', `Database ${code(catalog.server.database)}, Postgres ${major}.`, ...sections].join('\n\n')}\n`;
}

function schemaSection(catalog: Catalog, schema: string): string {
  const inside = <T extends { schema: string }>(items: readonly T[]): T[] => items.filter((item) => item.schema === schema);
  const relations = inside(catalog.relations).filter(({ partition }) => partition === undefined);
  const types = inside(catalog.types);
  const routines = inside(catalog.routines);
  const comment = catalog.schemas.find(({ name }) => name === schema)?.comment;
  return [
    `## Schema ${code(schema)}`,
    ...(comment === undefined ? [] : [quote(comment)]),
    ...relations.map(relationSection),
    ...(types.length === 0
      ? []
      : ['### Types', types.map((type) => `- ${code(JSON.stringify(typeLine({ ...type, comment: '' })))}`).join('\n')]),
    ...(routines.length === 0 ? [] : ['### Functions', routines.map(routineItem).join('\n')]),
    ...(relations.length + types.length + routines.length === 0 ? ['Nothing is in it.'] : []),
  ].join('\n\n');
}

const titles: Record<Relation['kind'], string> = {
  table: 'Table',
  partitionedTable: 'Partitioned table',
  foreignTable: 'Foreign table',
  view: 'View',
  materializedView: 'Materialized view',
};

function relationSection(relation: Relation): string {
  const { kind, comment, rowSecurity, policies, indexes, triggers, constraints, definition, partitionKey } = relation;
  const rest = constraints.filter((each) => each.kind !== 'primaryKey' && each.kind !== 'foreignKey');
  const list = (title: string, items: readonly string[]) =>
    items.length === 0 ? [] : [`${title}:\n${items.map((item) => `- ${item}`).join('\n')}`];
  const isData = kind === 'table' || kind === 'partitionedTable';
  return [
    `### ${titles[kind]} ${code(relation.name)}`,
    ...(comment === undefined ? [] : [quote(comment)]),
    columnTable(relation),
    ...(partitionKey === undefined ? [] : [`Partitioned by ${code(partitionKey)}.`]),
    ...(isData ? [`Row level security is ${rowSecurity === 'off' ? '**off**' : rowSecurity}.`] : []),
    ...list(
      'Policies',
      policies.map(
        ({ name, command, roles, using, check, permissive }) =>
          `${code(name)}: ${permissive ? '' : 'restrictive, '}${command} for ${roles.map(code).join(', ')}` +
          `${using === undefined ? '' : `, using ${code(using)}`}${check === undefined ? '' : `, check ${code(check)}`}`,
      ),
    ),
    ...list(
      'Constraints',
      rest.map(({ name, definition: text }) => `${code(name)}: ${code(text)}`),
    ),
    ...list(
      'Indexes',
      indexes.map(({ definition: text, valid }) => `${code(text)}${valid ? '' : ' (**not valid**)'}`),
    ),
    ...list(
      'Triggers',
      triggers.map(({ definition: text, mode }) => `${code(text)}${mode === 'disabled' ? ' (disabled)' : ''}`),
    ),
    ...(definition === undefined ? [] : [`Query: ${code(definition)}`]),
  ].join('\n\n');
}

function columnTable(relation: Relation): string {
  const rows = relation.columns.map(
    (column) => `| ${[code(column.name), code(column.type), marks(column, relation), cell(column.comment)].join(' | ')} |`,
  );
  return ['| column | type | | comment |', '|---|---|---|---|', ...rows].join('\n');
}

function marks({ name, notNull, default: initial, identity, generated }: Column, { constraints }: Relation): string {
  const keys = constraints.filter(({ columns }) => columns.includes(name));
  const references = keys.flatMap((key) =>
    key.kind === 'foreignKey' && key.references
      ? [`references ${code(`${written(key.references)} (${key.references.columns.map(quoted).join(', ')})`)}`]
      : [],
  );
  return [
    ...(keys.some(({ kind }) => kind === 'primaryKey') ? ['primary key'] : notNull ? ['not null'] : []),
    ...(identity === undefined ? [] : ['identity']),
    ...(generated === undefined ? [] : [`generated ${code(generated)}`]),
    ...(initial === undefined ? [] : [`default ${code(initial)}`]),
    ...references,
  ].join(', ');
}

function routineItem(routine: Routine): string {
  const { kind, result, language, securityDefiner, comment } = routine;
  const returns = result === undefined ? '' : `, returns ${code(result)}`;
  const text = comment === undefined ? '' : `: ${cell(comment)}`;
  return `- ${kind} ${code(`${routine.name}(${routine.arguments})`)}${returns}, ${code(language)}${securityDefiner ? ', **security definer**' : ''}${text}`;
}

/** In one line, within more backticks than it holds; a bar would end a cell of a table. */
function code(text: string): string {
  const line = oneLine(cut(text, 4_000)).replaceAll('|', '\\|');
  const longest = Math.max(0, ...[...line.matchAll(/`+/g)].map(([run]) => run.length));
  const ticks = '`'.repeat(longest + 1);
  return longest === 0 ? `\`${line}\`` : `${ticks} ${line} ${ticks}`;
}

function cell(text: string | undefined): string {
  return text === undefined ? '' : escaped(cut(text, 500));
}

function quote(text: string): string {
  return `> ${escaped(cut(text, 2_000))}`;
}

/** What Markdown and HTML would read, spelled as characters. */
function escaped(text: string): string {
  return oneLine(text).replaceAll(/[\\`*_{}[\]()#+!|<>~&]|https?:/g, (found) =>
    found.length > 1 ? found.replace(':', '\\:') : `\\${found}`,
  );
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
