/** Cancelling a workflow that says `cancel: 'takeBack'` (B5): judged by what stands in the world. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Desk } from '../../src/desk.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { relay } from '../helpers/relay.ts';

const me = { principal: 'tester', door: 'test' };
const person = { principal: 'person', level: 'terminal', door: 'test' } as const;
let world: Awaited<ReturnType<typeof startWorld>>;
let place: ReturnType<typeof temporaryHome>;
let desk: Desk;
beforeEach(async () => {
  world = await startWorld();
  place = temporaryHome();
  desk = await openRelayDesk(place.home, world.url, undefined, undefined, undefined, false, { ...relay, cancel: 'takeBack' });
  desk.worker.start();
});
afterEach(async () => {
  await desk.worker.stop(1_500);
  desk.close();
  await world.close();
  place.remove();
});

const rest = (run: string) => desk.engine.waitFor(run, { waitMs: 15_000 });
async function written(lock?: string): Promise<string> {
  const { runId } = await desk.engine.start({ workflow: 'relay', input: lock === undefined ? {} : { lock } }, me);
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  await rest(runId);
  return runId;
}
const standing = () => Object.values(world.state().standing).sort();

/** Asks, and answers as a person. */
async function cancelled(run: string, requestKey?: string) {
  const ask = { run, ...(requestKey === undefined ? {} : { requestKey }) };
  await expect(desk.engine.cancel(ask, me)).rejects.toMatchObject({ code: 'APPROVAL_REQUIRED' });
  const [asked] = await desk.engine.pendingApprovals(run);
  await desk.engine.approve(asked?.id ?? '', person);
  return { asked, view: await rest(run) };
}

test('what stands outside is taken back, as the person is told, and the run ends cancelled', async () => {
  const run = await written();
  expect(standing()).toEqual(['first', 'second', 'third']);
  const { asked, view } = await cancelled(run, 'stop-1');
  expect(asked?.statement).toContain('take back, newest first: Third write; Second write; First write');
  expect([view.status, standing()]).toEqual(['cancelled', []]);
  expect(await desk.engine.cancel({ run, requestKey: 'stop-1' }, me)).toMatchObject({ replayed: true, status: 'cancelled' });
  expect((await desk.engine.cancel({ run }, me)).status).toBe('cancelled');
});

test('a run that wrote nothing is cancelled at once', async () => {
  const { runId } = await desk.engine.start({ workflow: 'relay', input: {} }, me);
  await desk.engine.cancel({ run: runId }, me);
  expect([(await rest(runId)).status, standing()]).toEqual(['cancelled', []]);
});

test('what cannot be taken back, since another run built on it, stays and is listed', async () => {
  const one = await written('world');
  await desk.engine.advance({ run: one, event: 'let' }, me);
  await written('world');
  const { asked, view } = await cancelled(one);
  expect(asked?.statement).toContain('leave outside: First write; Second write');
  expect(view).toMatchObject({
    status: 'cancelled',
    output: { outside: [{ what: 'First write' }, { what: 'Second write' }, expect.anything()] },
  });
  expect(standing()).toHaveLength(6);
});
