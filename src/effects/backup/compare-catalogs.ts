/** Two catalogs object by object; every difference is one sentence. Pure. What is measured, and roles of the server, are not compared. */
import type { Catalog } from '../../catalog/model.ts';
import { asBefore17 } from './repair-access.ts';

type Named = Record<string, unknown>;

const identityOf: { [S in Exclude<keyof Catalog, 'server' | 'roles'>]: (row: Named) => string } = {
  schemas: (row) => `schema ${row['name']}`,
  relations: (row) => `${row['kind']} ${row['schema']}.${row['name']}`,
  routines: (row) => `${row['kind']} ${row['schema']}.${row['name']}(${row['identityArguments']})`,
  types: (row) => `type ${row['schema']}.${row['name']}`,
  sequences: (row) => `sequence ${row['schema']}.${row['name']}`,
  extensions: (row) => `extension ${row['name']}`,
  publications: (row) => `publication ${row['name']}`,
  defaultPrivileges: (row) => `default privileges of ${row['role']} in ${row['schema'] ?? 'every schema'} on ${row['on']}`,
  eventTriggers: (row) => `event trigger ${row['name']}`,
  others: (row) => `${row['kind']} ${row['identity']}`,
};

// Figures of use, and what is offered rather than installed.
const ignored = new Set(['measured', 'available']);
/** Each major brings its extensions in versions of its own; a restore says so beforehand. */
const ignoredAcrossMajors = new Set([...ignored, 'version']);

/** `expected` is the one that was backed up. */
export function compareCatalogs(expected: Catalog, foundNow: Catalog): { objects: number; differences: string[] } {
  const found = asBefore17(foundNow, expected);
  const ofServer =
    Math.trunc(expected.server.version / 10_000) === Math.trunc(found.server.version / 10_000) ? ignored : ignoredAcrossMajors;
  const differences: string[] = [];
  let objects = 0;
  for (const [section, identity] of Object.entries(identityOf)) {
    const key = section as keyof typeof identityOf; // the keys of the table above
    const [before, after] = [indexed(expected[key], identity), indexed(found[key], identity)];
    objects += before.size;
    for (const [name, row] of before) {
      const other = after.get(name);
      if (!other) differences.push(`${name} is missing`);
      else differences.push(...fieldsThatDiffer(row, other, ofServer).map((field) => `${name}: ${field} differs`));
    }
    for (const name of after.keys()) if (!before.has(name)) differences.push(`${name} is there and was not`);
  }
  return { objects, differences };
}

function indexed(rows: readonly object[], identity: (row: Named) => string): Map<string, Named> {
  return new Map(rows.map((row) => [identity({ ...row }), { ...row }]));
}

function fieldsThatDiffer(a: Named, b: Named, without: ReadonlySet<string>): string[] {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter(
    (field) => !without.has(field) && canonical(a[field]) !== canonical(b[field]),
  );
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined';
  return `{${Object.entries(value)
    .filter(([name, inner]) => !ignored.has(name) && inner !== undefined)
    .sort(([x], [y]) => (x < y ? -1 : 1))
    .map(([name, inner]) => `${JSON.stringify(name)}:${canonical(inner)}`)
    .join(',')}}`;
}
