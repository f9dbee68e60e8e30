/** Status, metrics, audit and watching (engine.md L3), through the real CLI and over a desk with known rows. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { metricsText } from '../../src/cli/metrics.ts';
import { systemClock } from '../../src/clock.ts';
import type { Desk } from '../../src/desk.ts';
import { createLog } from '../../src/log.ts';
import { createOperations, type Operations } from '../../src/operations.ts';
import { packageFile } from '../../src/package-root.ts';
import { createScrubber } from '../../src/scrub.ts';
import { beginWorking } from '../../src/store/working.ts';
import { capstan, jsonOf } from '../helpers/cli.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { mainFile } from '../helpers/mcp-clients.ts';

const me = { principal: 'tester', door: 'test' };
const examples = packageFile('examples');

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
const children: ChildProcess[] = [];
const opened: { desk: Desk; operations: Operations }[] = [];
beforeEach(async () => {
  place = temporaryHome();
  world = await startWorld();
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  for (const { desk, operations } of opened.splice(0)) {
    await desk.worker.stop(500);
    operations.close();
    desk.close();
  }
  await world.close();
  place.remove();
});

async function open(offset = { ms: 0 }): Promise<{ desk: Desk; operations: Operations }> {
  const clock = { ...systemClock, now: () => Date.now() + offset.ms };
  const desk = await openRelayDesk(place.home, world.url, undefined, clock);
  const operations = createOperations({ desk, clock, log: createLog({ level: 'silent', scrubber: createScrubber() }) });
  opened.push({ desk, operations });
  return { desk, operations };
}

function start(...args: string[]): { child: ChildProcess; lines: () => string[] } {
  const child = spawn(process.execPath, [mainFile, ...args], {
    env: { CAPSTAN_HOME: place.home, PATH: process.env['PATH'] ?? '', HOME: place.home, CAPSTAN_LOG: 'silent' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return { child, lines: () => text.split('\n').filter((line) => line !== '') };
}

test('a run that works says so when no process does, and no longer once one does', async () => {
  const { desk } = await open();
  const { runId } = await desk.engine.start({ workflow: 'relay', name: 'left' }, me);
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  const shown = jsonOf(await capstan(place.home, ['runs', 'show', 'left', '--json']));
  expect(shown).toMatchObject({ status: 'working', next: { who: 'human', say: expect.stringContaining('capstan worker') } });
  expect(shown).toMatchObject({ warnings: [{ code: 'NO_WORKER' }] });
  desk.worker.start();
  const { warnings, next } = await desk.engine.inspect(runId);
  expect({ warnings, next }).toMatchObject({ warnings: [], next: { who: expect.not.stringMatching('human') } });
});

test('the status counts runs by what they are, and says what is late and that nobody works', async () => {
  const offset = { ms: 0 };
  const { desk, operations } = await open(offset);
  const waiting = await desk.engine.start({ workflow: 'relay', name: 'waiting' }, me);
  const left = await desk.engine.start({ workflow: 'relay', name: 'left' }, me);
  await desk.engine.advance({ run: left.runId, event: 'leave' }, me);
  const held = await desk.engine.start({ workflow: 'relay', name: 'held' }, me);
  await desk.engine.hold(held.runId, me);
  expect(await operations.status()).toMatchObject({
    runs: { waiting: 1, failed: 1, held: 1 },
    effects: { intent: 0, running: 0, cancelling: 0, doubtful: 0 },
    oldestDue: null,
    openApprovals: 0,
    workers: 0,
    stranded: 0,
  });

  await desk.engine.advance({ run: waiting.runId, event: 'go' }, me);
  offset.ms = 90_000;
  const now = await operations.status();
  expect(now).toMatchObject({ runs: { working: 1, failed: 1, held: 1 }, effects: { intent: 1 } });
  expect(now.oldestDue?.lateMs).toBeGreaterThanOrEqual(90_000);
  expect(now.databaseBytes).toBeGreaterThan(4_096);
  expect(now.walBytes).toBeGreaterThan(0);

  desk.worker.start();
  expect(await desk.engine.waitFor(waiting.runId, { waitMs: 10_000 })).toMatchObject({ state: 'resting' });
  await desk.engine.advance({ run: waiting.runId, event: 'finish' }, me).catch(() => undefined);
  expect(await operations.status()).toMatchObject({ runs: { waiting: 1 }, openApprovals: 1, attempts: { open: 0, most: 0 } });
});

test('a run that waits for the lock of another is counted as blocked, not as late', async () => {
  const offset = { ms: 0 };
  const { desk, operations } = await open(offset);
  desk.worker.start();
  const begin = async (name: string) => {
    const { runId } = await desk.engine.start({ workflow: 'relay', name, input: { lock: 'world' } }, me);
    await desk.engine.advance({ run: runId, event: 'go' }, me);
    return runId;
  };
  const one = await begin('one');
  await desk.engine.waitFor(one, { waitMs: 10_000 });
  const two = await begin('two');
  await vi.waitFor(async () => expect(await desk.engine.inspect(two)).toMatchObject({ status: 'blocked' }), { timeout: 10_000 });
  offset.ms = 60_000;
  expect(await operations.status()).toMatchObject({ runs: { waiting: 1, blocked: 1 }, locksHeld: 1, lockWaits: 1, oldestDue: null });
  expect((await operations.audit({ runId: one, limit: 1 }))[0]).toMatchObject({ action: 'advance go', target: ['world'] });
});

test('the metrics are Prometheus text with every status, also those of nobody', async () => {
  const { desk, operations } = await open();
  await desk.engine.start({ workflow: 'relay', name: 'waiting' }, me);
  const lines = metricsText(await operations.status())
    .trimEnd()
    .split('\n');
  expect(lines).toContain('capstan_runs{status="waiting"} 1');
  expect(lines).toContain('capstan_runs{status="needs_attention"} 0');
  expect(lines).toContain('# TYPE capstan_database_bytes gauge');
  for (const line of lines) expect(line).toMatch(/^(# (HELP|TYPE) capstan_[a-z_]+ .+|capstan_[a-z_]+(\{[a-z]+="[a-z_]+"\})? \d+(\.\d+)?)$/);
});

test('a process counts as a worker from its start to its death; one that only looks does not', async () => {
  const { operations } = await open();
  const status = async () => jsonOf(await capstan(place.home, ['status', '--json']));
  expect(await status()).toMatchObject({ workers: 0 });
  const { child } = start('worker');
  await vi.waitFor(() => expect(operations.workers()).toBe(1), { timeout: 10_000 });
  expect(await status()).toMatchObject({ workers: 1 });
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(operations.workers()).toBe(0);
  const metrics = await capstan(place.home, ['status', '--metrics']);
  expect(metrics.stdout).toContain('capstan_workers 0\n');
  expect((await capstan(place.home, ['status'])).stdout).toMatch(/^Workers {3}0$/m);
});

test('watch follows one run to where it rests, with a JSON line per change', async () => {
  const { desk } = await open();
  const { runId } = await desk.engine.start({ workflow: 'relay', name: 'followed' }, me);
  await desk.engine.hold(runId, me);
  await desk.engine.advance({ run: runId, event: 'go' }, me).catch(() => undefined);
  await desk.engine.release(runId, me);
  expect(await desk.engine.inspect(runId)).toMatchObject({ status: 'working', state: 'one' });
  const watching = start('runs', 'watch', 'followed', '--json');
  await vi.waitFor(() => expect(watching.lines()).toEqual([expect.stringContaining('one')]), { timeout: 10_000 });
  const worker = beginWorking(desk.home);
  desk.worker.start();
  const [exit] = await once(watching.child, 'exit');
  worker.end();
  expect(exit).toBe(3); // it rests and waits for somebody; this command does not know the relay, so that is a person
  const lines = watching.lines().map((line) => JSON.parse(line) as { name: string; state: string; status: string; version: number });
  expect(lines[0]).toMatchObject({ name: 'followed', state: 'one', status: 'working' });
  expect(lines.at(-1)).toMatchObject({ name: 'followed', state: 'resting', status: 'waiting' });
  const versions = lines.map((line) => line.version);
  expect(versions).toEqual([...versions].sort((a, b) => a - b));
});

test('watch without a run ends when nothing works; where nobody works it says so and fails', async () => {
  const idle = await capstan(place.home, ['runs', 'watch']);
  expect(idle).toMatchObject({ exit: 0, stdout: expect.stringContaining('Nothing works.') });
  const { desk } = await open();
  const { runId } = await desk.engine.start({ workflow: 'relay', name: 'stuck' }, me);
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  const stuck = await capstan(place.home, ['runs', 'watch']);
  expect(stuck.exit).toBe(1);
  expect(stuck.stdout).toContain('stuck  working  one');
  expect(stuck.stdout).toContain('start capstan worker');
});

test('two looks and a worker: a command that leaves work behind is not held back by a process that only looks', async () => {
  const { desk, operations } = await open();
  const file = join(place.home, 'note.txt');
  const run = ['--workflows', examples];
  const started = jsonOf(
    await capstan(place.home, ['run', 'publish-note', ...run, '--name', 'n', '--set', `file=${file}`, '--set', 'text=Hi', '--json']),
  );
  expect(started).toMatchObject({ state: 'written' });
  expect(operations.workers()).toBe(0);
  // Going back to the start needs an undo, which somebody must carry out after this command has gone.
  await desk.store.commit({
    runId: String(started['runId']),
    expect: Number(started['version']),
    at: Date.now(),
    event: {
      type: 'capstan.rollback_requested',
      payload: { to: 0, undo: [] },
      source: 'principal',
      principal: 'tester',
      effectKey: null,
      delivered: true,
    },
    run: {
      phase: 'rolling_back',
      rollback: { to: 0, stage: 'draining', approved: [`${started['runId']}:1:write`], principal: 'tester', requestedAt: Date.now() },
    },
    stop: '*',
    disarm: '*',
  });
  await capstan(place.home, ['release', 'n', ...run]);
  await vi.waitFor(async () => expect(await desk.engine.inspect('n')).toMatchObject({ status: 'cancelled' }), {
    timeout: 15_000,
    interval: 200,
  });
  expect(() => readFileSync(file)).toThrow();
  await vi.waitFor(() => expect(operations.workers()).toBe(0), { timeout: 15_000, interval: 200 });
});

test('the audit tells who, by which door and with which approval, newest first, page by page', async () => {
  const { desk, operations } = await open();
  const { runId } = await desk.engine.start({ workflow: 'relay', name: 'one' }, { principal: 'agent', door: 'mcp' });
  desk.worker.start();
  await desk.engine.advance({ run: runId, event: 'go' }, { principal: 'agent', door: 'mcp' });
  await desk.engine.waitFor(runId, { waitMs: 10_000 });
  await desk.engine.advance({ run: runId, event: 'finish' }, { principal: 'agent', door: 'mcp' }).catch(() => undefined);
  const [asked] = await desk.engine.pendingApprovals(runId);
  await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'cli' });
  await desk.engine.start({ workflow: 'relay', name: 'two' }, me);
  const all = await operations.audit({ limit: 100 });
  const about = all
    .filter((row) => row.runId === runId && row.outcome === 'accepted')
    .map(({ principal, door, level, action }) => ({ principal, door, level, action }));
  expect(about).toEqual([
    { principal: 'agent', door: 'cli', level: null, action: 'advance finish' },
    { principal: 'person', door: 'cli', level: 'terminal', action: 'approve advance finish' },
    { principal: 'agent', door: 'mcp', level: null, action: 'advance go' },
    { principal: 'agent', door: 'mcp', level: null, action: 'start relay' },
  ]);
  expect(await operations.audit({ runId, limit: 100 })).toEqual(all.filter((row) => row.runId === runId));
  expect(await operations.audit({ before: all[1]?.id, limit: 1 })).toEqual([all[2]]);
  const shown = await capstan(place.home, ['audit', '--run', 'one', '--limit', '2', '--json']);
  expect(jsonOf(shown)['audit']).toMatchObject([{ action: 'advance finish' }, { action: 'approve advance finish', level: 'terminal' }]);
  expect((await capstan(place.home, ['audit', '--limit', 'many'])).exit).toBe(2);
});
