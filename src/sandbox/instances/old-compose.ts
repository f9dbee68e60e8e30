/** The compose file and the gateway's file as the templates of 2025 had them, made from the current ones. Pure. */

const replaced: readonly [RegExp, string][] = [
  [/supabase\/postgres:17[\w.]*/g, 'supabase/postgres:15.8.1.060'],
  [/kong\/kong:3[\w.]*/g, 'kong:2.8.1'],
  [/supabase\/gotrue:v[\w.]*/g, 'supabase/gotrue:v2.174.0'],
  [/postgrest\/postgrest:v[\w.]*/g, 'postgrest/postgrest:v12.2.12'],
  // One key for everything, and none for meta: what came later did not exist.
  [/^.*\$\{PG_META_CRYPTO_KEY\}\n/gm, ''],
  [/^( *)LOGFLARE_PUBLIC_ACCESS_TOKEN: .*\n(?: *LOGFLARE_PRIVATE_ACCESS_TOKEN: .*\n)?/gm, `$1LOGFLARE_API_KEY: \${LOGFLARE_API_KEY}\n`],
  [/^.*\$\{S3_PROTOCOL_ACCESS_KEY_(ID|SECRET)\}\n/gm, ''],
  [/\$\{(STORAGE_TENANT_ID|REGION|GLOBAL_S3_BUCKET)\}/g, 'stub'],
  // Fixed names and published ports: a second instance collides with the first.
  [/^ {2}(\w+):\n {4}<<: \*restart\n/gm, `  $1:\n    <<: *restart\n    container_name: \${CONTAINER_PREFIX}-$1\n`],
  [/^ {4}# Not published.*\n {4}expose:\n {6}- "5432"\n {6}- "6543"\n/m, `    ports:\n      - \${POSTGRES_PORT}:5432\n      - 6543:6543\n`],
];

export function oldCompose(current: string): string {
  return replaced.reduce((text, [find, put]) => text.replace(find, put), current);
}

/** Realtime was called by a host whose first label is the seeded tenant. */
export function oldKong(current: string): string {
  return current.replace('http://realtime:4000/socket', 'http://realtime-dev.supabase-realtime:4000/socket');
}
