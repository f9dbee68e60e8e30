/** A real process, killed with SIGKILL while it streams: the next one finishes the backup, and nothing half done is left anywhere. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { largeTable, startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { startFakeS3 } from '../helpers/fake-s3.ts';
import { mainFile } from '../helpers/mcp-clients.ts';
import { seenInProc } from '../helpers/proc.ts';
import { streaming } from '../helpers/streaming.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd') ?? (process.platform === 'linux' ? undefined : 'reads /proc');
let postgres: TestPostgres;
let home: string;
beforeAll(async () => {
  if (why) return;
  postgres = await startTestPostgres();
  await postgres.sql(largeTable('big', 60_000));
  home = mkdtempSync(join(tmpdir(), 'capstan-kill-'));
  const added = await capstan(home, ['targets', 'add', 'shop', '--url', 'http://127.0.0.1:9', '--secret', 'databaseUrl=env:DB'], {
    DB: postgres.url(),
  });
  expect(added.exit).toBe(0);
}, 120_000);
afterAll(async () => {
  await postgres?.stop();
  if (home) rmSync(home, { recursive: true, force: true });
});

test.skipIf(why)(
  'a backup whose process is killed in the middle of a part is finished by the next process',
  async () => {
    const child = spawn(process.execPath, [mainFile, 'run', 'backup', '--set', 'target=shop', '--json'], {
      env: { CAPSTAN_HOME: home, PATH: process.env['PATH'] ?? '', HOME: home },
      stdio: 'ignore',
    });
    await streaming(home, 'shop', child);
    const seen = seenInProc();
    expect(seen).toContain('pg_dump');
    expect(seen).not.toContain(postgres.password);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    const worker = await capstan(home, ['worker', '--until-idle', '--json']);
    expect(worker.exit).toBe(0);
    const [run] = jsonOf(await capstan(home, ['runs', 'list', '--json']))['runs'] as { runId: string; status: string }[];
    expect(run?.status).toBe('done');
    const [row, ...others] = jsonOf(await capstan(home, ['backups', 'list', '--json']))['backups'] as {
      id: string;
      verifiedAt: string | null;
    }[];
    expect([others, row?.verifiedAt !== null]).toEqual([[], true]);
    const folder = join(home, 'backups', 'shop', row?.id ?? '');
    expect(readdirSync(folder).filter((name) => /unfinished|note/.test(name))).toEqual([]);
    expect((await capstan(home, ['backups', 'verify', row?.id ?? '', '--json'])).exit).toBe(0);
    expect(await postgres.sql(`select count(*)::int as n from pg_stat_activity where application_name like '%writePart%'`)).toEqual([
      { n: 0 },
    ]);
  },
  180_000,
);

test.skipIf(why)(
  'a process that is killed in the middle of an upload leaves parts that the next one aborts, and stderr stays ours',
  async () => {
    const s3 = await startFakeS3();
    const keys = { ACCESS: s3.accessKeyId, SECRET: s3.secretAccessKey };
    const place = ['--bucket', 'backups', '--endpoint', s3.endpoint, '--access-key', 'env:ACCESS', '--secret-key', 'env:SECRET'];
    expect((await capstan(home, ['backups', 'store-add', 'bucket', ...place], keys)).exit).toBe(0);
    s3.trouble({ method: 'PUT', when: /dump.*partNumber=2/, times: 1, as: 'hang' });
    const child = spawn(process.execPath, [mainFile, 'run', 'backup', '--set', 'target=shop', '--set', 'store=bucket', '--json'], {
      env: { CAPSTAN_HOME: home, PATH: process.env['PATH'] ?? '', HOME: home },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    while (!s3.journal.some((line) => /dump.*partNumber=2/.test(line))) await s3.next();
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(s3.uploads.size, 'the killed upload is open').toBe(1);
    const worker = await capstan(home, ['worker', '--until-idle', '--json'], {}, 120_000);
    expect([worker.exit, s3.uploads.size]).toEqual([0, 0]);
    const rows = jsonOf(await capstan(home, ['backups', 'list', '--json']))['backups'] as { id: string; store: string }[];
    const ids = rows.filter(({ store }) => store === 'bucket').map(({ id }) => id);
    expect(ids).toHaveLength(1);
    expect([...s3.objects.keys()].filter((key) => !key.includes(ids[0] ?? '') || key.includes('note'))).toEqual([]);
    const verified = await capstan(home, ['backups', 'verify', ids[0] ?? '', '--json']);
    expect(verified.exit).toBe(0);
    for (const text of [stderr, worker.stderr, verified.stderr]) expect(text).not.toMatch(/Warning|AWS SDK/);
    await s3.close();
  },
  180_000,
);
