import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { liveWorkers } from '../../src/store/ownership.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { type FakeServer, startFakeServer } from '../helpers/fake-dokploy.ts';
import { connect, eras, mainFile } from '../helpers/mcp-clients.ts';

let place: ReturnType<typeof temporaryHome>;
let dokploy: FakeServer;
const children: ChildProcess[] = [];
beforeEach(async () => {
  place = temporaryHome();
  dokploy = await startFakeServer();
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await dokploy.close();
  await vi.waitFor(() => expect(alive()).toEqual([]), { timeout: 15_000, interval: 50 });
  place.remove();
});

const workers = () => join(place.home, 'workers');
const alive = () => (existsSync(workers()) ? liveWorkers(workers()) : []);
const key = { TEST_DOKPLOY_KEY: 'a-key-that-is-long-enough' };
const addDokploy = async () => {
  const added = await capstan(
    place.home,
    ['dokploy', 'add', 'main', '--url', dokploy.url, '--key', 'env:TEST_DOKPLOY_KEY', '--no-check'],
    key,
  );
  expect(added).toMatchObject({ exit: 0 });
};

/** A server without a client library, to end it in every way. */
function startServer(): ChildProcess & { stdout: NonNullable<ChildProcess['stdout']>; stdin: NonNullable<ChildProcess['stdin']> } {
  const child = spawn(process.execPath, [mainFile, 'serve'], {
    env: { CAPSTAN_HOME: place.home, CAPSTAN_LOG: 'warn' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

async function exchange(server: ReturnType<typeof startServer>, ...messages: object[]): Promise<Record<string, unknown>[]> {
  const wanted = messages.filter((message) => 'id' in message).length;
  let text = '';
  for (const message of messages) server.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  while (text.split('\n').length <= wanted) text += String((await once(server.stdout, 'data'))[0]);
  return text
    .trim()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line));
}

const hello = [
  { id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } } },
  { method: 'notifications/initialized' },
];
const callTool = (id: number, name: string, args: object) => ({ id, method: 'tools/call', params: { name, arguments: args } });

test.each(['stdin', 'SIGTERM', 'SIGINT'] as const)('a server that is left by %s exits 0 within 2 s and leaves no lock', async (how) => {
  const server = startServer();
  const [first] = await exchange(server, ...hello);
  expect(first).toMatchObject({ result: { serverInfo: { name: 'capstan' }, protocolVersion: '2025-06-18' } });
  await exchange(server, callTool(2, 'list_runs', {}));
  expect(alive()).toHaveLength(1);
  const began = Date.now();
  const exited = once(server, 'exit');
  if (how === 'stdin') server.stdin.end();
  else server.kill(how);
  expect(await exited).toEqual([0, null]);
  expect(Date.now() - began).toBeLessThan(2_000);
  expect(alive()).toEqual([]);
});

test('a server whose store was never opened exits too, and has made nothing', async () => {
  const server = startServer();
  await exchange(server, ...hello);
  const exited = once(server, 'exit');
  server.stdin.end();
  expect(await exited).toEqual([0, null]);
  expect(readdirSync(place.home)).toEqual([]);
});

test('a server that nobody calls opens its home a moment after its first answer, so that unfinished runs go on', async () => {
  const server = startServer();
  await exchange(server, ...hello);
  await vi.waitFor(() => expect(alive()).toHaveLength(1), { timeout: 10_000, interval: 50 });
});

test('a run that works when its client leaves is finished by the worker left behind, which then ends', async () => {
  await addDokploy();
  dokploy.on('/api/health', { hang: true }, { status: 404, json: { message: 'Not found' } });
  const client = await connect('modern', { home: place.home });
  const { runId } = await client.call('start_workflow', { workflow: 'setup-supabase', input: { dokploy: 'main' }, waitMs: 0 });
  await vi.waitFor(() => expect(dokploy.asked).toHaveLength(1), { timeout: 10_000, interval: 20 });
  const began = Date.now();
  await client.close();
  expect(Date.now() - began).toBeLessThan(2_500);
  await vi.waitFor(() => expect(dokploy.asked.length).toBeGreaterThan(1), { timeout: 15_000, interval: 50 });
  await vi.waitFor(() => expect(alive()).toEqual([]), { timeout: 15_000, interval: 100 });
  const shown = jsonOf(await capstan(place.home, ['runs', 'show', runId, '--json']));
  expect(shown).toMatchObject({ state: 'connect', status: 'waiting', error: { code: 'DOKPLOY_NOT_RECOGNISED' } });
});

test.each(eras)('a killed server is followed by a %s client whose server goes on with the run', async (era) => {
  await addDokploy();
  dokploy.on('/api/health', { hang: true }, { status: 404, json: { message: 'Not found' } });
  const first = await connect('modern', { home: place.home });
  const { runId } = await first.call('start_workflow', { workflow: 'setup-supabase', input: { dokploy: 'main' }, waitMs: 0 });
  await vi.waitFor(() => expect(dokploy.asked).toHaveLength(1), { timeout: 10_000, interval: 20 });
  process.kill(first.pid, 'SIGKILL');
  const second = await connect(era, { home: place.home });
  expect(await second.call('inspect_run', { run: runId, waitMs: 20_000 })).toMatchObject({ state: 'connect', status: 'waiting' });
  await second.close();
});

test('eight first starts at once make one key and one schema, and all of them answer', async () => {
  const clients = await Promise.all(Array.from({ length: 8 }, (_, index) => connect(eras[index % 2] ?? 'modern', { home: place.home })));
  const answers = await Promise.all(
    clients.map((client, index) => client.call('start_workflow', { workflow: 'setup-supabase', name: `run-${index}` })),
  );
  expect(new Set(answers.map((answer) => answer.runId)).size).toBe(8);
  const listed = await clients[0]?.raw('list_runs', {});
  expect(listed?.structuredContent?.['runs']).toHaveLength(8);
  await Promise.all(clients.map((client) => client.close()));
  expect(readdirSync(place.home).filter((name) => name.startsWith('key.json'))).toEqual(['key.json']);
});

test.runIf(process.platform === 'linux')('an idle server holds less than 100 MB with its store open', async () => {
  const server = startServer();
  await exchange(server, ...hello);
  await exchange(server, callTool(2, 'list_runs', {}));
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8')) ?? [];
  expect(Number(kilobytes) / 1024).toBeLessThan(100);
  expect(Number(kilobytes) / 1024).toBeGreaterThan(40); // less is no server
});
