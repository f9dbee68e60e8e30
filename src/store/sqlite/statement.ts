/**
 * A drizzle query compiled once a process to its text, once a connection to its statement, and run by the driver itself. Drizzle's
 * own prepared form looks through its whole parameter tree on every call, which costs a hot step more than SQLite does.
 */
import { Column, is, Placeholder, sql } from 'drizzle-orm';
import type { Sqlite } from './database.ts';

type Compilable = { toSQL(): { sql: string; params: unknown[] } };
type Values = Record<string, unknown>;

export type Reading<Row> = {
  get(values?: Values): Row | undefined;
  /** For a row that is surely there; throws a TypeError otherwise. */
  one(values?: Values): Row;
  all(values?: Values): Row[];
};
export type Writing = { run(values?: Values): { changes: number } };

/** A value as it is; JSON columns get their text from `jsonText`, so that nothing is NULL and not the word null. */
export const raw = (name: string) => sql`${sql.placeholder(name)}`;

export const jsonText = (value: unknown): string | null => (value === undefined || value === null ? null : JSON.stringify(value));

/** For queries that return nothing. */
export function writing(query: Compilable): (sqlite: Sqlite) => Writing {
  const text = onFirstUse(() => compile(query));
  return (sqlite) => {
    const statement = onFirstUse(() => sqlite.prepare<unknown[], unknown>(text().sql));
    return { run: (values = {}) => statement().run(...text().bind(values)) };
  };
}

/** For queries that return rows; `columns` are those of its `select` or `returning`, in that order, and give the row its types. */
export function reading<Row>(query: Compilable & { all(): Row[] }, columns: Record<string, unknown>): (sqlite: Sqlite) => Reading<Row> {
  const text = onFirstUse(() => compile(query));
  const toRow = rowOf<Row>(columns);
  return (sqlite) => {
    const statement = onFirstUse(() => sqlite.prepare<unknown[], unknown>(text().sql).raw(true));
    const get = (values: Values = {}): Row | undefined => {
      const found = statement().get(...text().bind(values));
      return found === undefined ? undefined : toRow(found);
    };
    return {
      get,
      one(values) {
        const row = get(values);
        if (row === undefined) throw new TypeError(`no row where there must be one: ${text().sql}`);
        return row;
      },
      all: (values = {}) =>
        statement()
          .all(...text().bind(values))
          .map(toRow),
    };
  };
}

function rowOf<Row>(columns: Record<string, unknown>): (values: unknown) => Row {
  const fields = Object.entries(columns).map(([name, column]) => ({
    name,
    decode: is(column, Column) ? (value: unknown) => column.mapFromDriverValue(value) : (value: unknown) => value,
  }));
  return (values) => {
    const row: Record<string, unknown> = {};
    for (const [place, { name, decode }] of fields.entries()) {
      const value = (values as unknown[])[place]; // raw mode: an array in the order of the columns
      row[name] = value === null ? null : decode(value);
    }
    return row as Row; // these are the columns that the query's own type was made of
  };
}

function compile(query: Compilable) {
  const { sql: text, params } = query.toSQL();
  const places = params.map((param) => (is(param, Placeholder) ? { name: param.name } : { value: param }));
  const bind = (values: Values): unknown[] => places.map((place) => ('value' in place ? place.value : values[place.name as string]));
  return { sql: text, bind };
}

/** Most processes use a few of the statements only: starting one must not pay for all. */
export function onFirstUse<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
