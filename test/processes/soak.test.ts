/**
 * Eight processes on one home advance, claim and roll back 200 runs while they are killed and stopped at random (engine.md, head).
 * CAPSTAN_TEST_SOAK_SECONDS sets how long (default 20), CAPSTAN_TEST_SEED plays a seed again.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import type { Desk } from '../../src/desk.ts';
import { type Child, createChildren } from '../helpers/children.ts';
import { openRelayDesk } from '../helpers/desk.ts';
import { askWorld, type WorldState } from '../helpers/fake-world.ts';
import { createRandom } from '../helpers/random.ts';
import type { SoakLine } from '../helpers/soak-process.ts';

const seconds = Number(process.env['CAPSTAN_TEST_SOAK_SECONDS'] ?? 20);
const seed = Number(process.env['CAPSTAN_TEST_SEED'] ?? Date.now() % 1_000_000);
const processes = 8;
const runs = 200;

const children = createChildren();
const home = mkdtempSync(join(tmpdir(), 'capstan-soak-'));
let desk: Desk | undefined;
afterEach(async () => {
  await children.endAll();
  desk?.close();
  rmSync(home, { recursive: true, force: true });
});

type Window = Extract<SoakLine, { say: 'window' }>;
type Won = Extract<SoakLine, { say: 'won' }>;
type Heard = { won: Won[]; windows: Window[]; faults: string[]; refused: Map<string, string[]> };
type Worker = { child: Child; ready: Promise<void>; stops: { from: number; to: number }[] };

function startWorker(world: string, index: number, heard: Heard): Worker {
  const child = children.start('soak-process', [home, world, String(seed + index), String(runs)]);
  const stops: Worker['stops'] = [];
  let isReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    isReady = resolve;
  });
  const listen = async () => {
    for (;;) {
      const line: SoakLine = JSON.parse(await child.line()); // printed by soak-process.ts in this shape
      if (line.say === 'ready') isReady();
      if (line.say === 'won') heard.won.push(line);
      if (line.say === 'fault') heard.faults.push(line.text);
      if (line.say === 'refused') heard.refused.set(line.code, [...(heard.refused.get(line.code) ?? []), line.message]);
      // What a stopped process did not do while it was stopped says nothing.
      if (line.say === 'window' && !stops.some((stop) => stop.from <= line.to && line.from <= stop.to)) heard.windows.push(line);
    }
  };
  listen().catch(() => isReady()); // it ended
  void child.ended.then(() => child.stderr() !== '' && heard.faults.push(child.stderr()));
  return { child, ready, stops };
}

/** Kills (6 of 10) or stops for a while a random worker, again and again. */
async function disturb(workers: Worker[], restart: (index: number) => Worker): Promise<{ kills: number; stops: number }> {
  const random = createRandom(seed);
  const done = { kills: 0, stops: 0 };
  for (const until = Date.now() + seconds * 1_000; Date.now() < until; await wait(200 + random() * 300)) {
    const index = Math.floor(random() * workers.length);
    const worker = workers[index];
    if (!worker) continue;
    if (random() < 0.6) {
      worker.child.kill('SIGKILL');
      await worker.child.ended;
      workers[index] = restart(index + processes * ++done.kills);
    } else {
      const stop = { from: Date.now(), to: Number.POSITIVE_INFINITY };
      worker.stops.push(stop);
      worker.child.kill('SIGSTOP');
      done.stops++;
      void wait(200 + random() * 1_300).then(() => {
        worker.child.kill('SIGCONT');
        stop.to = Date.now() + 100;
      });
    }
  }
  await wait(1_600); // the last stop is over
  return done;
}

const quantile = (values: number[], q: number): number => [...values].sort((a, b) => a - b)[Math.floor(values.length * q)] ?? 0;
const count = (values: readonly string[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
};

/** Answers that a person gets when another one was faster; nothing else may reach a caller. */
const fair = ['RUN_MOVED', 'EVENT_NOT_ACCEPTED', 'APPROVAL_STALE', 'ROLLBACK_RUNNING', 'RUN_ENDED', 'POINT_OF_NO_RETURN'];

// Windows can neither stop a process nor let it go on.
test.skipIf(process.platform === 'win32')(
  `eight processes on ${runs} runs for ${seconds} s, killed and stopped at random: one winner each, nothing twice, nothing lost (seed ${seed})`,
  async () => {
    const world = await children.start('world-process', []).line();
    desk = await openRelayDesk(home, world);
    const { engine, store } = desk;
    const ids: string[] = [];
    for (let n = 0; n < runs; n++)
      ids.push((await engine.start({ workflow: 'relay', name: `run-${n}` }, { principal: 'p', door: 't' })).runId);

    const heard: Heard = { won: [], windows: [], faults: [], refused: new Map() };
    const start = (index: number) => startWorker(world, index, heard);
    const workers = Array.from({ length: processes }, (_, index) => start(index));
    await Promise.all(workers.map((worker) => worker.ready));
    const done = await disturb(workers, start);
    for (const { child } of workers) child.send('drain');
    const views = [];
    for (const id of ids) views.push(await engine.waitFor(id, { waitMs: 60_000 }));
    for (const { child } of workers) child.send('stop');
    await Promise.all(workers.map(({ child }) => child.ended));

    const { journal, standing } = await askWorld<WorldState>(world, '/state');
    const rows = (await Promise.all(ids.map((id) => store.effects(id)))).flat();
    const events = (await Promise.all(ids.map((id) => store.events(id, { after: 0, limit: 100_000 })))).flat();
    const probes = (await Promise.all(ids.map((id) => store.attempts(id)))).flat().filter((row) => row.step === 'probe').length;
    const loopMs = heard.windows.map((window) => window.loopMs);
    const storeMs = heard.windows.map((window) => window.storeMs);
    const lockMs = heard.windows.map((window) => window.lockMs);
    const figures = (values: number[]) => ({ p99: Math.round(quantile(values, 0.99)), max: Math.round(Math.max(...values)) });
    console.log(
      JSON.stringify({
        seed,
        seconds,
        ...done,
        events: events.length,
        applied: journal.filter((entry) => entry.op === 'apply').length,
        undone: journal.filter((entry) => entry.op === 'undo').length,
        probes,
        rollbacks: events.filter((event) => event.type === 'capstan.rolled_back').length,
        refused: Object.fromEntries([...heard.refused].map(([code, texts]) => [code, texts.length])),
        eventLoopMs: figures(loopMs),
        storeMsPerTurn: figures(storeMs),
        lockWaitMsPerTurn: figures(lockMs),
      }),
    );

    expect(heard.faults, 'no process logged an error').toEqual([]);
    expect([...heard.refused].filter(([code]) => !fair.includes(code))).toEqual([]);
    const states = count(views.map((view) => `${view.status} ${view.state}`));
    expect([...states.keys()].filter((key) => !['waiting asking', 'waiting resting', 'waiting broken', 'done done'].includes(key))).toEqual(
      [],
    );

    expect(
      [...count(heard.won.map((line) => `${line.run} ${line.version}`))].filter(([, n]) => n > 1),
      'one winner each',
    ).toEqual([]);
    const told = new Set(events.map((event) => `${event.runId} ${event.seq} ${event.type}`));
    expect(
      heard.won.filter((line) => !told.has(`${line.run} ${line.version + 1} ${line.event}`)),
      'no answered event is lost',
    ).toEqual([]);

    expect(
      [...count(journal.map((entry) => `${entry.op} ${entry.key}`))].filter(([, n]) => n > 1),
      'nothing twice',
    ).toEqual([]);
    const known = rows
      .filter((row) => row.kind === 'do' && row.outside === 'applied' && row.contract !== 'world.look@1')
      .map((row) => row.key);
    expect(Object.keys(standing).sort(), 'the ledger says what stands').toEqual(known.sort());
    expect(rows.filter((row) => row.worker !== null || !['done', 'failed', 'cancelled', 'undone'].includes(row.status))).toEqual([]);

    const kept = await engine.list({ limit: 1_000 });
    expect(new Set(kept.map((row) => row.runId))).toEqual(new Set(ids));
    for (const { runId, version } of kept) {
      const seqs = events.filter((event) => event.runId === runId).map((event) => event.seq);
      expect(seqs).toEqual(Array.from({ length: version }, (_, index) => index + 1));
    }

    expect(done.kills, 'enough was disturbed to mean something').toBeGreaterThan(seconds / 2);
    expect(probes).toBeGreaterThan(0);
    // The event loop's delay and the synced commits are printed only: on a busy machine they say how busy processor and disk are.
    expect(quantile(lockMs, 0.99), 'waiting for the store never stops the event loop for 250 ms').toBeLessThan(250);
  },
  (seconds + 120) * 1_000,
);
