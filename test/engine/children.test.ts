import { afterEach, beforeEach, expect, test } from 'vitest';
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { actorOf, defineEffect } from '../../machines/effects/contract.ts';
import { noPayload } from '../../machines/effects/meta.ts';
import { type Desk, openDesk } from '../../src/desk.ts';
import type { ContractLike } from '../../src/engine/hands-port.ts';
import type { WorkflowLike } from '../../src/engine/registration.ts';
import { AppError } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { askWorld, startWorld } from '../helpers/fake-world.ts';
import { relay, relayContracts, relayHands, toJsonSchema } from '../helpers/relay.ts';

const me = { principal: 'tester', door: 'test' };
const runRelay = defineEffect({
  name: 'run.relay@1',
  title: 'Run the relay',
  child: 'relay',
  input: z.object({ lock: z.string().optional() }),
  output: z.looseObject({ ids: z.array(z.string()) }),
});

/** Asks, runs the relay as a child, rests, and can go back. */
function parentOf(contract: typeof runRelay, name = 'parent'): WorkflowLike {
  const machine = setup({
    types: { context: {} as { ids: string[]; error: unknown }, events: {} as { type: 'go' } | { type: 'stop' } | { type: 'leave' } },
    actors: { [contract.name]: actorOf(contract) },
  }).createMachine({
    id: name,
    context: { ids: [], error: null },
    initial: 'asking',
    states: {
      asking: {
        meta: { title: 'Begin?', checkpoint: 'asking', events: { go: { title: 'Begin', payload: noPayload } } },
        on: { go: 'relaying' },
      },
      relaying: {
        meta: { title: 'The relay runs', events: { stop: { title: 'Stop it', payload: noPayload } } },
        on: { stop: 'asking' },
        invoke: {
          id: 'relay',
          src: contract.name,
          input: {},
          onDone: { target: 'resting', actions: assign({ ids: ({ event }) => event.output.ids }) },
          onError: { target: 'failed', actions: assign({ error: ({ event }) => event.error }) },
        },
      },
      resting: {
        meta: { title: 'Rests', checkpoint: 'resting', events: { leave: { title: 'Leave', payload: noPayload } } },
        on: { leave: 'done' },
      },
      failed: { meta: { title: 'It failed', events: { go: { title: 'Again', payload: noPayload } } }, on: { go: 'relaying' } },
      done: { type: 'final', meta: { outcome: 'done' } },
    },
  });
  return { name, title: name, description: '', aliases: [], revision: 1, machine, input: z.strictObject({}), steps: [], show: ['ids'] };
}

let world: Awaited<ReturnType<typeof startWorld>>;
let place: ReturnType<typeof temporaryHome>;
let desk: Desk;
const logged: Record<string, unknown>[] = [];
const open = (
  workflows: WorkflowLike[] = [relay, parentOf(runRelay)],
  extra: Record<string, ContractLike> = { [runRelay.name]: runRelay },
) => {
  const scrubber = createScrubber();
  return openDesk({
    home: place.home,
    workflows,
    contracts: { ...relayContracts, ...extra },
    hands: relayHands(world.url),
    toJsonSchema,
    log: createLog({ level: 'debug', scrubber, write: (line) => logged.push(JSON.parse(line)) }),
    scrubber,
    readVariable: () => undefined,
  });
};
beforeEach(async () => {
  world = await startWorld();
  place = temporaryHome();
  desk = await open();
  desk.worker.start();
});
afterEach(async () => {
  await desk.worker.stop(1_500);
  desk.close();
  await world.close();
  place.remove();
});

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof AppError ? error.code : String(error)),
  );
const approve = async (run: string) => {
  const [asked] = await desk.engine.pendingApprovals(run);
  return desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
};
const until = async (run: string, state: string, status = 'waiting') => {
  for (;;) {
    const view = await desk.engine.inspect(run);
    if (view.state === state && view.status === status) return view;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
const begin = async () => {
  const { runId } = await desk.engine.start({ workflow: 'parent', name: 'top' }, me);
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  await until('top/relay', 'asking');
  return runId;
};
const finishChild = async () => {
  await desk.engine.advance({ run: 'top/relay', event: 'go' }, me);
  await until('top/relay', 'resting');
  await codeOf(desk.engine.advance({ run: 'top/relay', event: 'finish' }, me));
  await approve('top/relay');
};
const standing = () => Object.values(world.state().standing).sort();

test('the child is begun with the parent, takes its own events, and its end is the parent’s outcome', async () => {
  const run = await begin();
  expect((await desk.engine.inspect(run)).status).toBe('working');
  await finishChild();
  const rested = await until(run, 'resting');
  expect(rested.details['ids']).toEqual(['first-1', 'second-1', 'third-1', 'seal-1']);
  expect((await desk.engine.inspect('top/relay')).status).toBe('done');
});

test('a child that fails is the parent’s error, and what it left is taken back through the parent alone', async () => {
  const run = await begin();
  await desk.engine.advance({ run: 'top/relay', event: 'go' }, me);
  await until('top/relay', 'resting');
  expect(await codeOf(desk.engine.rollback({ run: 'top/relay', to: 'asking' }, me))).toBe('CHILD_RUN');
  await codeOf(desk.engine.cancel({ run: 'top/relay' }, me));
  await approve('top/relay');
  expect((await until(run, 'failed')).state).toBe('failed');
  expect(standing()).toEqual(['first', 'second', 'third']);
  await codeOf(desk.engine.rollback({ run, to: 'asking' }, me));
  await approve(run);
  await until(run, 'asking');
  expect(standing()).toEqual([]);
  expect(
    world
      .state()
      .journal.filter((entry) => entry.op === 'undo')
      .map((entry) => entry.name),
  ).toEqual(['third', 'second', 'first']);
});

test('a parent that lets go cancels its child, and a rollback from there leaves nothing', async () => {
  const run = await begin();
  await desk.engine.advance({ run: 'top/relay', event: 'go' }, me);
  await until('top/relay', 'resting');
  await desk.engine.advance({ run, event: 'stop' }, me);
  await until('top/relay', 'resting', 'cancelled');
  await until(run, 'asking');
  await codeOf(desk.engine.rollback({ run, to: 'start' }, me));
  await approve(run);
  await until(run, 'cancelled', 'cancelled');
  expect(standing()).toEqual([]);
});

test('a point of no return inside a child holds for the parent too', async () => {
  const run = await begin();
  await finishChild();
  await until(run, 'resting');
  expect(await codeOf(desk.engine.rollback({ run, to: 'asking' }, me))).toBe('POINT_OF_NO_RETURN');
});

test('another process carries the child on, and a lost answer in it is not doubled', async () => {
  const run = await begin();
  await askWorld(world.url, '/fault', { name: 'second', fault: 'lose-answer', left: 1 });
  const other = await open();
  other.worker.start();
  await desk.worker.stop(1_500);
  await other.engine.advance({ run: 'top/relay', event: 'go' }, me);
  await until('top/relay', 'resting');
  expect(world.state().journal.map((entry) => entry.name)).toEqual(['first', 'second', 'third']);
  expect((await other.engine.inspect(run)).status).toBe('working');
  await other.worker.stop(1_500);
  other.close();
});

test('a workflow that runs itself, an unknown child and a chain of five are refused', async () => {
  const call = (to: string) => ({ ...runRelay, name: `run.${to}@1` as const, child: to }) as unknown as typeof runRelay;
  const contractsOf = (...names: string[]) => Object.fromEntries(names.map((name) => [call(name).name, call(name)]));
  expect(await codeOf(open([relay, parentOf(call('parent'))], contractsOf('parent')))).toBe('DEFINITION_REFUSED');
  expect(await codeOf(open([relay, parentOf(call('nobody'))], contractsOf('nobody')))).toBe('DEFINITION_REFUSED');
  const chain = ['b', 'c', 'd', 'e'].map((to, index) => parentOf(call(to), ['a', 'b', 'c', 'd'][index]));
  expect(await codeOf(open([relay, ...chain, parentOf(call('relay'), 'e')], contractsOf('b', 'c', 'd', 'e', 'relay')))).toBe(
    'DEFINITION_REFUSED',
  );
});

test('one trace goes through a run, its child runs, their effects and every log line about them', async () => {
  logged.length = 0;
  const runId = await begin();
  await finishChild();
  await until(runId, 'resting');
  const rows = await desk.store.effectsOfTree(runId);
  const [trace] = new Set(rows.map((row) => row.traceId));
  expect(new Set(rows.map((row) => `${row.runId === runId} ${row.traceId}`))).toEqual(new Set([`true ${trace}`, `false ${trace}`]));
  const child = rows.find((row) => row.runId !== runId);
  expect([...new Set([runId, child?.runId])]).toHaveLength(2);
  for (const run of [runId, child?.runId ?? '']) expect(await desk.engine.inspect(run)).toMatchObject({ traceId: trace });
  const taken = rows.filter((row) => row.contract !== runRelay.name).map((row) => row.key);
  const lines = logged.filter((line) => taken.includes(String(line['effect'])));
  expect(new Set(lines.map((line) => line['effect']))).toEqual(new Set(taken));
  expect(lines.every((line) => line['trace'] === trace)).toBe(true);
});
