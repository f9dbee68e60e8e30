/**
 * Counting user data inside the database container, for when the gateway cannot be asked (no trusted certificate, no route).
 * A disabled schedule run by hand is Dokploy's only way to run a command. Invariants:
 * 1. Constant scripts without a secret: psql comes over the container's socket, which trusts it.
 * 2. The schedule carries our key in its name and is removed again, also those that an earlier attempt left.
 * 3. No quotes of the shell inside the SQL: literals are dollar-quoted, so that nothing needs escaping.
 */
import { AppError } from '../../errors.ts';
import type { EffectContext } from '../handler.ts';
import type { UserData } from '../supabase/sql.ts';
import type { DokployClient } from './client.ts';
import { signOf } from './session.ts';

/** Schemas that Supabase itself fills. */
const managed =
  'information_schema,auth,storage,realtime,_realtime,extensions,graphql,graphql_public,vault,pgsodium,pgsodium_masks,pgbouncer,net,cron,supabase_functions,supabase_migrations,_analytics,_supavisor';

/** One line: mark, whether auth.users and storage.objects exist, number of user tables. */
const tablesSql = [
  'select $s$capstan$s$,',
  'case when to_regclass($s$auth.users$s$) is null then 0 else 1 end,',
  'case when to_regclass($s$storage.objects$s$) is null then 0 else 1 end,',
  '(select count(*) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace',
  'where c.relkind in ($s$r$s$, $s$p$s$, $s$m$s$, $s$f$s$) and not c.relispartition',
  `and n.nspname !~ $s$^pg_$s$ and n.nspname <> all (string_to_array($s$${managed}$s$, $s$,$s$))`,
  'and not exists (select 1 from pg_catalog.pg_depend d where d.classid = $s$pg_catalog.pg_class$s$::regclass and d.objid = c.oid and d.deptype = $s$e$s$))',
].join(' ');

const countSql = (users: boolean, objects: boolean) =>
  `select $s$capstan$s$, ${users ? '(select count(*) from auth.users)' : '0'}, ${objects ? '(select count(*) from storage.objects)' : '0'}`;

/** Exact counts. Throws EXEC_FAILED when the container does not answer; the codes of the client otherwise. */
export async function userDataByExec(ctx: Pick<EffectContext, 'key'>, client: DokployClient, composeId: string): Promise<UserData> {
  const [users = 0, objects = 0, tables = 0] = await askPsql(ctx, client, composeId, tablesSql, 3);
  const [userCount = 0, objectCount = 0] = await askPsql(ctx, client, composeId, countSql(users === 1, objects === 1), 2);
  return { tables, users: userCount, objects: objectCount };
}

async function askPsql(
  ctx: Pick<EffectContext, 'key'>,
  client: DokployClient,
  composeId: string,
  sql: string,
  numbers: number,
): Promise<number[]> {
  const name = `${signOf(ctx)} user-data`;
  for (const left of await client.schedules(composeId)) if (left.name === name) await client.deleteSchedule(left.scheduleId);
  const schedule = await client.createSchedule({
    name,
    composeId,
    serviceName: 'db',
    command: `psql -At -U postgres -d postgres -c '${sql}'`,
  });
  try {
    const run = await client.runSchedule(schedule.scheduleId, 60_000);
    if (run === true || run.status !== 'done') throw noAnswer();
    return readNumbers(await client.deploymentLog(run.deploymentId, 50), numbers);
  } finally {
    await client.deleteSchedule(schedule.scheduleId);
  }
}

/** The one line that begins with our mark; the command itself, which the log repeats, does not. */
export function readNumbers(log: string, numbers: number): number[] {
  const line = log.split(/\r?\n/).find((each) => /^capstan(\|\d+)+$/.test(each.trim()));
  const values = (line?.trim().split('|') ?? []).slice(1).map(Number);
  if (values.length === numbers) return values;
  throw noAnswer();
}

function noAnswer(): AppError {
  return new AppError('EXEC_FAILED', {
    message: 'The database container did not answer a count of its tables.',
    fix: 'Check in Dokploy that the service db runs.',
  });
}
