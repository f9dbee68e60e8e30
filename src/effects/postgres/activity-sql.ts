/**
 * What a server is doing now, as constant statements of one JSON value each. They only read; what the role may not see comes as null, and
 * `complete` says whether anything was kept from it.
 */

/** One row per role, program, database and state. max_connections counts client backends alone. */
export const connectionsSql = `
select json_build_object(
  'complete', pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage'),
  'maxConnections', current_setting('max_connections')::int,
  'reserved', current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true), '0')::int,
  'groups', coalesce((select json_agg(g) from (
    select a.usename as role, coalesce(left(a.application_name, 100), '') as program, a.datname as database, a.state,
      count(*)::int as count,
      max(extract(epoch from now() - a.state_change))::int as "longestInStateSeconds",
      max(extract(epoch from now() - a.xact_start))::int as "longestTransactionSeconds",
      bool_or(a.pid = pg_catalog.pg_backend_pid()) as "isOurs"
    from pg_catalog.pg_stat_activity a where a.backend_type = 'client backend'
    group by a.usename, 2, a.datname, a.state) g), '[]'::json)) as answer`;

/** Supavisor keeps its tenants in its own database; in any other one the first of these two answers false. */
export const hasPoolerSql = "select pg_catalog.to_regclass('_supavisor.tenants') is not null as answer";
export const poolerSql = `
select json_build_object('poolSize', max(t.default_pool_size), 'maxClients', max(t.default_max_clients), 'users', (select count(*) from _supavisor.users), 'tenants', count(*)) as answer
from _supavisor.tenants t`;

/**
 * `exact` asks for sizes as they are now, which waits for a lock on each table; else they are those of the last vacuum or analyze, and
 * nothing waits: whoever looks into a jam must not stand in it.
 */
export function statisticsSql(exact: boolean): string {
  const pages = (id: string) =>
    `(select k.relpages::bigint * current_setting('block_size')::bigint from pg_catalog.pg_class k where k.oid = ${id})`;
  const indexPages = `(select coalesce(sum(k.relpages), 0)::bigint * current_setting('block_size')::bigint
      from pg_catalog.pg_index i join pg_catalog.pg_class k on k.oid = i.indexrelid where i.indrelid = c.oid)`;
  const heap = exact ? 'pg_catalog.pg_relation_size(c.oid)' : pages('c.oid');
  const indexes = exact ? 'pg_catalog.pg_indexes_size(c.oid)' : indexPages;
  const total = exact ? 'pg_catalog.pg_total_relation_size(c.oid)' : `(${heap} + ${indexes} + coalesce(${pages('c.reltoastrelid')}, 0))`;
  return `
select json_build_object(
  'exact', ${exact},
  'complete', pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage'),
  'statements', (select n.nspname from pg_catalog.pg_extension x join pg_catalog.pg_namespace n on n.oid = x.extnamespace where x.extname = 'pg_stat_statements'),
  'database', (select json_build_object('name', d.datname, 'bytes', pg_catalog.pg_database_size(d.datname), 'commits', s.xact_commit, 'rollbacks', s.xact_rollback,
      'blocksHit', s.blks_hit, 'blocksRead', s.blks_read, 'deadlocks', s.deadlocks, 'temporaryBytes', s.temp_bytes, 'statisticsSince', s.stats_reset,
      'transactionAge', pg_catalog.age(d.datfrozenxid))
    from pg_catalog.pg_database d join pg_catalog.pg_stat_database s on s.datid = d.oid where d.datname = current_database()),
  'indexes', (select json_build_object('blocksHit', sum(idx_blks_hit), 'blocksRead', sum(idx_blks_read)) from pg_catalog.pg_statio_user_indexes),
  'tables', coalesce((select json_agg(t) from (
    select n.nspname as schema, c.relname as name, ${total} as bytes, ${heap} as "heapBytes",
      ${indexes} as "indexBytes", greatest(c.reltuples::bigint, s.n_live_tup) as rows, s.n_dead_tup as "deadRows", s.seq_scan as "sequentialScans",
      s.idx_scan as "indexScans", greatest(s.last_vacuum, s.last_autovacuum) as "lastVacuum", greatest(s.last_analyze, s.last_autoanalyze) as "lastAnalyze"
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace left join pg_catalog.pg_stat_user_tables s on s.relid = c.oid
    where c.relkind in ('r', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
    order by 3 desc, 1, 2 limit 20) t), '[]'::json),
  'locks', coalesce((select json_agg(l) from (
    select a.pid, a.usename as role, left(a.application_name, 100) as program, left(a.query, 300) as query, extract(epoch from now() - a.query_start)::int as "waitingSeconds",
      a.wait_event as "waitsFor", pg_catalog.pg_blocking_pids(a.pid) as "blockedBy"
    from pg_catalog.pg_stat_activity a where cardinality(pg_catalog.pg_blocking_pids(a.pid)) > 0 order by a.query_start limit 50) l), '[]'::json),
  'longest', coalesce((select json_agg(l) from (
    select a.pid, a.usename as role, left(a.application_name, 100) as program, a.state, left(a.query, 300) as query, extract(epoch from now() - a.xact_start)::int as seconds
    from pg_catalog.pg_stat_activity a
    where a.xact_start < now() - interval '60 seconds' and a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()
    order by a.xact_start limit 20) l), '[]'::json),
  'slots', coalesce((select json_agg(s) from (
    select r.slot_name as name, r.slot_type as type, r.plugin, r.database, r.active, r.wal_status as status,
      case when r.restart_lsn is not null then pg_catalog.pg_wal_lsn_diff(w.at, r.restart_lsn)::bigint end as "keptBytes",
      case when r.confirmed_flush_lsn is not null then pg_catalog.pg_wal_lsn_diff(w.at, r.confirmed_flush_lsn)::bigint end as "lagBytes"
    from pg_catalog.pg_replication_slots r,
      (select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_lsn() end as at) w
    order by 1) s), '[]'::json),
  'replicas', coalesce((select json_agg(r) from (
    select s.application_name as program, s.state, s.sync_state as sync, extract(epoch from s.replay_lag)::int as "lagSeconds"
    from pg_catalog.pg_stat_replication s order by 1) r), '[]'::json)) as answer
where (select pg_catalog.set_config('lock_timeout', '1000', true)) is not null`;
}

/** The statements that took the most time together. `schema` is where the extension lives. */
export function slowStatementsSql(schema: string): string {
  const view = `"${schema.replaceAll('"', '""')}".pg_stat_statements`;
  return `
select coalesce(json_agg(q), '[]'::json) as answer from (
  select left(regexp_replace(s.query, '\\s+', ' ', 'g'), 300) as query, pg_catalog.pg_get_userbyid(s.userid) as role, s.calls, round(s.total_exec_time::numeric, 1) as "totalMs",
    round(s.mean_exec_time::numeric, 2) as "meanMs", round(s.max_exec_time::numeric, 1) as "maxMs", s.rows
  from ${view} s where s.dbid = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
  order by s.total_exec_time desc limit 15) q`;
}
