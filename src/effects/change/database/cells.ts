/**
 * What a change writes inside the database beside the texts: single values, each with the one that stood there and the planned one. Pure. Invariants:
 * 1. Verifiers and sealed passwords only: no statement that is made here holds a password.
 * 2. All values are written in one transaction, which looks once more that each is as it was found (E9).
 */
import { z } from 'zod';

const values = { before: z.string().nullable(), after: z.string().nullable() };

const cell = z.discriminatedUnion('kind', [
  /** A SCRAM-SHA-256 verifier, as pg_authid keeps it. */
  z.strictObject({ kind: z.literal('role'), role: z.string(), ...values }),
  /** A size in the tenant's row of Supavisor. */
  z.strictObject({
    kind: z.literal('tenant'),
    tenant: z.string(),
    column: z.enum(['default_pool_size', 'default_max_clients']),
    ...values,
  }),
  /** The sealed password of a user of a tenant, as hexadecimal digits. */
  z.strictObject({ kind: z.literal('poolerUser'), id: z.uuid(), user: z.string(), ...values }),
]);
export type Cell = z.infer<typeof cell>;

export const databaseDocument = z.strictObject({
  /** Where Supavisor keeps its tenants; the roles belong to the whole server. */
  database: z.string(),
  cells: z.array(cell),
  /** Services whose containers must start anew to see it, where no deployment makes them anew. */
  restarts: z.array(z.string()),
});
export type DatabaseDocument = z.infer<typeof databaseDocument>;

export type CellState = 'before' | 'after' | 'foreign';

export function judgeCell({ before, after }: Cell, found: string | null): CellState {
  if (found === after) return 'after';
  return found === before ? 'before' : 'foreign';
}

/** For people; never a value that is a secret. */
export function nameOf(each: Cell): string {
  switch (each.kind) {
    case 'role':
      return `password of the role ${each.role}`;
    case 'tenant':
      return `${each.column} of the pooler’s tenant`;
    case 'poolerUser':
      return `password of the pooler’s user ${each.user}`;
    default:
      return each satisfies never;
  }
}

/** Sizes as they are, anything else masked. */
export function shownOf({ kind }: Cell, value: string | null): string {
  if (value === null) return '(none)';
  return kind === 'tenant' ? value : '(secret)';
}

/** Answers rows (cell, value), in the order of the cells; a row that is missing has no value. */
export function readCellsSql(cells: readonly Cell[]): string {
  return cells.map((each, index) => `select ${index} as cell, (${placeOf(each)}) as value`).join(' union all ');
}

function placeOf(each: Cell): string {
  switch (each.kind) {
    case 'role':
      return `select rolpassword::text from pg_catalog.pg_authid where rolname = ${literal(each.role)}`;
    case 'tenant':
      return `select ${each.column}::text from _supavisor.tenants where external_id = ${literal(each.tenant)}`;
    case 'poolerUser':
      return `select encode(db_pass_encrypted, 'hex') from _supavisor.users where id = ${literal(each.id)}`;
    default:
      return each satisfies never;
  }
}

/** Writes each value over the found one, all or none. Raises 40001 where one is no longer as it was found. */
export function writeCellsSql(writes: readonly { cell: Cell; found: string | null; wanted: string | null }[]): string {
  const cells = writes.map(({ cell: each }) => each);
  const found = writes.map((write, index) => `(${index}, ${literal(write.found)}::text)`).join(', ');
  const same = `select 1 from (${readCellsSql(cells)}) now join (values ${found}) was (cell, value) using (cell) where now.value is distinct from was.value`;
  return [
    'do $capstan$ begin',
    `if exists (${same}) then raise exception using errcode = '40001', message = 'capstan: changed meanwhile'; end if;`,
    ...writes.map(({ cell: each, wanted }) => `${assignment(each, wanted)};`),
    'end $capstan$',
  ].join('\n');
}

function assignment(each: Cell, wanted: string | null): string {
  switch (each.kind) {
    case 'role':
      return `alter role "${each.role.replaceAll('"', '""')}" password ${literal(wanted)}`;
    case 'tenant':
      return `update _supavisor.tenants set ${each.column} = ${literal(wanted)}::int, updated_at = now() where external_id = ${literal(each.tenant)}`;
    case 'poolerUser':
      return `update _supavisor.users set db_pass_encrypted = decode(${literal(wanted)}, 'hex'), updated_at = now() where id = ${literal(each.id)}`;
    default:
      return each satisfies never;
  }
}

/** In the form that no setting of the server reads differently. */
export function literal(value: string | null): string {
  return value === null ? 'null' : ` E'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}
