/** Schemas that Supabase’s services and its extensions keep for themselves. */
const managed = new Set([
  'auth',
  'storage',
  'realtime',
  '_realtime',
  '_analytics',
  '_supavisor',
  'extensions',
  'graphql',
  'graphql_public',
  'vault',
  'pgsodium',
  'pgsodium_masks',
  'pgbouncer',
  'pgmq',
  'pgtle',
  'net',
  'cron',
  'etl',
  'dbdev',
  'repack',
  'supabase_functions',
  'supabase_migrations',
  'tiger',
  'tiger_data',
  'topology',
]);

export function isManaged(schema: string): boolean {
  return managed.has(schema) || schema.startsWith('_timescaledb') || schema.startsWith('timescaledb_');
}
