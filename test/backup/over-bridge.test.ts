/**
 * A stock instance without any published port: set up by the wizard, reached by a bridge, backed up, damaged and restored through it. Judged by
 * sessions of our own on the sandbox's Postgres, by the files of the backup, and by what is left in the folder for temporary files.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { whyWithout } from '../helpers/backup-postgres.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { mainFile } from '../helpers/mcp-clients.ts';
import { seenInProc } from '../helpers/proc.ts';
import { streaming } from '../helpers/streaming.ts';
import { codeOf, me, openStage, person, type Stage } from '../helpers/wizard-stage.ts';
import { deploy } from '../sandbox/client.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd') ?? (process.platform === 'linux' ? undefined : 'reads /proc');
let folder: string;
let home: string;
/** Of this file alone, so that others that run meanwhile leave nothing in it. */
let temporary: string;
let sandbox: Sandbox;
let stage: Stage;
let bridgeRun: string;
beforeAll(async () => {
  if (why) return;
  folder = mkdtempSync(join(tmpdir(), 'capstan-over-bridge-'));
  home = join(folder, 'home');
  temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  sandbox = await startSandbox({ dataDir: join(folder, 'twin') });
  stage = await openStage(sandbox, home);
  const { runId } = await stage.toVerified('shop');
  expect(await stage.send(runId, 'handover')).toMatchObject({ state: 'done' });
  vi.stubEnv('TMPDIR', temporary);
}, 120_000);
afterAll(async () => {
  vi.unstubAllEnvs();
  await stage?.close();
  await sandbox?.stop({ discard: true });
  if (folder) rmSync(folder, { recursive: true, force: true });
});

const start = async (workflow: string, input: Record<string, unknown> = {}) => {
  const { runId } = await stage.app.engine.start({ workflow, input: { target: 'shop', ...input } }, me);
  return stage.settle(runId);
};
const confirmed = async (run: string, event: string) => {
  expect(await codeOf(stage.app.engine.advance({ run, event }, me))).toBe('APPROVAL_REQUIRED');
  return stage.approve(run);
};

/** The relay as the sandbox runs it, and where its database is. */
function relayProcess(): { pid: number; to: string } {
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const [command, status, environment] = ['cmdline', 'status', 'environ'].map((file) =>
        readFileSync(`/proc/${name}/${file}`, 'latin1'),
      );
      const to = /(?:^|\0)TO=([^\0]*)/.exec(environment ?? '')?.[1];
      if (command?.includes('capstan-bridge') && to !== undefined && Number(/PPid:\s+(\d+)/.exec(status ?? '')?.[1]) === process.pid)
        return { pid: Number(name), to };
    } catch {
      // It ended meanwhile.
    }
  }
  throw new Error('no relay runs');
}

const secretOf = async (name: string) => {
  const { record } = await stage.app.registry.target('shop');
  return stage.app.vault.reveal((record['secrets'] as Record<string, string>)[name] ?? ''); // as it was registered
};
const bridgeKey = () => secretOf('bridgeKey');

let server: { host: string; port: number; password: string };
async function sql<Row = Record<string, unknown>>(text: string, database = 'postgres'): Promise<Row[]> {
  const client = new pg.Client({ ...server, user: 'supabase_admin', database });
  await client.connect();
  try {
    const answer = await client.query(text);
    return (Array.isArray(answer) ? answer.at(-1) : answer).rows as Row[]; // the caller names what it selects
  } finally {
    await client.end();
  }
}
const rowsIn = async (database?: string) => (await sql<{ n: number }>('select count(*)::int as n from public.kept', database))[0]?.n;
async function deployAgain(): Promise<void> {
  const composeId = sandbox.state().composes.find(({ appName }) => appName.startsWith('capstan-bridge'))?.composeId ?? '';
  await deploy(sandbox, composeId, `by hand ${Date.now()}`);
}
const waysLeft = () => readdirSync(temporary).filter((name) => name.startsWith('capstan-bridge-'));
const backups = async () => (await stage.app.backups.backups('shop')).map(({ id, verifiedAt }) => ({ id, verified: verifiedAt !== null }));

test.skipIf(why)('without a direct connection and without a bridge a backup names the workflow that installs one', async () => {
  expect(await start('backup')).toMatchObject({
    status: 'failed',
    error: { code: 'DATABASE_URL_MISSING', fix: expect.stringContaining('capstan run install-bridge --set target=shop --set host=') },
  });
});

test.skipIf(why)(
  'through a bridge it is backed up, verified, restored beside what is in use, and put in place',
  async () => {
    const review = await start('install-bridge', { host: 'bridge.supabase.test' });
    bridgeRun = review.runId;
    expect(await confirmed(bridgeRun, 'approve')).toMatchObject({ state: 'inUse' });
    const { to } = relayProcess();
    const password = await secretOf('postgresPassword');
    server = { host: to.split(':')[0] ?? '', port: Number(to.split(':')[1]), password };
    // Text that does not compress, so that a dump takes a while.
    await sql(`create table public.kept as select g, (select string_agg(md5(g::text || i::text || random()::text), '') from generate_series(1, 40) i) as t
      from generate_series(1, 30000) g; grant select on public.kept to anon`);

    const made = await start('backup');
    expect(made, JSON.stringify(made.error)).toMatchObject({
      status: 'done',
      output: { warnings: expect.arrayContaining([expect.objectContaining({ code: 'OVER_BRIDGE' })]) },
    });
    const output = made.output as { backup: string; parts: { part: string }[]; missing: { part: string }[] };
    expect(output.parts.map(({ part }) => part)).toEqual(
      expect.arrayContaining(['roles', 'database postgres', 'database _supabase', 'environment']),
    );
    expect(output.missing.map(({ part }) => part)).not.toContain('passwords of roles');
    expect(await backups()).toEqual([{ id: output.backup, verified: true }]);
    expect(waysLeft()).toEqual([]);
    expect(await sql(`select 1 from pg_stat_activity where application_name like '%writePart%'`)).toEqual([]);

    await sql('delete from public.kept where g % 2 = 0');
    const from = { backup: output.backup };
    const asked = await start('restore', { ...from, into: 'beside' });
    expect(asked, JSON.stringify(asked.error)).toMatchObject({ state: 'review' });
    const restored = await confirmed(asked.runId, 'approve');
    expect(restored, JSON.stringify(restored.error)).toMatchObject({ status: 'done' });
    expect([await rowsIn('beside'), await rowsIn()]).toEqual([30_000, 15_000]);
    expect(await sql(`select has_table_privilege('anon', 'public.kept', 'select') as reads`, 'beside')).toEqual([{ reads: true }]);

    const again = await start('restore', { ...from, mode: 'replace' });
    expect((await confirmed(again.runId, 'approve')).state).toBe('swapReview');
    const replaced = await confirmed(again.runId, 'swap');
    expect(replaced, JSON.stringify(replaced.error)).toMatchObject({ status: 'done', output: { database: 'postgres' } });
    expect(await rowsIn()).toBe(30_000);
    expect(await rowsIn((replaced.output as { keptAs: string }).keptAs)).toBe(15_000);
    expect((await backups()).map(({ verified }) => verified)).toEqual([true, true]);
    expect(waysLeft()).toEqual([]);
  },
  240_000,
);

test.skipIf(why)(
  'a process that is killed in the middle of a backup leaves a socket at which nobody listens; the next one removes it and finishes',
  async () => {
    const key = await bridgeKey();
    await stage.app.worker.stop(1_500);
    stage.app.close();
    const before = jsonOf(await capstan(home, ['backups', 'list', '--json']))['backups'] as unknown[];
    const child = spawn(process.execPath, [mainFile, 'run', 'backup', '--set', 'target=shop', '--set', 'parts=["database"]', '--json'], {
      env: { CAPSTAN_HOME: home, PATH: process.env['PATH'] ?? '', HOME: home, TMPDIR: temporary },
      stdio: 'ignore',
    });
    await streaming(home, 'shop', child);
    const seen = seenInProc();
    expect(seen).toContain('pg_dump');
    for (const secret of [server.password, key]) expect(seen.includes(secret)).toBe(false);
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(waysLeft()).toHaveLength(1);
    const worker = await capstan(home, ['worker', '--until-idle', '--json'], { TMPDIR: temporary }, 120_000);
    expect(worker.exit, worker.stderr).toBe(0);
    expect(waysLeft()).toEqual([]);
    const after = jsonOf(await capstan(home, ['backups', 'list', '--json']))['backups'] as { id: string; verifiedAt: string | null }[];
    expect([after.length, after.every(({ verifiedAt }) => verifiedAt !== null)]).toEqual([before.length + 1, true]);
    for (const { id } of after)
      expect(readdirSync(join(home, 'backups', 'shop', id)).filter((name) => /unfinished|note/.test(name))).toEqual([]);
    expect(await sql(`select 1 from pg_stat_activity where application_name like '%writePart%'`)).toEqual([]);
    stage = await openStage(sandbox, home);
  },
  180_000,
);

test.skipIf(why)(
  'a bridge that dies in the middle of a backup is said, nothing half done is left, and the same run goes on when it stands again',
  async () => {
    const { runId } = await stage.app.engine.start({ workflow: 'backup', input: { target: 'shop', parts: ['database'] } }, me);
    await streaming(home, 'shop');
    process.kill(relayProcess().pid, 'SIGKILL');
    const stopped = await stage.settle(runId);
    expect(stopped).toMatchObject({
      state: 'partFailed',
      error: { code: expect.stringMatching(/^BRIDGE_(GONE|BROKE_OFF)$/), message: expect.stringContaining('https://bridge.supabase.test') },
    });
    const left = readdirSync(join(home, 'backups', 'shop'), { recursive: true }).map(String);
    expect(left.filter((name) => /unfinished|note/.test(name))).toEqual([]);
    expect(waysLeft()).toEqual([]);
    await deployAgain();
    const done = await stage.send(runId, 'retry');
    expect(done, JSON.stringify(done.error)).toMatchObject({ status: 'done' });
    expect((await backups()).every(({ verified }) => verified)).toBe(true);
  },
  180_000,
);

test.skipIf(why)(
  'a bridge that dies in the middle of a restore leaves what is in use as it is; the run goes on by itself when it stands again',
  async () => {
    const [newest] = await backups();
    const asked = await start('restore', { backup: newest?.id, into: 'torn' });
    expect(await codeOf(stage.app.engine.advance({ run: asked.runId, event: 'approve' }, me))).toBe('APPROVAL_REQUIRED');
    const [question] = (await stage.app.engine.pendingApprovals(asked.runId)).slice(-1);
    await stage.app.engine.approve(question?.id ?? '', person);
    await expect
      .poll(async () => (await sql(`select 1 from pg_stat_activity where datname = 'torn'`)).length, { timeout: 30_000 })
      .toBeGreaterThan(0);
    process.kill(relayProcess().pid, 'SIGKILL');
    await expect
      .poll(
        async () => JSON.stringify((await stage.app.effects(asked.runId)).find(({ effect }) => effect.endsWith(':applyDatabase'))?.error),
        {
          timeout: 30_000,
        },
      )
      .toMatch(/"BRIDGE_(GONE|BROKE_OFF)"/);
    expect(await rowsIn()).toBe(30_000);
    await deployAgain();
    expect(await stage.settle(asked.runId)).toMatchObject({ status: 'done' });
    expect(await rowsIn('torn')).toBe(30_000);
    expect(await sql(`select datname from pg_database where datname like '%torn%'`)).toHaveLength(1);

    const key = await bridgeKey();
    expect(key.length).toBeGreaterThan(60);
    expect(JSON.stringify([sandbox.journal(), sandbox.state()])).not.toContain(key);
    for (const secret of [key, server.password]) expect(stage.logged().includes(secret)).toBe(false);
    await stage.app.engine.advance({ run: bridgeRun, event: 'remove' }, me);
    expect(await stage.settle(bridgeRun)).toMatchObject({ status: 'done', output: { removed: true } });
    expect(await start('backup')).toMatchObject({ error: { code: 'DATABASE_URL_MISSING' } });
  },
  180_000,
);
