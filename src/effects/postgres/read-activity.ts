/** Reads what a server is doing, through anything that can query. Text of other sessions' statements comes back as it is: it is untrusted. */
import { z } from 'zod';
import { type ConnectionFacts, connectionFacts, type PoolerSettings } from '../../activity/connections.ts';
import { type SlowStatements, type StatisticsFacts, statisticsFacts } from '../../activity/statistics.ts';
import { AppError } from '../../errors.ts';
import { connectionsSql, hasPoolerSql, poolerSql, slowStatementsSql, statisticsSql } from './activity-sql.ts';
import type { QueryPort } from './read-catalog.ts';

export async function readConnections(port: QueryPort): Promise<ConnectionFacts> {
  return parsed(connectionFacts, await answerOf(port, connectionsSql), 'connections');
}

/** Sizes as they are now; where a lock is in the way, as they were at the last vacuum or analyze. */
export async function readStatistics(port: QueryPort): Promise<StatisticsFacts> {
  const answer = await answerOf(port, statisticsSql(true)).catch((error: unknown) => {
    if (error instanceof AppError && error.details?.['sqlState'] === '55P03') return answerOf(port, statisticsSql(false));
    throw error;
  });
  return parsed(statisticsFacts, answer, 'statistics');
}

/** Where a self-hosted Supavisor keeps its own tables. */
export const poolerDatabase = '_supabase';

const tenantRow = z.object({ poolSize: z.number(), maxClients: z.number(), users: z.number(), tenants: z.number() });

/** The tenant's row where this session's database holds it; what cannot be read is said to be unknown, never guessed. */
export async function readPooler(port: QueryPort): Promise<PoolerSettings> {
  if ((await answerOf(port, hasPoolerSql)) !== true) return { known: false, say: 'there is no table of Supavisor’s tenants' };
  try {
    const row = tenantRow.safeParse(await answerOf(port, poolerSql));
    if (!row.success) return { known: false, say: 'the pooler has no tenant' };
    const { poolSize, maxClients, users } = row.data;
    return { known: true, poolSize, maxClients, users };
  } catch (error) {
    if (error instanceof AppError && error.code === 'SQL_FAILED') return { known: false, say: 'this role may not read its tenants' };
    throw error;
  }
}

const statementRows = z.array(z.record(z.string(), z.unknown()));

/** `schema` is where pg_stat_statements lives, null without it. */
export async function readSlowStatements(port: QueryPort, schema: string | null): Promise<SlowStatements> {
  if (schema === null)
    return {
      known: false,
      say: 'pg_stat_statements is not installed here, so slow statements are unknown: create the extension to see them.',
    };
  try {
    return { known: true, rows: parsed(statementRows, await answerOf(port, slowStatementsSql(schema)), 'slow statements') };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'SQL_FAILED') throw error;
    const say =
      error.details?.['sqlState'] === '55000'
        ? 'pg_stat_statements is created but not loaded, so slow statements are unknown: add it to shared_preload_libraries and restart the server.'
        : 'pg_stat_statements is there, but this role may not read it, so slow statements are unknown.';
    return { known: false, say };
  }
}

async function answerOf(port: QueryPort, sql: string): Promise<unknown> {
  const { rows } = await port.query<{ answer: unknown }>(sql);
  return rows[0]?.answer;
}

function parsed<T extends z.ZodType>(shape: T, value: unknown, what: string): z.infer<T> {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  throw new AppError('SERVER_ANSWER_UNEXPECTED', {
    message: `The server answered its ${what} in an unexpected shape, at ${result.error.issues[0]?.path.slice(0, 3).join('.') ?? 'its top'}.`,
    fix: 'Report it with the version of the database; Capstan reads Postgres 15 and newer.',
  });
}
