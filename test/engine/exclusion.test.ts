import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Desk } from '../../src/desk.ts';
import { AppError } from '../../src/errors.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';

/** The relay's second and third write take the lock named at the start; `resting` does not release it, `released` and the end do. */
const me = { principal: 'tester', door: 'test' };
let world: Awaited<ReturnType<typeof startWorld>>;
let place: ReturnType<typeof temporaryHome>;
let desk: Desk;

beforeEach(async () => {
  world = await startWorld();
  place = temporaryHome();
  desk = await openRelayDesk(place.home, world.url);
  desk.worker.start();
});
afterEach(async () => {
  await desk.worker.stop(1_500);
  desk.close();
  await world.close();
  place.remove();
});

const begin = async (name: string) => {
  const { runId } = await desk.engine.start({ workflow: 'relay', name, input: { lock: 'world' } }, me);
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  return runId;
};
const until = async (run: string, status: string, state: string) => {
  for (;;) {
    const view = await desk.engine.inspect(run);
    if (view.status === status && view.state === state) return view;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};
const approve = async (run: string) => {
  const [asked] = await desk.engine.pendingApprovals(run);
  await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
  return desk.engine.waitFor(run, { waitMs: 15_000 });
};
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof AppError ? error.code : String(error)),
  );

test('a run whose target another run holds is blocked, says by whom, and goes on when it is free (E10)', async () => {
  const one = await begin('one');
  await until(one, 'waiting', 'resting');
  const two = await begin('two');
  const blocked = await until(two, 'blocked', 'two');
  expect(blocked.blockedBy).toEqual([{ lock: 'world', runId: one, name: 'one' }]);
  expect(blocked.next.say).toContain('the run one holds world');
  expect(world.state().journal.map((entry) => entry.name)).toEqual(['first', 'second', 'third', 'first']);
  await codeOf(desk.engine.advance({ run: one, event: 'finish' }, me));
  await approve(one);
  expect((await until(two, 'waiting', 'resting')).blockedBy).toBeUndefined();
});

test('a rollback gives the locks back, and a blocked run that is cancelled never takes them', async () => {
  const one = await begin('one');
  await until(one, 'waiting', 'resting');
  const two = await begin('two');
  await until(two, 'blocked', 'two');
  await codeOf(desk.engine.cancel({ run: two }, me));
  expect((await approve(two)).status).toBe('cancelled');
  await codeOf(desk.engine.rollback({ run: one, to: 'asking' }, me));
  expect((await approve(one)).state).toBe('asking');
  const three = await begin('three');
  await until(three, 'waiting', 'resting');
});

test('two runs at once: one works under the lock, the other waits, whichever process claims', async () => {
  const other = await openRelayDesk(place.home, world.url);
  other.worker.start();
  const runs = await Promise.all(['a', 'b', 'c'].map(begin));
  const order: string[] = [];
  for (let left = new Set(runs); left.size > 0; ) {
    for (const run of left) {
      const view = await desk.engine.inspect(run);
      if (view.status !== 'waiting') continue;
      order.push(run);
      left = new Set([...left].filter((each) => each !== run));
      await codeOf(desk.engine.advance({ run, event: 'finish' }, me));
      await approve(run);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const locked = world.state().journal.filter((entry) => entry.name === 'second' || entry.name === 'third');
  expect(locked.map((entry) => entry.key.split(':')[0])).toEqual(order.flatMap((run) => [run, run]));
  await other.worker.stop(1_500);
  other.close();
});

test('a rollback past what a later run did under the same lock is refused and names it', async () => {
  const one = await begin('one');
  await until(one, 'waiting', 'resting');
  await codeOf(desk.engine.advance({ run: one, event: 'let' }, me));
  await until(one, 'waiting', 'released');
  const two = await begin('two');
  await until(two, 'waiting', 'resting');
  const refused = await desk.engine.rollback({ run: one, to: 'asking' }, me).catch((error: unknown) => error as AppError);
  expect(refused).toMatchObject({ code: 'LATER_RUN', fix: expect.stringContaining('two') });
});
