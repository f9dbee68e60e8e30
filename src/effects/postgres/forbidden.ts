/**
 * Names that somebody else's SQL may not use, and why. A role that reads all data also reads password verifiers: `pg_read_all_data` opens
 * pg_authid and the statistics about it, and READ ONLY stops neither sessions being ended nor, before Postgres 17, large objects (tried). Pure.
 */

/** Schemas that hold keys of the instance. */
const secretSchemas = new Set(['vault', 'pgsodium', 'pgsodium_masks', '_supavisor', '_realtime']);

/** Relations with password verifiers, keys, logins of other servers, or samples of them. */
const secretRelations = new Set([
  'pg_authid',
  'pg_shadow',
  'pg_user_mapping',
  'pg_user_mappings',
  '_pg_user_mappings',
  'user_mapping_options',
  'pg_subscription',
  'pg_statistic',
  'pg_statistic_ext_data',
  'pg_stats',
  'pg_stats_ext',
  'pg_stats_ext_exprs',
  'pg_db_role_setting',
  'pg_hba_file_rules',
  'pg_ident_file_mappings',
  'pg_file_settings',
  'pg_largeobject',
  'decrypted_secrets',
]);

/** Why a relation may not be named, or undefined. */
export function whyNotRelation(schema: string | undefined, name: string): string | undefined {
  if (schema !== undefined && secretSchemas.has(schema)) return `the schema ${schema} holds keys of the instance`;
  if (secretRelations.has(name)) return `${name} holds passwords, keys or samples of them`;
  return undefined;
}

const anywhere: readonly [RegExp, string][] = [
  [/^(query|cursor|table|schema|database)_to_xml/, 'it runs SQL that stands in a text'],
  [
    /^(xpath_table|crosstab\w*|connectby|ts_stat|pg_partman\w*|run_maintenance|execute_sql|exec_sql|exec)$/,
    'it runs SQL that stands in a text',
  ],
  [/^dblink/, 'it opens a connection of its own'],
  [/^(http|http_\w+|urlencode_http|net_http_\w+)$/, 'it speaks to other hosts'],
  [/^(lo_\w+|loread|lowrite)$/, 'it reads or writes large objects and files'],
  [/^pg_(read|ls|stat)_(file|binary_file|dir|\w*dir)$/, 'it reads files of the server'],
  [
    /^pg_(read_file_all|read_binary_file_all|read_file_off_len|file_\w+|logdir_ls|logfile_rotate|current_logfile|rotate_logfile\w*)$/,
    'it reads or writes files of the server',
  ],
  [
    /^pg_(terminate_backend|cancel_backend|reload_conf|promote|log_backend_memory_contexts)$/,
    'it acts on the server or on sessions of others',
  ],
  [
    /^pg_(switch_wal|create_restore_point|backup_\w+|start_backup|stop_backup|wal_replay_\w+|import_system_collations)$/,
    'it acts on the whole server',
  ],
  [
    /^pg_(create|drop|copy|replication|logical|sync_replication)_\w*(slot|origin|emit|changes|advance|xact|setup|reset|session|progress)\w*$/,
    'it acts on replication',
  ],
  [/^pg_(show_all_file_settings|hba_file_rules|ident_file_mappings|config)$/, 'it reads the configuration of the server'],
  [/^set_config$/, 'it changes settings of the session, such as its role'],
  [/^(crypto_|_crypto_|create_secret|update_secret|decrypt_\w*secret|pgsodium_|get_key_by|derive_key)/, 'it handles keys of the instance'],
];

/** Why a function may not be called, even with a person's yes, or undefined. */
export function whyNeverFunction(schema: string | undefined, name: string): string | undefined {
  if (schema !== undefined && (secretSchemas.has(schema) || schema === 'net')) return `the schema ${schema} acts on keys or on other hosts`;
  return anywhere.find(([pattern]) => pattern.test(name))?.[1];
}

/** Functions that Postgres calls volatile and that only look, or only take time. */
const harmless = new Set([
  'random',
  'random_normal',
  'clock_timestamp',
  'timeofday',
  'gen_random_uuid',
  'uuid_generate_v1',
  'uuid_generate_v1mc',
  'uuid_generate_v4',
  'gen_random_bytes',
  'gen_salt',
  'pg_sleep',
  'pg_sleep_for',
  'pg_sleep_until',
  'pg_database_size',
  'pg_relation_size',
  'pg_table_size',
  'pg_indexes_size',
  'pg_total_relation_size',
  'pg_tablespace_size',
  'pg_column_size',
  'pg_blocking_pids',
  'pg_safe_snapshot_blocking_pids',
  'pg_is_in_recovery',
  'pg_current_wal_lsn',
  'pg_current_wal_insert_lsn',
  'pg_last_wal_receive_lsn',
  'pg_last_wal_replay_lsn',
  'pg_last_xact_replay_timestamp',
  'pg_lock_status',
  'pg_stat_statements',
  'pg_stat_statements_info',
  'currval',
  'lastval',
  'pg_notification_queue_usage',
  'pg_get_wal_replay_pause_state',
  'txid_status',
  'pg_xact_status',
]);

/** True for a volatile function that a reading session may call. */
export function isHarmless(name: string): boolean {
  return harmless.has(name);
}

/** True for a setting whose value is no secret: no own parameter such as app.settings.jwt_secret. */
export function isPlainSetting(name: string): boolean {
  return /^[a-z_]{1,63}$/i.test(name) || /^request\.[a-z_.]{1,63}$/.test(name);
}

/** Words that make the text of a function or view a way around the lists above. */
export const secretWords =
  /\b(pg_authid|pg_shadow|rolpassword|pg_user_mapping|umoptions|decrypted_secrets|pg_statistic|subconninfo|pg_db_role_setting|vault\.|pgsodium\.|_supavisor\.|_realtime\.|app\.settings)/i;
