/** What execute_sql costs over bare pg, and what 50,000 rows cost in memory; prints JSON. Run by `npm run bench -- sql`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { SqlTarget } from '../../src/effects/postgres/open.ts';
import { openSession } from '../../src/effects/postgres/open.ts';
import { createScrubber } from '../../src/scrub.ts';
import { readBySql, type SqlReadingDeps } from '../../src/sql-reading.ts';
import { startServer, urlOf } from './databases.ts';

const rounds = 100;
const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const round = (value: number) => Math.round(value * 100) / 100;

async function timed(work: () => Promise<unknown>): Promise<number> {
  await work();
  const taken: number[] = [];
  for (let turn = 0; turn < rounds; turn++) {
    const began = performance.now();
    await work();
    taken.push(performance.now() - began);
  }
  return median(taken);
}

const server = await startServer(17);
const folder = mkdtempSync(join(tmpdir(), 'capstan-bench-sql-'));
try {
  const target: SqlTarget = {
    name: 'bench',
    reach: {},
    addresses: [
      {
        host: '127.0.0.1',
        port: server.port,
        database: 'postgres',
        user: 'supabase_read_only_user',
        password: server.password,
        ssl: 'disable',
      },
    ],
  };
  const deps: SqlReadingDeps = {
    reach: { open: (_name, purpose, options) => openSession(target, purpose, options) },
    registry: { target: async (name) => ({ name, kind: 'self-hosted', tags: [], record: {}, createdAt: 0 }) },
    vault: { reveal: async () => '' },
    now: Date.now,
    scrubber: createScrubber(),
    exports: folder,
  };
  const sql = 'select count(*) as n from auth.users where id is not null';
  const bare = async () => {
    const client = new pg.Client({ connectionString: urlOf(server, 'supabase_read_only_user') });
    await client.connect();
    await client.query('begin read only');
    await client.query(sql);
    await client.query('rollback');
    await client.end();
  };
  const barePgMs = await timed(bare);
  const executeMs = await timed(() => readBySql(deps, { target: 'bench', sql }));
  const rows = "select n, repeat('x', 100) as x from generate_series(1, 50000) n";
  await readBySql(deps, { target: 'bench', sql: rows, limit: 1_000 });
  const before = process.memoryUsage().rss;
  const began = performance.now();
  const spilled = await readBySql(deps, { target: 'bench', sql: rows, limit: 100_000 });
  const figures = {
    executeMs: round(executeMs),
    overheadMs: round(executeMs - barePgMs),
    spill50kRows: {
      rows: spilled.file?.rows ?? 0,
      ms: Math.round(performance.now() - began),
      megabytes: round((spilled.file?.bytes ?? 0) / 2 ** 20),
      rssGrowthMb: round((process.memoryUsage().rss - before) / 2 ** 20),
    },
    goals: { executeMs: 100, overheadMs: 5 },
    reference: { barePgConnectAndReadMs: round(barePgMs) },
  };
  console.log(JSON.stringify(figures));
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
