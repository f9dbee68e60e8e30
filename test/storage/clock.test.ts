/** A clock that jumps while an effect is backed off or in doubt (engine.md E3, E8): nothing is lost, nothing is done twice, nobody is pestered. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Desk } from '../../src/desk.ts';
import type { Clock, Store } from '../../src/engine/ports.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { askWorld, startWorld, type WorldFault } from '../helpers/fake-world.ts';

const me = { principal: 'tester', door: 'test' };
const hour = 3_600_000;
const day = 24 * hour;
let offset = 0;
const clock: Clock = { ...systemClock, now: () => Date.now() + offset };
let world: Awaited<ReturnType<typeof startWorld>>;
let place: ReturnType<typeof temporaryHome>;
let desk: Desk;

beforeEach(async () => {
  offset = 0;
  world = await startWorld();
  place = temporaryHome();
});
afterEach(async () => {
  await desk.worker.stop(1_500);
  desk.close();
  await world.close();
  place.remove();
});

const applied = () => world.state().journal.map((entry) => `${entry.op} ${entry.name}`);
const whole = ['apply first', 'apply second', 'apply third'];

/** Claims nothing from the moment an effect was given back in doubt, until it is let go: the clock jumps in between. */
function createGate() {
  let shut = false;
  let released = false;
  let tell: () => void = () => undefined;
  const givenBack = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const wrap = (store: Store): Store => ({
    ...store,
    claimDue: async (options) => (shut ? [] : store.claimDue(options)),
    async release(key, token, row) {
      shut = !released;
      released = true;
      const ours = await store.release(key, token, row);
      tell();
      return ours;
    },
  });
  const letGo = () => {
    shut = false;
  };
  return { givenBack, wrap, letGo };
}

/** Brings the second effect into doubt under a clock that is `ahead`, then sets the clock to `after` and lets the worker go on. */
async function inDoubt(kind: WorldFault, ahead: number, after: number): Promise<string> {
  offset = ahead;
  const gate = createGate();
  desk = await openRelayDesk(place.home, world.url, gate.wrap, clock);
  const { runId } = await desk.engine.start({ workflow: 'relay' }, me);
  await askWorld(world.url, '/fault', { name: 'second', fault: kind });
  desk.worker.start();
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  await gate.givenBack;
  offset = after;
  gate.letGo();
  return runId;
}

const probesOf = async (run: string) => (await desk.store.attempts(run)).filter((row) => row.step === 'probe').length;

test.each([2 * hour, day])('a back-off that lies %i ms ahead, since the clock went back, is due now (E8)', async (ahead) => {
  const runId = await inDoubt('lose-answer', ahead, 0);
  expect(await desk.engine.waitFor(runId, { waitMs: 10_000 })).toMatchObject({ state: 'resting' });
  expect(applied()).toEqual(whole);
});

test.each([2 * hour, day])('a sign of life that lies %i ms ahead is settled after settleMs, with few probes (E3)', async (ahead) => {
  const runId = await inDoubt('fail-before', ahead, 0);
  const view = await desk.engine.waitFor(runId, { waitMs: 3_000 });
  expect({ state: view.state, probes: await probesOf(runId) }).toEqual({ state: 'resting', probes: 2 });
  expect(applied()).toEqual(whole);
});

test('a clock that goes back a day under a running desk fires no timer and loses no effect', async () => {
  const runId = await inDoubt('lose-answer', 0, -day);
  expect(await desk.engine.waitFor(runId, { waitMs: 10_000 })).toMatchObject({ state: 'resting' });
  expect(applied()).toEqual(whole);
  const events = await desk.engine.timeline(runId, { after: 0, limit: 100 });
  expect(events.filter((event) => event.source === 'timer')).toEqual([]);
});

test.each(['lose-answer', 'fail-before'] as const)(
  'a clock that goes forward a day over an effect in doubt (%s): it is carried out once',
  async (kind) => {
    const runId = await inDoubt(kind, 0, day);
    expect(await desk.engine.waitFor(runId, { waitMs: 10_000 })).toMatchObject({ state: 'resting' });
    expect(applied()).toEqual(whole);
  },
);

test('a clock that goes forward a day over a refusal: the run rests with the error, and the next try is carried out once', async () => {
  offset = 0;
  desk = await openRelayDesk(place.home, world.url, undefined, clock);
  const { runId } = await desk.engine.start({ workflow: 'relay' }, me);
  await askWorld(world.url, '/fault', { name: 'second', fault: 'refuse' });
  desk.worker.start();
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  offset = day;
  expect(await desk.engine.waitFor(runId, { waitMs: 10_000 })).toMatchObject({ state: 'broken', error: { code: 'WORLD_REFUSED' } });
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  expect(await desk.engine.waitFor(runId, { waitMs: 10_000 })).toMatchObject({ state: 'resting' });
  expect(applied()).toEqual(['apply first', ...whole]);
});
