/** The engine's own cost: runs of ten no-op effects, each step durable. Prints one JSON line. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMachine } from 'xstate';
import { z } from 'zod';
import { actorOf, defineEffect } from '../../machines/effects/contract.ts';
import { openDesk } from '../../src/desk.ts';
import { defineHandler, type Handler } from '../../src/effects/handler.ts';
import { createHands } from '../../src/effects/hands.ts';
import { toJsonSchema } from '../../src/json-schema.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';

const nothing = defineEffect({ name: 'bench.doNothing@1', title: 'Nothing', input: z.object({}), output: z.object({}), readOnly: true });
const steps = 10;
const states = Object.fromEntries(
  Array.from({ length: steps }, (_, i) => [
    `s${i}`,
    {
      invoke: {
        id: `e${i}`,
        src: nothing.name,
        input: {},
        onDone: { target: i + 1 < steps ? `s${i + 1}` : 'end' },
        onError: { target: 'end' },
      },
    },
  ]),
);
const machine = createMachine({
  id: 'bench',
  initial: 's0',
  states: { ...states, end: { type: 'final', meta: { outcome: 'done' } } },
}).provide({
  actors: { [nothing.name]: actorOf(nothing) },
});

const home = mkdtempSync(join(tmpdir(), 'capstan-bench-'));
const scrubber = createScrubber();
const desk = await openDesk({
  home,
  workflows: [
    { name: 'bench', title: 'Bench', description: '', aliases: [], revision: 1, machine, input: z.strictObject({}), steps: [], show: [] },
  ],
  contracts: { [nothing.name]: nothing },
  hands: ({ vault, clock }) =>
    createHands({
      handlers: { [nothing.name]: defineHandler(nothing, { run: async () => ({}) }) } as unknown as Record<
        string,
        Handler<never, unknown, never>
      >, // one handler of one contract
      now: clock.now,
      wait: clock.wait,
      vault,
      dokploy: () => Promise.reject(new Error('none')),
    }),
  toJsonSchema,
  log: createLog({ level: 'silent', scrubber }),
  scrubber,
  readVariable: () => undefined,
});
desk.worker.start();
const me = { principal: 'bench', door: 'bench' };
const oneRun = async (): Promise<number> => {
  const began = performance.now();
  const { runId } = await desk.engine.start({ workflow: 'bench' }, me);
  for (;;) {
    const view = await desk.engine.waitFor(runId, { waitMs: 10_000 });
    if (view.status === 'done') return performance.now() - began;
  }
};
for (let i = 0; i < 20; i++) await oneRun();
const single = [];
for (let i = 0; i < 100; i++) single.push(await oneRun());
single.sort((a, b) => a - b);
const began = performance.now();
const many = 200;
await Promise.all(Array.from({ length: many }, oneRun));
const seconds = (performance.now() - began) / 1000;
process.stdout.write(
  `${JSON.stringify({ tenStepRunP50Ms: single[50], tenStepRunP99Ms: single[98], stepsPerSecond: Math.round((many * steps) / seconds) })}\n`,
);
await desk.worker.stop(1_000);
desk.close();
rmSync(home, { recursive: true, force: true });
process.exit(0);
