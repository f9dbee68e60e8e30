/** What a server's own statistics say about its health. Pure: figures in, sentences of ours out; names stay in the rows. */
import { z } from 'zod';

const figure = z.coerce.number();
const maybe = figure.nullish();
const rows = z.array(z.record(z.string(), z.unknown()));

const slot = z.looseObject({ name: z.string(), active: z.boolean(), status: z.string().nullish(), keptBytes: maybe, lagBytes: maybe });
const tableRow = z.looseObject({ bytes: figure, rows: maybe, deadRows: maybe });

/** The answer of the statistics statement. */
export const statisticsFacts = z.object({
  complete: z.boolean(),
  /** False when a lock was in the way: sizes are those of the last vacuum or analyze. */
  exact: z.boolean(),
  /** The schema of pg_stat_statements, or null without it. */
  statements: z.string().nullable(),
  database: z.object({
    name: z.string(),
    bytes: figure,
    commits: figure,
    rollbacks: figure,
    blocksHit: figure,
    blocksRead: figure,
    deadlocks: figure,
    temporaryBytes: figure,
    statisticsSince: z.string().nullable(),
    transactionAge: figure,
  }),
  indexes: z.object({ blocksHit: maybe, blocksRead: maybe }),
  tables: z.array(tableRow),
  locks: rows,
  longest: rows,
  slots: z.array(slot),
  replicas: rows,
});
export type StatisticsFacts = z.infer<typeof statisticsFacts>;

/** Slow statements, or why there are none to show. */
export type SlowStatements = { known: true; rows: Record<string, unknown>[] } | { known: false; say: string };

export type StatisticsReport = {
  databaseBytes: number;
  cacheHitPercent: number | null;
  indexHitPercent: number | null;
  deadlocks: number;
  rollbackPercent: number | null;
  statisticsSince: string | null;
  counts: { blocked: number; longTransactions: number; slots: number; replicas: number };
  slowStatements: { known: boolean; say: string };
  complete: boolean;
  exactSizes: boolean;
  findings: { code: string; say: string }[];
};

const gigabyte = 1024 ** 3;
/** Below that many blocks a ratio says nothing. */
const enoughBlocks = 10_000;

export function statisticsReport(facts: StatisticsFacts, slow: SlowStatements): StatisticsReport {
  const { database, indexes, locks, longest, slots, replicas, complete } = facts;
  return {
    databaseBytes: database.bytes,
    cacheHitPercent: ratio(database.blocksHit, database.blocksRead),
    indexHitPercent: ratio(indexes.blocksHit ?? 0, indexes.blocksRead ?? 0),
    deadlocks: database.deadlocks,
    rollbackPercent: ratio(database.rollbacks, database.commits),
    statisticsSince: database.statisticsSince,
    counts: { blocked: locks.length, longTransactions: longest.length, slots: slots.length, replicas: replicas.length },
    slowStatements: slow.known ? { known: true, say: `The ${slow.rows.length} statements that took the most time.` } : slow,
    complete,
    exactSizes: facts.exact,
    findings: findingsOf(facts),
  };
}

function ratio(part: number, rest: number): number | null {
  return part + rest === 0 ? null : Math.round((1000 * part) / (part + rest)) / 10;
}

function findingsOf({ database, locks, longest, slots, tables, complete }: StatisticsFacts): StatisticsReport['findings'] {
  const hit = ratio(database.blocksHit, database.blocksRead);
  const idleSlots = slots.filter(({ active, keptBytes }) => !active && (keptBytes ?? 0) > gigabyte);
  const lost = slots.filter(({ status }) => status === 'lost' || status === 'unreserved');
  const late = slots.filter(({ active, lagBytes }) => active && (lagBytes ?? 0) > gigabyte);
  const dead = tables.filter(({ rows: live, deadRows }) => (deadRows ?? 0) > 10_000 && (deadRows ?? 0) > (live ?? 0) / 5);
  const found: (readonly [boolean, string, string])[] = [
    [locks.length > 0, 'SESSIONS_BLOCKED', `${locks.length} sessions wait for a lock of another one.`],
    [longest.length > 0, 'LONG_TRANSACTIONS', `${longest.length} transactions are open for more than a minute; they hold back vacuum.`],
    [lost.length > 0, 'SLOT_LOST', `${lost.length} replication slots have lost write-ahead log they need: their readers must start anew.`],
    [
      idleSlots.length > 0,
      'SLOT_UNUSED',
      `${idleSlots.length} replication slots that nobody reads keep more than 1 GB of write-ahead log each; drop them before the disk is full.`,
    ],
    [late.length > 0, 'SLOT_LATE', `${late.length} replication slots are more than 1 GB behind.`],
    [
      database.transactionAge > 1_000_000_000,
      'WRAPAROUND_NEAR',
      'The oldest transaction id is half way to wraparound: vacuum does not get through.',
    ],
    [
      hit !== null && hit < 95 && database.blocksHit + database.blocksRead > enoughBlocks,
      'CACHE_MISSES',
      `Only ${hit} % of the blocks are found in memory; more shared_buffers or memory would help.`,
    ],
    [dead.length > 0, 'DEAD_ROWS', `${dead.length} of the largest tables consist of dead rows to more than a fifth.`],
    [!complete, 'PARTLY_SEEN', 'The role may not see what other roles do: statements, states and programs of others are missing.'],
  ];
  return found.flatMap(([holds, code, say]) => (holds ? [{ code, say }] : []));
}
