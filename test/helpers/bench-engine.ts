/** One process of the engine's bench; prints one JSON line. Arguments: what, home, count. See scripts/bench.mjs. */
import { createMachine } from 'xstate';
import { z } from 'zod';
import { actorOf, defineEffect } from '../../machines/effects/contract.ts';
import { noPayload } from '../../machines/effects/meta.ts';
import { type Desk, openDesk } from '../../src/desk.ts';
import { defineHandler, type Handler } from '../../src/effects/handler.ts';
import { createHands } from '../../src/effects/hands.ts';
import type { Store } from '../../src/engine/ports.ts';
import { toJsonSchema } from '../../src/json-schema.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';

const [what = 'run', home = '', countText = '200'] = process.argv.slice(2);
const count = Number(countText);
const me = { principal: 'bench', door: 'bench' };
const steps = 10;

const nothing = defineEffect({
  name: 'bench.doNothing@1',
  title: 'Nothing',
  input: z.object({ step: z.number() }),
  output: z.object({}),
  readOnly: true,
  timeoutMs: 600_000,
});
const states = Object.fromEntries(
  Array.from({ length: steps }, (_, i) => [
    `s${i}`,
    {
      invoke: {
        id: `e${i}`,
        src: nothing.name,
        input: { step: i },
        onDone: { target: i + 1 < steps ? `s${i + 1}` : 'end' },
        onError: { target: 'end' },
      },
    },
  ]),
);
const actors = { [nothing.name]: actorOf(nothing) };
const tenSteps = createMachine({
  id: 'ten-steps',
  initial: 's0',
  states: { ...states, end: { type: 'final', meta: { outcome: 'done' } } },
}).provide({ actors });
const waiting = createMachine({
  id: 'waits',
  initial: 'a',
  states: {
    a: { meta: { title: 'Waits', events: { go: { title: 'Go', payload: noPayload } } }, on: { go: 'b' } },
    b: { meta: { title: 'Waits', events: { go: { title: 'Go', payload: noPayload } } }, on: { go: 'a' } },
  },
});
const common = { description: '', aliases: [], revision: 1, input: z.strictObject({}), steps: [], show: [] };

/** In `half` nobody takes the sixth step, so that a SIGKILL finds every run with half of its steps done. */
function open(): Promise<Desk> {
  const scrubber = createScrubber();
  const run = async () => ({});
  const handlers = { [nothing.name]: defineHandler(nothing, { run }) } as unknown as Record<string, Handler<never, unknown, never>>; // one handler of one contract
  return openDesk({
    home,
    workflows: [
      { ...common, name: 'ten-steps', title: 'Ten steps', machine: tenSteps },
      { ...common, name: 'waits', title: 'Waits', machine: waiting },
    ],
    contracts: { [nothing.name]: nothing },
    hands: ({ vault, clock }) =>
      createHands({
        handlers,
        now: clock.now,
        wait: clock.wait,
        vault,
        dokploy: () => Promise.reject(new Error('none')),
        target: () => Promise.reject(new Error('none')),
        snapshots: async () => [],
      }),
    toJsonSchema,
    log: createLog({ level: 'silent', scrubber }),
    scrubber,
    readVariable: () => undefined,
    ...(what === 'half' ? { wrapStore: withoutSixthStep } : {}),
  });
}

function withoutSixthStep(store: Store): Store {
  return {
    ...store,
    commit: (change) =>
      store.commit(
        change.open?.some((row) => row.invokeId === 'e5') ? { ...change, open: change.open.map(({ claim: _, ...row }) => row) } : change,
      ),
    async claimDue(options) {
      const rows = await store.claimDue(options);
      const sixth = rows.filter((row) => row.invokeId === 'e5');
      for (const row of sixth) await store.release(row.key, row.token ?? '', { notBefore: options.now });
      return rows.filter((row) => row.invokeId !== 'e5');
    },
  };
}

const sorted = (values: number[]) => values.sort((a, b) => a - b);
const at = (values: number[], share: number) => sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;
const print = (figures: object) => process.stdout.write(`${JSON.stringify(figures)}\n`);

async function oneRun(desk: Desk): Promise<number> {
  const began = performance.now();
  const { runId } = await desk.engine.start({ workflow: 'ten-steps' }, me);
  while ((await desk.engine.waitFor(runId, { waitMs: 60_000 })).status !== 'done');
  return performance.now() - began;
}

/** `count` runs, 50 at a time. */
async function manyRuns(desk: Desk): Promise<void> {
  let left = count;
  await Promise.all(
    Array.from({ length: 50 }, async () => {
      while (left-- > 0) await oneRun(desk);
    }),
  );
}

/** Rows as `start` would leave them, written in bulk. */
function fill(total: number): void {
  const { sqlite, close } = openDatabase(`${home}/capstan.db`);
  const [row] = sqlite.prepare("select * from runs where workflow = 'waits' limit 1").all() as Record<string, unknown>[];
  if (!row) throw new Error('no run to copy');
  const columns = Object.keys(row);
  const insert = sqlite.prepare(`insert into runs (${columns.join(',')}) values (${columns.map(() => '?').join(',')})`);
  sqlite.transaction(() => {
    for (let i = 0; i < total; i++)
      insert.run(columns.map((name) => (name === 'id' ? `${String(row['id']).slice(0, 20)}${String(i).padStart(16, '0')}` : row[name])));
  })();
  close();
}

async function measureAt(desk: Desk, stored: number) {
  const { runId } = await desk.engine.start({ workflow: 'waits' }, me);
  fill(Math.max(0, stored - 1));
  const inspect: number[] = [];
  const advance: number[] = [];
  for (let i = 0; i < 300; i++) {
    const began = performance.now();
    await desk.engine.inspect(runId);
    inspect.push(performance.now() - began);
    if (i % 3 !== 0) continue;
    const again = performance.now();
    await desk.engine.advance({ run: runId, event: 'go' }, me);
    advance.push(performance.now() - again);
  }
  return { stored, inspectP50Ms: at(inspect, 0.5), inspectP99Ms: at(inspect, 0.99), advanceP50Ms: at(advance, 0.5) };
}

const desk = await open();
switch (what) {
  case 'run': {
    desk.worker.start();
    for (let i = 0; i < 20; i++) await oneRun(desk);
    const single: number[] = [];
    for (let i = 0; i < 100; i++) single.push(await oneRun(desk));
    print({ p50Ms: at(single, 0.5), p99Ms: at(single, 0.99) });
    break;
  }
  case 'many':
    desk.worker.start();
    process.stdout.write('ready\n');
    process.stdin.once('data', async () => {
      await manyRuns(desk);
      print({ done: count });
      process.exit(0);
    });
    await new Promise(() => undefined);
    break;
  case 'half': {
    desk.worker.start();
    for (let i = 0; i < count; i++) await desk.engine.start({ workflow: 'ten-steps' }, me);
    const early = async () => (await desk.engine.list({ limit: 10_000 })).filter((row) => row.state !== 's5').length;
    while ((await early()) > 0) await new Promise((resolve) => setTimeout(resolve, 100));
    print({ half: count });
    await new Promise(() => undefined);
    break;
  }
  case 'recover': {
    desk.worker.start();
    while ((await desk.store.openCount()) > 0) await new Promise((resolve) => setTimeout(resolve, 20));
    print({ sinceStartMs: performance.now() });
    break;
  }
  case 'scale':
    print(await measureAt(desk, count));
    break;
  case 'idle':
    desk.worker.start();
    await new Promise((resolve) => setTimeout(resolve, count));
    print({ cpuMs: process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000, sinceStartMs: performance.now() });
    break;
  default:
    throw new Error(`the bench knows no ${what}`);
}
process.exit(0);
