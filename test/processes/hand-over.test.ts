/** Leaving with a deployment under way (engine.md L1, L2): the worker left behind finishes it, once, and then ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type SandboxProcess, startSandboxProcess } from '../../src/demo/sandbox-process.ts';
import { countAppliedTwice, leftoversOf } from '../../src/demo/verdicts.ts';
import { liveWorkers } from '../../src/store/ownership.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { connect, mainFile, type TestClient } from '../helpers/mcp-clients.ts';

let folder: string;
let sandbox: SandboxProcess;
let place: ReturnType<typeof temporaryHome>;
let client: TestClient;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-hand-over-'));
  sandbox = await startSandboxProcess(mainFile, folder);
});
afterAll(async () => {
  await sandbox.stop();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  place = temporaryHome();
  const { url, apiKey, caFile, resolve, templateBaseUrl } = sandbox;
  const flags = ['--url', url, '--key', 'env:SANDBOX_KEY', '--ca', caFile, '--template-base-url', templateBaseUrl];
  const args = ['dokploy', 'add', 'home', ...flags, ...resolve.flatMap((entry) => ['--resolve', entry])];
  expect(await capstan(place.home, args, { SANDBOX_KEY: apiKey })).toMatchObject({ exit: 0 });
  client = await connect('modern', { home: place.home, person: () => 'accept' });
});
afterEach(async () => {
  await client.close();
  place.remove(); // a worker whose database is gone ends (L2)
});

const alive = () => liveWorkers(join(place.home, 'workers'));

/** Walks to the review, approves, and returns when the sandbox has taken the deployment in. */
async function toDeploying(name: string): Promise<string> {
  const { runId: run } = await client.call('start_workflow', { workflow: 'setup-supabase', name, input: { dokploy: 'home' } });
  const steps: [state: string, event: string, payload: object][] = [
    ['name', 'name', { name }],
    ['secrets', 'generate', {}],
    ['smtp', 'skipSmtp', {}],
    ['domain', 'domain', { host: `${name}.supabase.test` }],
    ['review', 'approve', {}],
  ];
  for (const [state, event, payload] of steps) {
    const view = await client.call('inspect_run', { run, waitMs: 30_000 });
    expect(view).toMatchObject({ state, status: 'waiting' });
    await client.call('advance_run', { run, event, payload, expectedVersion: view.version, waitMs: 0 });
  }
  await expect.poll(() => requestsOf(run), { timeout: 30_000, interval: 50 }).toHaveLength(1);
  return run;
}

const entriesOf = async (run: string, procedure: string) =>
  (await sandbox.journal()).filter((entry) => entry.procedure === procedure && entry.applied && JSON.stringify(entry.body).includes(run));
const requestsOf = (run: string) => entriesOf(run, 'compose.deploy');

/** On Windows a signal ends a process without a word. */
const ways = process.platform === 'win32' ? (['stdin'] as const) : (['stdin', 'SIGTERM'] as const);

test.each(ways)(
  'a server that is left by %s in the middle of a deployment is followed by a worker that finishes it once',
  async (how) => {
    await sandbox.setFaults(['slow-deploy']);
    const run = await toDeploying(`left-by-${how.toLowerCase()}`);
    const [server] = alive();
    if (how === 'stdin') await client.close();
    else process.kill(client.pid, how);
    await expect.poll(alive, { timeout: 10_000, interval: 20 }).not.toContain(server);
    await expect.poll(alive, { timeout: 10_000, interval: 20 }).toHaveLength(1);
    expect(await entriesOf(run, 'job.deploy'), 'the deployment is still under way').toEqual([]);
    await expect.poll(alive, { timeout: 60_000, interval: 100 }).toEqual([]);

    const shown = jsonOf(await capstan(place.home, ['runs', 'show', run, '--json']));
    expect(shown).toMatchObject({ state: 'verified', status: 'waiting' });
    expect(await requestsOf(run)).toHaveLength(1);
    expect(await entriesOf(run, 'job.deploy')).toHaveLength(1);
    expect(countAppliedTwice(await sandbox.journal())).toBe(0);
    expect(leftoversOf(await sandbox.journal(), run)).toHaveLength(2);
  },
  120_000,
);
