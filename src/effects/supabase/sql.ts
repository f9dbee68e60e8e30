/**
 * SQL through the gateway's `/pg/query` (postgres-meta). Invariants:
 * 1. Only constant SQL of this package goes here: the session is a superuser's (design.md §6), so never a model's or a user's text.
 * 2. The key is sent only as a header and never named.
 */
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { Reach } from '../handler.ts';
import { createHttp, type HttpAnswer } from '../http/http.ts';
import { quoteVendorText } from '../http/vendor-text.ts';

export type MetaAccess = {
  /** Public base URL without trailing slash. */
  baseUrl: string;
  serviceKey: string;
  reach: Reach;
  signal?: AbortSignal;
  /** Default 30,000. */
  timeoutMs?: number;
};

const rowsSchema = z.array(z.record(z.string(), z.unknown()));

/**
 * Runs constant SQL and answers the rows of its last statement that has some.
 * Throws SUPABASE_KEY_REFUSED, SQL_FAILED (with the SQLSTATE in details), SUPABASE_SQL_UNAVAILABLE (retry later), and the codes of http/failure.ts.
 */
export async function queryThroughMeta(access: MetaAccess, constantSql: string): Promise<Record<string, unknown>[]> {
  const http = createHttp(access.reach, { ...(access.signal ? { signal: access.signal } : {}), timeoutMs: access.timeoutMs ?? 30_000 });
  const answer = await http.request({
    method: 'POST',
    url: `${access.baseUrl}/pg/query`,
    headers: keyHeaders(access.serviceKey),
    json: { query: constantSql },
    readOnly: true,
  });
  if (answer.status !== 200) throw toSqlError(access, answer);
  const rows = rowsSchema.safeParse(parseJson(answer.text));
  if (rows.success) return rows.data;
  throw unavailable(access.baseUrl, 'answered in an unexpected shape');
}

/** The headers by which a key passes the gateway and speaks to the service behind it. */
export function keyHeaders(key: string): Record<string, string> {
  return { apikey: key, authorization: `Bearer ${key}` };
}

function toSqlError({ baseUrl, serviceKey }: MetaAccess, { status, text }: HttpAnswer): AppError {
  if (status === 401 || status === 403) {
    return new AppError('SUPABASE_KEY_REFUSED', {
      message: `${baseUrl} refuses the service key for SQL.`,
      fix: 'Check the service role key; `diagnose_target` tells gateway and signature apart.',
      details: { status },
    });
  }
  const body: unknown = parseJson(text);
  const field = (key: string): unknown => (typeof body === 'object' && body !== null ? Reflect.get(body, key) : undefined);
  const said = field('message') ?? field('error');
  if (status === 400 && typeof said === 'string') {
    const sqlState = field('code');
    return new AppError('SQL_FAILED', {
      message: `The database behind ${baseUrl} refused a statement: ${quoteVendorText(said, [serviceKey])}.`,
      fix: 'This statement is ours; report it with the version of the instance.',
      details: typeof sqlState === 'string' && /^[0-9A-Z]{5}$/.test(sqlState) ? { status, sqlState } : { status },
    });
  }
  return unavailable(baseUrl, `answered with status ${status}`);
}

function unavailable(baseUrl: string, what: string): AppError {
  return new AppError('SUPABASE_SQL_UNAVAILABLE', {
    message: `SQL through ${baseUrl}/pg/query is not available: it ${what}.`,
    fix: 'Check that the meta and db services are healthy.',
    retry: 'later',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Counts what belongs to a user. A constant that works whether or not the tables exist yet: a DO block counts, since a plain
 * SELECT from a missing table is refused before it runs, and the transaction's own settings carry the figures out.
 */
export const USER_DATA_SQL = `do $capstan$
declare users bigint := 0; objects bigint := 0;
begin
  if to_regclass('auth.users') is not null then execute 'select count(*) from auth.users' into users; end if;
  if to_regclass('storage.objects') is not null then execute 'select count(*) from storage.objects' into objects; end if;
  perform set_config('capstan.users', users::text, true), set_config('capstan.objects', objects::text, true);
end $capstan$;
select (
    select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm', 'f') and not c.relispartition
      and n.nspname !~ '^pg_' and n.nspname not in (
        'information_schema', 'auth', 'storage', 'realtime', '_realtime', 'extensions', 'graphql', 'graphql_public', 'vault',
        'pgsodium', 'pgsodium_masks', 'pgbouncer', 'net', 'cron', 'supabase_functions', 'supabase_migrations', '_analytics', '_supavisor')
      and not exists (select 1 from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  )::text as tables,
  current_setting('capstan.users') as users,
  current_setting('capstan.objects') as objects;`;

export type UserData = {
  /** Tables and materialized views in schemas that Supabase does not manage. */
  tables: number;
  /** Rows of auth.users. */
  users: number;
  /** Rows of storage.objects. */
  objects: number;
};

const count = z.string().regex(/^\d+$/).transform(Number);
const userDataRow = z.looseObject({ tables: count, users: count, objects: count });

/** Throws like queryThroughMeta; figures that cannot be read are SUPABASE_SQL_UNAVAILABLE, never zero. */
export async function userData(access: MetaAccess): Promise<UserData> {
  const rows = await queryThroughMeta(access, USER_DATA_SQL);
  const parsed = userDataRow.safeParse(rows[0]);
  if (!parsed.success) throw unavailable(access.baseUrl, 'did not tell how much user data there is');
  const { tables, users, objects } = parsed.data;
  return { tables, users, objects };
}
