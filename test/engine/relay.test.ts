import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Desk } from '../../src/desk.ts';
import { AppError } from '../../src/errors.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { askWorld, startWorld } from '../helpers/fake-world.ts';

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

const settle = (run: string) => desk.engine.waitFor(run, { waitMs: 15_000 });
const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof AppError ? error.code : `no AppError: ${String(error)}`;
};
const toResting = async () => {
  const { runId } = await desk.engine.start({ workflow: 'relay' }, me);
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  return settle(runId);
};
const applied = () =>
  world
    .state()
    .journal.filter((entry) => entry.op === 'apply')
    .map((entry) => entry.name);

test('a run writes each effect once and rests at its checkpoint', async () => {
  const view = await toResting();
  expect(view).toMatchObject({
    state: 'resting',
    status: 'waiting',
    details: { ids: ['first-1', 'second-1', 'third-1'], seen: 1 },
  });
  expect(applied()).toEqual(['first', 'second', 'third']);
  expect(view.checkpoints.map((row) => row.name)).toEqual(['asking', 'resting']);
});

test.each([
  ['lose-answer', 'first', 1],
  ['fail-before', 'second', 1],
  ['lose-answer', 'third', 1],
])('an answer that is lost (%s on %s) is probed and the effect stands once', async (fault, name, left) => {
  await askWorld(world.url, '/fault', { name, fault, left });
  const view = await toResting();
  expect(view.state).toBe('resting');
  expect(applied().sort()).toEqual(['first', 'second', 'third']);
});

test('a definite refusal goes to onError and leaves nothing outside', async () => {
  await askWorld(world.url, '/fault', { name: 'second', fault: 'refuse', left: 1 });
  const view = await toResting();
  expect(view).toMatchObject({ state: 'broken', error: { code: 'WORLD_REFUSED' } });
  expect(Object.values(world.state().standing)).toEqual(['first']);
});

test('an answer that lands late is waited for, not doubled (E3)', async () => {
  await askWorld(world.url, '/fault', { name: 'first', fault: 'late', left: 1, ms: 80 });
  const view = await toResting();
  expect(view.state).toBe('resting');
  expect(applied()).toEqual(['first', 'second', 'third']);
});

test('an outside event that the state does not list is refused and names what is taken', async () => {
  const { runId } = await desk.engine.start({ workflow: 'relay' }, me);
  expect(await codeOf(desk.engine.advance({ run: runId, event: 'finish' }, me))).toBe('EVENT_NOT_ACCEPTED');
  expect(await codeOf(desk.engine.advance({ run: runId, event: 'xstate.done.actor.first' }, me))).toBe('EVENT_NOT_ACCEPTED');
  expect(await codeOf(desk.engine.advance({ run: runId, event: 'go', payload: { nonsense: 1 } }, me))).toBe('PAYLOAD_INVALID');
  expect((await desk.engine.inspect(runId)).version).toBe(1);
});

test('a request key answers again with the current view, and refuses another payload (C6)', async () => {
  const a = await desk.engine.start({ workflow: 'relay', requestKey: 'k1' }, me);
  const b = await desk.engine.start({ workflow: 'relay', requestKey: 'k1' }, me);
  expect(b).toMatchObject({ runId: a.runId, replayed: true });
  expect(await codeOf(desk.engine.start({ workflow: 'relay', name: 'other', requestKey: 'k1' }, me))).toBe('REQUEST_KEY_REUSED');
});

test('a confirm event needs an approval that is bound to the run and used once (A1)', async () => {
  const view = await toResting();
  expect(await codeOf(desk.engine.advance({ run: view.runId, event: 'finish' }, me))).toBe('APPROVAL_REQUIRED');
  expect((await desk.engine.inspect(view.runId)).next.who).toBe('human');
  const [asked] = await desk.engine.pendingApprovals(view.runId);
  expect(await codeOf(desk.engine.advance({ run: view.runId, event: 'finish', approval: asked?.id }, me))).toBe('APPROVAL_FORGED');
  await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
  expect((await settle(view.runId)).status).toBe('done');
  expect(await codeOf(desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' }))).toBe(
    'APPROVAL_STALE',
  );
});

test('rollback takes everything back, newest first, and the run goes on from the checkpoint', async () => {
  const view = await toResting();
  const preview = await desk.engine.previewRollback(view.runId, 'asking');
  expect(preview.undo.map((item) => item.title)).toEqual(['Third write', 'Second write', 'First write']);
  expect(await codeOf(desk.engine.rollback({ run: view.runId, to: 'asking' }, me))).toBe('APPROVAL_REQUIRED');
  const [asked] = await desk.engine.pendingApprovals(view.runId);
  await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
  const back = await settle(view.runId);
  expect(back).toMatchObject({ state: 'asking', status: 'waiting', details: { ids: [] } });
  expect(world.state().standing).toEqual({});
  expect(
    world
      .state()
      .journal.filter((entry) => entry.op === 'undo')
      .map((entry) => entry.name),
  ).toEqual(['third', 'second', 'first']);
  await desk.engine.advance({ run: view.runId, event: 'go' }, me);
  expect((await settle(view.runId)).state).toBe('resting');
  expect(Object.values(world.state().standing).sort()).toEqual(['first', 'second', 'third']);
});

test('a lost answer of an undo is probed, and a failing one stops with the manual step (B4)', async () => {
  const view = await toResting();
  await askWorld(world.url, '/fault', { name: 'undo second', fault: 'lose-answer', left: 1 });
  await askWorld(world.url, '/fault', { name: 'undo first', fault: 'fail-before', left: 4 });
  await codeOf(desk.engine.rollback({ run: view.runId, to: 'asking' }, me));
  const [asked] = await desk.engine.pendingApprovals(view.runId);
  await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
  const stuck = await settle(view.runId);
  expect(stuck.status).toBe('needs_attention');
  expect(Object.values(world.state().standing)).toEqual(['first']);
  await desk.engine.resolve({ run: view.runId, as: 'retry_rollback' }, me);
  expect(await settle(view.runId)).toMatchObject({ state: 'asking', status: 'waiting' });
  expect(world.state().standing).toEqual({});
});

test('rollback past a point of no return is refused and changes nothing (B2a0)', async () => {
  const view = await toResting();
  await codeOf(desk.engine.advance({ run: view.runId, event: 'finish' }, me));
  const [asked] = await desk.engine.pendingApprovals(view.runId);
  await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
  await settle(view.runId);
  const before = world.state();
  expect(await codeOf(desk.engine.rollback({ run: view.runId, to: 'asking' }, me))).toBe('POINT_OF_NO_RETURN');
  expect(world.state()).toEqual(before);
});

test('two advances at once give one winner and one clear refusal', async () => {
  const { runId } = await desk.engine.start({ workflow: 'relay' }, me);
  const other = await openRelayDesk(place.home, world.url);
  const answers = await Promise.allSettled([
    desk.engine.advance({ run: runId, event: 'go', expectedVersion: 1 }, me),
    other.engine.advance({ run: runId, event: 'leave', expectedVersion: 1 }, me),
  ]);
  other.close();
  expect(answers.map((answer) => answer.status).sort()).toEqual(['fulfilled', 'rejected']);
  const refused = answers.find((answer) => answer.status === 'rejected');
  expect(refused?.reason).toMatchObject({ code: 'RUN_MOVED' });
});

test('cancel of a run that wrote something needs approval and lists what stands outside (B5)', async () => {
  const view = await toResting();
  expect(await codeOf(desk.engine.cancel({ run: view.runId }, me))).toBe('APPROVAL_REQUIRED');
  const [asked] = await desk.engine.pendingApprovals(view.runId);
  const ended = await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
  expect(ended.status).toBe('cancelled');
  expect(ended.output).toMatchObject({
    outside: [{ what: 'First write' }, { what: 'Second write' }, { what: 'a note in the log of the world' }],
  });
});

test('a held run is not claimed, and goes on when released (B5)', async () => {
  const { runId } = await desk.engine.start({ workflow: 'relay' }, me);
  await desk.engine.hold(runId, me);
  expect((await desk.engine.advance({ run: runId, event: 'go' }, me)).status).toBe('held');
  expect(applied()).toEqual([]);
  await desk.engine.release(runId, me);
  expect((await settle(runId)).state).toBe('resting');
});

test('a request key that led to an approval answers with the view when it is sent again (C6)', async () => {
  const view = await toResting();
  const ask = { run: view.runId, to: 'asking', requestKey: 'back-1' };
  expect(await codeOf(desk.engine.rollback(ask, me))).toBe('APPROVAL_REQUIRED');
  const [asked] = await desk.engine.pendingApprovals(view.runId);
  await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
  await settle(view.runId);
  expect(await desk.engine.rollback(ask, me)).toMatchObject({ replayed: true, state: 'asking' });
});

test('an effect that nobody can tell about waits for a person, whose word moves it on (B6)', async () => {
  await askWorld(world.url, '/fault', { name: 'first', fault: 'lose-answer', left: 1 });
  const { runId } = await desk.engine.start({ workflow: 'relay' }, me);
  const loseProbes = () => askWorld(world.url, '/fault', { name: 'first', fault: 'deaf-probe', left: 1_000 });
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  while (world.state().journal.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await loseProbes();
  const stuck = await desk.engine.waitFor(runId, { waitMs: 25_000 });
  expect(stuck).toMatchObject({ status: 'needs_attention', error: { code: 'OUTCOME_UNKNOWN' }, next: { who: 'human' } });
  expect((await desk.engine.list({ status: 'needs_attention', limit: 10 })).map((row) => row.runId)).toEqual([runId]);
  await desk.engine.resolve({ run: runId, as: 'applied', output: { id: 'seen-by-hand' }, note: 'I looked' }, me);
  expect(await settle(runId)).toMatchObject({ state: 'resting', details: { ids: ['seen-by-hand', 'second-1', 'third-1'] } });
  expect(applied()).toEqual(['first', 'second', 'third']);
}, 60_000);

test('a store that is full for a while delays an answer and loses nothing', async () => {
  const other = temporaryHome();
  let refusals = 3;
  const full = await openRelayDesk(other.home, world.url, (store) => ({
    ...store,
    async commit(change) {
      if (change.close?.key.endsWith(':second') && refusals-- > 0) throw new AppError('DISK_FULL', { message: 'full', retry: 'later' });
      return store.commit(change);
    },
  }));
  full.worker.start();
  const { runId } = await full.engine.start({ workflow: 'relay' }, me);
  await full.engine.advance({ run: runId, event: 'go' }, me);
  expect((await full.engine.waitFor(runId, { waitMs: 15_000 })).state).toBe('resting');
  expect(refusals).toBeLessThan(0);
  expect(applied()).toEqual(['first', 'second', 'third']);
  await full.worker.stop(1_500);
  full.close();
  other.remove();
});

test('each commit of a run that rolls back wakes the workers, the last one too: its next step is due at once', async () => {
  const told: { keys: string | undefined; audience: string }[] = [];
  await desk.worker.stop(1_500);
  desk.close();
  desk = await openRelayDesk(place.home, world.url, (store) => ({
    ...store,
    async commit(change) {
      const answer = await store.commit(change);
      if (answer.ok) told.push({ keys: change.close?.key, audience: answer.audience });
      return answer;
    },
  }));
  desk.worker.start();
  const { runId } = await toResting();
  await codeOf(desk.engine.rollback({ run: runId, to: 'asking' }, me));
  await desk.engine.approve((await desk.engine.pendingApprovals(runId)).at(-1)?.id ?? '', {
    principal: 'p',
    level: 'terminal',
    door: 'test',
  });
  await settle(runId);
  const undos = told.filter(({ keys }) => keys?.startsWith('undo:'));
  expect(undos).toHaveLength(3);
  expect(undos.map(({ audience }) => audience)).toEqual(['workers', 'workers', 'workers']);
});
