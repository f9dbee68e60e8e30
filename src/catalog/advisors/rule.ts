/** What a lint is. Names that Supabase’s own advisors (splinter) use are used for the same thing; the others are ours. Pure. */
import { isManaged } from '../managed.ts';
import type { Catalog, Grant, Relation, Routine } from '../model.ts';

export type Level = 'ERROR' | 'WARN' | 'INFO';
export type Category = 'SECURITY' | 'PERFORMANCE';

/** One object that a lint is about; `on` and `detail` hold names from outside, so they are shown as data only. */
export type Hit = { on: string; detail?: string };

export type Lint = {
  name: string;
  level: Level;
  category: Category;
  /** What it means and what to do: sentences of ours. */
  say: string;
  fix: string;
  find(catalog: Catalog): Hit[];
};

/** The schema that PostgREST serves in every Supabase. */
export const apiSchema = 'public';
/** The roles of a visitor and of a signed-in user. */
export const apiRoles = ['anon', 'authenticated'] as const;

export function userRelations({ relations }: Catalog): Relation[] {
  return relations.filter(({ schema }) => !isManaged(schema));
}

export function userRoutines({ routines }: Catalog): Routine[] {
  return routines.filter(({ schema }) => !isManaged(schema));
}

export function isTable({ kind }: Relation): boolean {
  return kind === 'table' || kind === 'partitionedTable';
}

/** True when a visitor or a signed-in user holds one of the privileges, by name or because everybody does. */
export function servedTo(grants: readonly Grant[], privileges: readonly string[]): boolean {
  return grants.some(
    ({ to, privileges: held }) =>
      (to === 'public' || apiRoles.some((role) => role === to)) && held.some((each) => privileges.includes(each)),
  );
}

/** In the served schema and within reach of the API's roles. */
export function isServed({ schema, grants, columns }: Relation): boolean {
  const data = ['SELECT', 'INSERT', 'UPDATE', 'DELETE'];
  return schema === apiSchema && (servedTo(grants, data) || columns.some((column) => servedTo(column.grants, data)));
}
