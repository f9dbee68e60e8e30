/** A backup in a process of its own: paused, cancelled by a person at a terminal, and measured while it uploads. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { largeTable, startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { atTerminal, capstan, jsonOf, whyNoTerminal } from '../helpers/cli.ts';
import { startFakeS3 } from '../helpers/fake-s3.ts';
import { connect, mainFile } from '../helpers/mcp-clients.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd') ?? (process.platform === 'linux' ? undefined : 'reads /proc');
let postgres: TestPostgres;
let home: string;
let locked: pg.Client;
beforeAll(async () => {
  if (why) return;
  postgres = await startTestPostgres();
  await postgres.sql(largeTable('big', 60_000));
}, 120_000);
afterAll(async () => postgres?.stop());
beforeEach(async () => {
  if (why) return;
  home = mkdtempSync(join(tmpdir(), 'capstan-backup-process-'));
  const added = ['targets', 'add', 'shop', '--url', 'http://127.0.0.1:9', '--secret', 'databaseUrl=env:DB'];
  expect((await capstan(home, added, { DB: postgres.url() })).exit).toBe(0);
  locked = new pg.Client({ connectionString: postgres.url() });
  await locked.connect();
});
afterEach(async () => {
  await locked?.end();
  if (home) rmSync(home, { recursive: true, force: true });
});

function begin(...more: string[]): ChildProcess {
  return spawn(process.execPath, [mainFile, 'run', 'backup', '--set', 'target=shop', '--name', 'nightly', ...more, '--json'], {
    env: { CAPSTAN_HOME: home, PATH: process.env['PATH'] ?? '', HOME: home },
    stdio: 'ignore',
  });
}
const ended = (child: ChildProcess) => new Promise<number | null>((resolve) => child.once('exit', resolve));

/** Until pg_dump waits for a table that nobody gets: the part is in the middle, for as long as it takes. */
async function dumpWaits(): Promise<void> {
  for (const until = Date.now() + 60_000; Date.now() < until; await pause(50)) {
    const rows = await postgres.sql(`select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like 'LOCK TABLE%'`);
    if (rows.length > 0) return;
  }
  throw new Error('pg_dump never came to the table');
}
const lock = () => locked.query('begin; lock table public.big in access exclusive mode');

const files = () => {
  const folder = join(home, 'backups', 'shop');
  return existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort() : [];
};
const index = async () =>
  jsonOf(await capstan(home, ['backups', 'list', '--json']))['backups'] as { id: string; verifiedAt: string | null }[];
const sessions = () => postgres.sql(`select application_name from pg_stat_activity where application_name like '%writePart%'`);

test.skipIf(why)(
  'a backup that is paused finishes the part in hand and nothing more; released, it goes on with the next and is whole',
  async () => {
    await lock();
    const child = begin();
    await dumpWaits();
    expect((await capstan(home, ['hold', 'nightly', '--json'])).exit).toBe(0);
    await locked.query('rollback');
    await ended(child);
    const held = jsonOf(await capstan(home, ['runs', 'show', 'nightly', '--json']));
    expect([held['status'], held['state'], await sessions(), await index()]).toEqual(['held', 'publishing', [], []]);
    const written = files().filter((name) => name.endsWith('.pgp'));
    expect(written.map((name) => name.split('/')[1])).toEqual(expect.arrayContaining([expect.stringMatching(/^database-0\.dump/)]));
    const then = written.map((name) => statSync(join(home, 'backups', 'shop', name)).mtimeMs);
    const idle = await capstan(home, ['worker', '--until-idle', '--json']);
    expect([idle.exit, await index()], 'nobody goes on while it is paused').toEqual([0, []]);
    expect((await capstan(home, ['release', 'nightly', '--json'])).exit).toBe(0);
    await capstan(home, ['runs', 'watch', 'nightly', '--json']);
    const [row, ...others] = await index();
    expect([others, row?.verifiedAt === null]).toEqual([[], false]);
    expect(
      written.map((name) => statSync(join(home, 'backups', 'shop', name)).mtimeMs),
      'no part was written again',
    ).toEqual(then);
    expect((await capstan(home, ['backups', 'verify', row?.id ?? '', '--json'])).exit).toBe(0);
  },
  120_000,
);

test.skipIf(why ?? whyNoTerminal())(
  'a backup that a person cancels in the middle of a part leaves no file, no entry and no session',
  async () => {
    await lock();
    const child = begin();
    await dumpWaits();
    expect(
      files().filter((name) => name.endsWith('.pgp')),
      'a part is finished',
    ).not.toEqual([]);
    const answered = await atTerminal(
      home,
      ['runs', 'cancel', 'nightly'],
      [{ when: "To approve, type the run's name: nightly", type: 'nightly\r' }],
    );
    expect(answered.exit).toBe(0);
    await ended(child);
    await capstan(home, ['runs', 'watch', 'nightly', '--json'], {}, 120_000);
    const run = jsonOf(await capstan(home, ['runs', 'show', 'nightly', '--json']));
    expect([run['status'], files(), await index(), await sessions()]).toEqual(['cancelled', [], [], []]);
  },
  180_000,
);

/** The most that a process held until `end`. */
async function peakOf(pid: number | undefined, end: Promise<unknown>): Promise<number> {
  let peakMb = 0;
  for (let running = true; running; running = await Promise.race([end.then(() => false), pause(20, true)])) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      peakMb = Math.max(peakMb, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // it has just ended
    }
  }
  return peakMb;
}

/** By the command line, and inside a server that an MCP client started. */
const carriers: [string, () => Promise<number>][] = [
  [
    'capstan run',
    async () => {
      const child = begin('--set', 'store=bucket');
      const end = ended(child);
      const peakMb = await peakOf(child.pid, end);
      expect(await end).toBe(0);
      return peakMb;
    },
  ],
  [
    'a server',
    async () => {
      const client = await connect('modern', { home });
      try {
        await client.call('start_workflow', { workflow: 'backup', name: 'nightly', input: { target: 'shop', store: 'bucket' } });
        const settled = async () => {
          while ((await client.call('inspect_run', { run: 'nightly', waitMs: 10_000 })).status === 'working');
        };
        return await peakOf(client.pid, settled());
      } finally {
        await client.close();
      }
    },
  ],
];

test.skipIf(why).each(carriers)(
  'a process that uploads to S3 stays near 200 MB at its height, whatever the size (%s)',
  async (_name, carry) => {
    const s3 = await startFakeS3();
    try {
      const keys = { ACCESS: s3.accessKeyId, SECRET: s3.secretAccessKey };
      const place = ['--bucket', 'backups', '--endpoint', s3.endpoint, '--access-key', 'env:ACCESS', '--secret-key', 'env:SECRET'];
      expect((await capstan(home, ['backups', 'store-add', 'bucket', ...place, '--timeout', '30'], keys)).exit).toBe(0);
      const peakMb = await carry();
      expect(jsonOf(await capstan(home, ['runs', 'show', 'nightly', '--json']))).toMatchObject({ status: 'done' });
      const [row] = await index();
      const dump = [...s3.objects].find(([key]) => key.includes(`${row?.id}/database-0.dump`))?.[1];
      expect(dump?.length).toBeGreaterThan(40_000_000);
      expect([s3.uploads.size, s3.journal.filter((line) => /dump.*partNumber/.test(line)).length >= 5]).toEqual([0, true]);
      console.info(`peak of the process: ${Math.round(peakMb)} MB`);
      expect(peakMb).toBeGreaterThan(50);
      expect(peakMb).toBeLessThan(220); // the goal is 200; when V8 collects decides the last tenth
    } finally {
      await s3.close();
    }
  },
  120_000,
);
