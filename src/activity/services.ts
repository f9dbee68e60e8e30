/**
 * Which service of a Supabase holds a connection, from what the server knows of it. Pure. A program's name is what the client says of
 * itself, so it never becomes a name of ours: whoever is not known is `application`.
 */

export const services = [
  'supavisor',
  'rest',
  'auth',
  'storage',
  'realtime',
  'analytics',
  'functions',
  'meta',
  'studio',
  'replication',
  'cron',
  'capstan',
  'supabase_admin',
  'application',
] as const;
export type Service = (typeof services)[number];

export type Holder = { role: string | null; program: string; database: string | null };

const byProgram: readonly (readonly [RegExp, Service])[] = [
  [/supavisor/i, 'supavisor'],
  [/^postgrest/i, 'rest'],
  [/^realtime/i, 'realtime'],
  [/^(postgres-?meta|pg-?meta)/i, 'meta'],
  [/logflare/i, 'analytics'],
  [/^pg_cron/i, 'cron'],
  [/^capstan/, 'capstan'],
];

/** A map, not an object: a role may be named `constructor`. */
const byRole: ReadonlyMap<string, Service> = new Map([
  ['authenticator', 'rest'],
  ['supabase_auth_admin', 'auth'],
  ['supabase_storage_admin', 'storage'],
  ['supabase_realtime_admin', 'realtime'],
  ['supabase_functions_admin', 'functions'],
  ['supabase_replication_admin', 'replication'],
  ['dashboard_user', 'studio'],
  ['pgbouncer', 'supavisor'],
]);

/** The role decides before the program where it belongs to one service; supabase_admin is shared by several. */
export function serviceOf({ role, program, database }: Holder): Service {
  const known = role === null ? undefined : byRole.get(role);
  if (known !== undefined) return known;
  const named = byProgram.find(([pattern]) => pattern.test(program))?.[1];
  if (named !== undefined) return named;
  if (role !== 'supabase_admin') return 'application';
  // Logflare and Supavisor keep their own tables in this database; Supavisor says who it is.
  return database === '_supabase' ? 'analytics' : 'supabase_admin';
}
