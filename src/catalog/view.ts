/** Which part of a catalog a question asks for, page by page. Pure. */
import { z } from 'zod';
import { AppError } from '../errors.ts';
import { type Kind, type Line, linesOf, relationLines, routineLines, typeLine } from './lines.ts';
import { isManaged } from './managed.ts';
import type { Catalog, ObjectName } from './model.ts';
import { quoted, readings, written } from './names.ts';

export type SchemaQuestion = {
  /** Default: every schema that Supabase does not manage. */
  schema?: string | undefined;
  /** One table, view, function or type, whole. */
  object?: string | undefined;
  /** Default: tables and views, compact. */
  kind?: Kind | undefined;
};

/** Throws SCHEMA_UNKNOWN and OBJECT_UNKNOWN, naming what is near. */
export function linesFor(catalog: Catalog, { schema, object, kind = 'tables' }: SchemaQuestion): Line[] {
  if (schema !== undefined) requireSchemas(catalog, [schema]);
  const has = (name: string) => (schema === undefined ? !isManaged(name) : name === schema);
  if (object === undefined) return linesOf(kind, { catalog, has });
  const lines = objectLines(catalog, object, schema);
  if (lines.length > 0) return lines;
  throw unknownObject(catalog, object, schema);
}

/** Throws SCHEMA_UNKNOWN for the first that is not there. */
export function requireSchemas(catalog: Catalog, schemas: readonly string[]): void {
  const missing = schemas.find((wanted) => !catalog.schemas.some(({ name }) => name === wanted));
  if (missing !== undefined) throw unknownSchema(catalog, missing);
}

function objectLines(catalog: Catalog, object: string, schema: string | undefined): Line[] {
  for (const reading of schema === undefined ? readings(object) : [{ name: object, schema }, ...readings(object)]) {
    const fits = (each: ObjectName) => each.name === reading.name && (reading.schema === undefined || each.schema === reading.schema);
    const found = [
      ...catalog.relations.filter(fits).flatMap((relation) => relationLines(relation, catalog)),
      ...catalog.routines.filter(fits).flatMap(routineLines),
      ...catalog.types.filter(fits).map(typeLine),
    ];
    if (found.length > 0) return found;
  }
  return [];
}

/** A line per schema: how much is in it, and whether Supabase keeps it for itself. */
export function schemaLines({ schemas, relations, routines, types }: Catalog): Line[] {
  return schemas.map(({ name, owner }) => {
    const inside = relations.filter(({ schema }) => schema === name);
    const views = inside.filter(({ kind }) => kind === 'view' || kind === 'materializedView').length;
    return {
      schema: quoted(name),
      owner: quoted(owner),
      tables: inside.length - views,
      ...counted('views', views),
      ...counted('functions', routines.filter(({ schema }) => schema === name).length),
      ...counted('types', types.filter(({ schema }) => schema === name).length),
      ...(isManaged(name) ? { managed: true } : {}),
    };
  });
}

const counted = (what: string, count: number): Line => (count === 0 ? {} : { [what]: count });

export type Page = { lines: Line[]; total: number; from: number; nextCursor?: string };

const cursorShape = z.tuple([z.int().min(0), z.string()]);

/**
 * As many lines as fit into the bytes, from where the cursor points; one at least. The cursor names the last line that was shown, so that
 * an object made meanwhile shifts nothing. Throws CURSOR_INVALID.
 */
export function pageOf(lines: readonly Line[], cursor: string | undefined, maxBytes: number): Page {
  const from = cursor === undefined ? 0 : startOf(lines, cursor);
  const page: Line[] = [];
  let bytes = 0;
  for (const line of lines.slice(from)) {
    bytes += Buffer.byteLength(JSON.stringify(line)) + 1;
    if (bytes > maxBytes && page.length > 0) break;
    page.push(line);
  }
  const end = from + page.length;
  const last = page.at(-1);
  const more = last !== undefined && end < lines.length;
  return { lines: page, total: lines.length, from, ...(more ? { nextCursor: toCursor(end, identityOf(last)) } : {}) };
}

/** What a line is about: its leading members up to the first that is no text. */
function identityOf(line: Line): string {
  return JSON.stringify(Object.entries(line).slice(0, 2)).slice(0, 300);
}

function toCursor(end: number, identity: string): string {
  return Buffer.from(JSON.stringify([end, identity])).toString('base64url');
}

function startOf(lines: readonly Line[], cursor: string): number {
  const parsed = cursorShape.safeParse(parseJson(Buffer.from(cursor, 'base64url').toString('utf8')));
  if (!parsed.success)
    throw new AppError('CURSOR_INVALID', {
      message: 'The cursor is none that this tool gave.',
      fix: 'Send nextCursor of the last answer as it is, with the same other arguments; or leave it out to begin anew.',
    });
  const [end, identity] = parsed.data;
  const at = lines.findIndex((line) => identityOf(line) === identity);
  return at < 0 ? end : at + 1;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unknownSchema({ schemas }: Catalog, schema: string): AppError {
  return new AppError('SCHEMA_UNKNOWN', {
    message: `There is no schema ${shown(schema)}.`,
    fix: 'Leave schema out to see which there are.',
    details: { known: schemas.slice(0, 50).map(({ name }) => name) },
  });
}

function unknownObject(catalog: Catalog, object: string, schema: string | undefined): AppError {
  const name = readings(object)[0]?.name ?? object;
  const near = [...catalog.relations, ...catalog.routines, ...catalog.types].filter((each) =>
    each.name.toLowerCase().includes(name.toLowerCase()),
  );
  return new AppError('OBJECT_UNKNOWN', {
    message: `There is no table, view, function or type ${shown(object)}${schema === undefined ? '' : ` in the schema ${shown(schema)}`}.`,
    fix: 'List the tables without object, or ask for kind functions or types; names are case-sensitive.',
    details: { near: near.slice(0, 10).map(written) },
  });
}

const shown = (text: string): string => JSON.stringify(text.slice(0, 100));
