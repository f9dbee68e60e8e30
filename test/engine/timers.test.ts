import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Desk } from '../../src/desk.ts';
import type { Clock } from '../../src/engine/ports.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';

const me = { principal: 'tester', door: 'test' };
const day = 86_400_000;
let offset = 0;
const clock: Clock = { ...systemClock, now: () => Date.now() + offset };
let world: Awaited<ReturnType<typeof startWorld>>;
let place: ReturnType<typeof temporaryHome>;
let desk: Desk;

beforeEach(async () => {
  offset = 0;
  world = await startWorld();
  place = temporaryHome();
  desk = await openRelayDesk(place.home, world.url, undefined, clock);
  desk.worker.start();
});
afterEach(async () => {
  await desk.worker.stop(1_500);
  desk.close();
  await world.close();
  place.remove();
});

const toResting = async () => {
  const { runId } = await desk.engine.start({ workflow: 'relay' }, me);
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  const view = await desk.engine.waitFor(runId, { waitMs: 15_000 });
  expect(view.state).toBe('resting');
  return view;
};
const until = async (runId: string, state: string) => {
  for (;;) {
    const view = await desk.engine.inspect(runId);
    if (view.state === state) return view;
    await systemClock.wait(20);
  }
};

test('a timer fires once when its time has come, also after the clock jumped (T1)', async () => {
  const view = await toResting();
  offset = day + 1_000;
  await until(view.runId, 'broken');
  const timers = (await desk.engine.timeline(view.runId, { after: 0, limit: 100 })).filter((event) => event.source === 'timer');
  expect(timers).toHaveLength(1);
});

test('a clock that goes back an hour fires nothing and loses nothing', async () => {
  const view = await toResting();
  offset = -3_600_000;
  await desk.engine.advance({ run: view.runId, event: 'again' }, me);
  const again = await desk.engine.waitFor(view.runId, { waitMs: 15_000 });
  expect(again.state).toBe('resting');
  expect(world.state().journal.filter((entry) => entry.op === 'apply')).toHaveLength(5);
});

test('going back to a checkpoint arms its timers with the time that was left (T2)', async () => {
  const first = await toResting();
  offset = day / 2;
  await desk.engine.advance({ run: first.runId, event: 'again' }, me);
  await desk.engine.waitFor(first.runId, { waitMs: 15_000 });
  const to = first.checkpoints.at(-1)?.to ?? -1;
  await desk.engine.rollback({ run: first.runId, to }, me).catch(() => undefined);
  const [asked] = await desk.engine.pendingApprovals(first.runId);
  await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
  const back = await desk.engine.waitFor(first.runId, { waitMs: 15_000 });
  expect(back).toMatchObject({ state: 'resting', status: 'waiting', details: { ids: ['first-1', 'second-1', 'third-1'] } });
  expect(Object.keys(world.state().standing)).toHaveLength(3);
  const timers = (await desk.store.load(first.runId))?.timers ?? [];
  expect(timers).toHaveLength(1);
  const left = (timers[0]?.dueAt ?? 0) - clock.now();
  expect(left).toBeGreaterThan(day - 60_000);
  expect(left).toBeLessThanOrEqual(day);
  offset += day + 1_000;
  await until(first.runId, 'broken');
});
