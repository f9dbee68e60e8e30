/**
 * A drizzle query compiled once to its text and run by the driver itself. Drizzle's own prepared form looks through its whole
 * parameter tree on every call, which costs a hot step more than SQLite does.
 */
import { Column, is, Placeholder } from 'drizzle-orm';
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

/** For queries that return nothing. */
export function writing(sqlite: Sqlite, query: Compilable): Writing {
  const compiled = onFirstUse(() => compile(sqlite, query));
  return {
    run(values = {}) {
      const { statement, bind } = compiled();
      return statement.run(...bind(values));
    },
  };
}

/** For queries that return rows; `columns` are those of its `select` or `returning`, in that order, and give the row its types. */
export function reading<Row>(sqlite: Sqlite, query: Compilable & { all(): Row[] }, columns: Record<string, unknown>): Reading<Row> {
  const compiled = onFirstUse(() => {
    const { statement, bind } = compile(sqlite, query);
    return { statement: statement.raw(true), bind };
  });
  const fields = Object.entries(columns).map(([name, column]) => ({
    name,
    decode: is(column, Column) ? (value: unknown) => column.mapFromDriverValue(value) : (value: unknown) => value,
  }));
  const toRow = (values: unknown): Row => {
    const row: Record<string, unknown> = {};
    for (const [place, { name, decode }] of fields.entries()) {
      const value = (values as unknown[])[place]; // raw mode: an array in the order of the columns
      row[name] = value === null ? null : decode(value);
    }
    return row as Row; // these are the columns that the query's own type was made of
  };
  const get = (values: Values = {}): Row | undefined => {
    const { statement, bind } = compiled();
    const found = statement.get(...bind(values));
    return found === undefined ? undefined : toRow(found);
  };
  return {
    get,
    one(values) {
      const row = get(values);
      if (row === undefined) throw new TypeError(`no row where there must be one: ${compiled().statement.source}`);
      return row;
    },
    all(values = {}) {
      const { statement, bind } = compiled();
      return statement.all(...bind(values)).map(toRow);
    },
  };
}

function compile(sqlite: Sqlite, query: Compilable) {
  const { sql, params } = query.toSQL();
  const places = params.map((param) => (is(param, Placeholder) ? { name: param.name } : { value: param }));
  const bind = (values: Values): unknown[] => places.map((place) => ('value' in place ? place.value : values[place.name as string]));
  return { statement: sqlite.prepare<unknown[], unknown>(sql), bind };
}

/** Most connections use a few of the statements only: opening one must not pay for all. */
function onFirstUse<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
