/** engine.md S6: a planted secret is looked for everywhere that something could have written it. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { liveWorkers } from '../../src/store/ownership.ts';
import { capstan, type Ended } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { type FakeServer, startFakeServer } from '../helpers/fake-dokploy.ts';
import { connect } from '../helpers/mcp-clients.ts';

const canary = 'canary-7f3a9c51e2b84d06';
const forms = [
  canary,
  encodeURIComponent(canary),
  Buffer.from(canary).toString('base64').replace(/=+$/, ''),
  Buffer.from(canary).toString('hex'),
];

let place: ReturnType<typeof temporaryHome>;
let server: FakeServer;
beforeEach(async () => {
  place = temporaryHome();
  server = await startFakeServer();
});
afterEach(async () => {
  await server.close();
  place.remove();
});

const found = (text: string) => forms.filter((form) => text.includes(form));

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile());
}

/** What other processes of this machine say of themselves; empty where there is no /proc. */
function processTexts(what: 'cmdline' | 'environ', pids?: readonly string[]): string {
  const all = process.platform === 'linux' ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : [];
  return (pids ?? all)
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/${what}`, 'latin1');
      } catch {
        return ''; // ended meanwhile, or another user's
      }
    })
    .join('\n');
}

/** Processes left behind for this home. */
function workerPids(): string[] {
  if (process.platform !== 'linux') return [];
  const mine = (pid: string) =>
    processTexts('cmdline', [pid]).includes('--until-idle') && processTexts('environ', [pid]).includes(place.home);
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && mine(name));
}

test('a key handed over by reference is in no output, no file of the home, no command line and no left-behind environment', async () => {
  // The outside repeats the key in its answers, as careless servers do.
  const echo = { status: 500, json: { message: `the key ${canary} is broken`, stack: `x-api-key: ${canary}` } };
  server.on('/api/health', { json: { ok: true } }, { json: { ok: true } }, { hang: true }, { json: { ok: true } });
  server.on('/api/settings.getDokployVersion', echo);
  const env = { PLANTED_KEY: canary, CAPSTAN_LOG: 'trace' };
  const add = ['dokploy', 'add', 'main', '--url', server.url, '--key', 'env:PLANTED_KEY'];
  const outputs: Ended[] = [await capstan(place.home, add, env), await capstan(place.home, [...add, '--no-check'], env)];
  expect(outputs.map((output) => output.exit)).toEqual([1, 0]);
  outputs.push(await capstan(place.home, ['check', '--json'], env), await capstan(place.home, ['dokploy', 'list', '--json'], env));

  const client = await connect('modern', { home: place.home, env });
  const told: string[] = [];
  const { runId } = await client.call('start_workflow', { workflow: 'setup-supabase', input: { dokploy: 'main' }, waitMs: 0 });
  await vi.waitFor(() => expect(server.asked.filter((asked) => asked.path === '/api/health')).toHaveLength(3), { timeout: 10_000 });
  told.push(JSON.stringify(await client.raw('inspect_run', { run: runId, view: 'effects' })));
  told.push(JSON.stringify(await client.raw('advance_run', { run: runId, event: 'name', payload: { name: canary } })));
  expect(processTexts('cmdline')).not.toContain(canary);
  await client.close();
  told.push(client.stderr());

  // The left-behind worker goes on with the hanging call, without our environment.
  if (process.platform === 'linux') {
    await vi.waitFor(() => expect(workerPids()).not.toEqual([]), { timeout: 10_000, interval: 20 });
    expect(found(processTexts('environ', workerPids()))).toEqual([]);
  }
  await vi.waitFor(() => expect(server.asked.filter((asked) => asked.path === '/api/health').length).toBeGreaterThan(3), {
    timeout: 20_000,
    interval: 50,
  });
  expect(found(processTexts('cmdline'))).toEqual([]);

  // Files are read by this process, which has no store open: reading would drop the locks of one that has (S6).
  const files = filesUnder(place.home);
  expect(files.some((path) => path.endsWith('capstan.db'))).toBe(true);
  for (const path of files) expect(found(readFileSync(path, 'latin1')), path).toEqual([]);
  expect(found(outputs.map(({ stdout, stderr }) => stdout + stderr).join('\n'))).toEqual([]);
  expect(found(told.join('\n'))).toEqual([]);

  const shown = await capstan(place.home, ['runs', 'show', runId, '--json'], env);
  expect(found(shown.stdout + shown.stderr)).toEqual([]);
  // The server did see it: the canary was alive all the time.
  expect(server.asked.some((asked) => asked.headers['x-api-key'] === canary)).toBe(true);
  for (const pid of workerPids()) process.kill(Number(pid), 'SIGTERM');
  await vi.waitFor(() => expect(liveWorkers(join(place.home, 'workers'))).toEqual([]), { timeout: 10_000, interval: 50 });
});
