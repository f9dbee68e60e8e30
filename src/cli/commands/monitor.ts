import { defineCommand } from 'citty';
import { usage } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { table } from '../render.ts';

const target = { type: 'string', valueHint: 'NAME', description: 'A registered target', required: true } as const;

const connections = command(
  'connections',
  'Show who holds the connections of a database, and which change takes effect when they run out; fails at 90 %',
  { target },
  async ({ target: name }) => {
    const report = await withApp((app) => app.database.connections(name));
    const { say, level, byService, pooler, recommendations, complete, holders } = report;
    const told = [
      `${level}: ${say}`,
      ...(complete ? [] : ['The role may not see what other roles do: programs and states are missing.']),
      table(byService, ['service', 'connections', 'active', 'idle', 'idleInTransaction']),
      table(
        holders.map((row) => ({ role: row['role'], program: row['program'], state: row['state'], count: row['count'] })),
        ['role', 'program', 'state', 'count'],
      ),
      pooler.known ? `Pooler: pool size ${pooler.poolSize}, at most ${pooler.maxClients} clients.` : `Pooler: unknown (${pooler.say}).`,
      ...recommendations.map((each) => `- ${each.say}`),
    ];
    return { exit: level === 'alert' ? exitCodes.failed : exitCodes.ok, json: report, text: told.join('\n\n') };
  },
);

const stats = command(
  'stats',
  'Show sizes, cache hits, slow statements, locks, replication slots and lag of a database',
  { target },
  async ({ target: name }) => {
    const report = await withApp((app) => app.database.statistics(name));
    const { databaseBytes, cacheHitPercent, indexHitPercent, findings, slowStatements, tables, statements, locks, slots } = report;
    const percent = (value: number | null) => (value === null ? 'unknown' : `${value} %`);
    const some = (title: string, rows: readonly Record<string, unknown>[], columns: readonly string[]) =>
      rows.length === 0 ? [] : [`${title}\n${table(rows, columns)}`];
    const told = [
      `Database: ${Math.round(databaseBytes / 1024 ** 2)} MB; found in memory: ${percent(cacheHitPercent)} of tables, ${percent(indexHitPercent)} of indexes.`,
      ...findings.map(({ code, say }) => `${code}: ${say}`),
      ...some('Largest tables', tables, ['schema', 'name', 'bytes', 'rows', 'deadRows']),
      slowStatements.say,
      ...some('Statements', statements, ['calls', 'totalMs', 'meanMs', 'query']),
      ...some('Waiting for a lock', locks, ['pid', 'role', 'waitingSeconds', 'blockedBy', 'query']),
      ...some('Replication slots', slots, ['name', 'type', 'active', 'status', 'keptBytes', 'lagBytes']),
    ];
    return { exit: exitCodes.ok, json: report, text: told.join('\n\n') };
  },
);

export const monitor = defineCommand({
  meta: { name: 'monitor', description: 'Watch a database: its connections and its statistics' },
  subCommands: { connections, stats },
});

export const advisors = command(
  'advisors',
  'Check a database for security and performance mistakes; fails when there is an error among them',
  { target, category: { type: 'string', valueHint: 'CATEGORY', description: 'security or performance. Default: both' } },
  async ({ target: name, category }) => {
    const wanted = category?.toUpperCase();
    if (wanted !== undefined && wanted !== 'SECURITY' && wanted !== 'PERFORMANCE')
      throw usage('capstan advisors', '--category is security or performance.');
    const answer = await withApp((app) => app.database.advisors(name, wanted));
    const { advice, checked } = answer;
    const told = [
      `${checked} lints, ${advice.length} found something.`,
      ...advice.map(({ lint, level, say, fix, hits }) =>
        [
          `${level} ${lint} (${hits.length})`,
          `  ${say}`,
          `  fix: ${fix}`,
          ...hits.map(({ on, detail }) => `  - ${on}${detail === undefined ? '' : `: ${detail}`}`),
        ].join('\n'),
      ),
    ];
    const failed = advice.some(({ level }) => level === 'ERROR');
    return { exit: failed ? exitCodes.failed : exitCodes.ok, json: answer, text: told.join('\n\n') };
  },
);
