/** Definitions that change under runs (engine.md V2, V3): bundled older versions, migrations at rest, and what stays read-only. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMachine } from 'xstate';
import { systemClock } from '../../src/clock.ts';
import { type Desk, openDesk } from '../../src/desk.ts';
import type { BundledWorkflow, DefinitionMigration } from '../../src/engine/catalog.ts';
import type { WorkflowLike } from '../../src/engine/registration.ts';
import { AppError } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';
import { createOperations, type Operations } from '../../src/operations.ts';
import { createScrubber } from '../../src/scrub.ts';
import { temporaryHome } from '../helpers/desk.ts';
import { askWorld, startWorld } from '../helpers/fake-world.ts';
import { relay, relayContracts, relayHands, toJsonSchema } from '../helpers/relay.ts';

const me = { principal: 'tester', door: 'test' };
const person = { principal: 'person', level: 'terminal' as const, door: 'test' };

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let close: (() => Promise<void>) | undefined;
beforeEach(async () => {
  place = temporaryHome();
  world = await startWorld();
});
afterEach(async () => {
  await close?.();
  await world.close();
  place.remove();
});

type House = Desk & { operations: Operations };

/** Closes what was open and opens the same home with these workflows, as another version of Capstan would. */
async function reopen(...workflows: BundledWorkflow[]): Promise<House> {
  await close?.();
  const scrubber = createScrubber();
  const log = createLog({ level: 'silent', scrubber });
  const desk = await openDesk({
    ...{ home: place.home, workflows, contracts: relayContracts, hands: relayHands(world.url), toJsonSchema, log, scrubber },
    readVariable: () => undefined,
  });
  const operations = createOperations({ desk, clock: systemClock, log });
  desk.worker.start();
  close = async () => {
    await desk.worker.stop(1_000);
    operations.close();
    desk.close();
    close = undefined;
  };
  return { ...desk, operations };
}

/** A run of the relay that rests after its three writes, made by the first version. */
async function rested(name: string): Promise<string> {
  const { engine } = await reopen(relay);
  const { runId } = await engine.start({ workflow: 'relay', name }, me);
  await engine.advance({ run: runId, event: 'go' }, me);
  expect(await engine.waitFor(runId, { waitMs: 10_000 })).toMatchObject({ state: 'resting', status: 'waiting' });
  return runId;
}

type States = Record<string, Record<string, unknown>>;

/** The relay with another revision and, if asked, other states; XState's own config types are generic over every name. */
function second(change: (states: States) => States = (states) => states): WorkflowLike {
  const config = relay.machine.config as unknown as { states: States };
  const changed = { ...config, states: change(config.states) } as never;
  return { ...relay, revision: 2, machine: createMachine(changed, relay.machine.implementations as never) };
}

const withNote: DefinitionMigration['migrate'] = (snapshot, context) => ({ ...snapshot, context: { ...context, carried: true } });
const hashOf = (house: House) => house.catalog.workflow('relay').hash;
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: unknown) => (error instanceof AppError ? error.code : String(error)),
  );

test('a run goes on under its own bundled version, beside new runs of the current one', async () => {
  const runId = await rested('old');
  const house = await reopen({ ...second(), older: [relay] });
  expect(house.catalog.current()).toHaveLength(1);
  expect(house.catalog.list()).toHaveLength(2);
  expect(await house.operations.check()).toEqual({ carries: [], stranded: [] });
  await house.engine.advance({ run: runId, event: 'again' }, me);
  expect(await house.engine.waitFor(runId, { waitMs: 10_000 })).toMatchObject({ state: 'resting', status: 'waiting' });
  const young = await house.engine.start({ workflow: 'relay', name: 'young' }, me);
  const [one, two] = [await house.store.load(runId), await house.store.load(young.runId)];
  expect(two?.run.definitionHash).toBe(hashOf(house));
  expect(one?.run.definitionHash).not.toBe(hashOf(house));
});

test('without its version a run is read-only: it can be looked at, rolled back and cancelled, and the check names it', async () => {
  const runId = await rested('old');
  const { engine, operations } = await reopen(second());
  expect(await engine.inspect(runId)).toMatchObject({ state: 'resting', status: 'waiting', waitingFor: [] });
  expect(await codeOf(engine.advance({ run: runId, event: 'again' }, me))).toBe('DEFINITION_CHANGED');
  const { stranded } = await operations.check();
  expect(stranded).toMatchObject([{ runId, name: 'old', reason: 'DEFINITION_UNKNOWN' }]);
  expect((await operations.status()).stranded).toBe(1);
  expect(await operations.carry()).toEqual({ carries: [], stranded: [] });

  expect(await codeOf(engine.rollback({ run: runId, to: 'asking' }, me))).toBe('APPROVAL_REQUIRED');
  const [asked] = await engine.pendingApprovals(runId);
  await engine.approve(asked?.id ?? '', person);
  expect(await engine.waitFor(runId, { waitMs: 10_000 })).toMatchObject({ state: 'asking', status: 'waiting' });
  expect(world.state().standing).toEqual({});
  expect(await engine.cancel({ run: runId }, me)).toMatchObject({ status: 'cancelled' });
  expect((await operations.check()).stranded).toEqual([]);
});

test('a registered migration takes a run at rest along: one event, its checkpoints too, and it goes on and back under the new version', async () => {
  const runId = await rested('old');
  const from = (await (await reopen(second())).store.load(runId))?.run.definitionHash ?? '';
  const house = await reopen({ ...second(), migrations: [{ from, migrate: withNote }] });
  const before = await house.engine.inspect(runId);
  expect(await house.operations.check()).toMatchObject({ carries: [{ runId, from, to: hashOf(house) }], stranded: [] });
  expect((await house.engine.inspect(runId)).version).toBe(before.version);

  expect((await house.operations.carry()).carries).toHaveLength(1);
  const after = await house.store.load(runId);
  expect(after?.run).toMatchObject({ definitionHash: hashOf(house), version: before.version + 1, state: 'resting' });
  expect(after?.timers).toHaveLength(1);
  const last = (await house.engine.timeline(runId, { after: before.version, limit: 10 })).at(-1);
  expect(last).toMatchObject({ type: 'capstan.migrated', source: 'engine', payload: { from, to: hashOf(house) }, seq: before.version + 1 });
  expect((await house.store.checkpoints(runId)).map((row) => [row.definitionHash, (row.snapshot as { context: object }).context])).toEqual([
    [hashOf(house), expect.objectContaining({ carried: true })],
    [hashOf(house), expect.objectContaining({ carried: true })],
  ]);
  expect(await house.operations.audit({ runId, limit: 1 })).toMatchObject([{ principal: 'capstan', door: 'engine' }]);
  expect(await house.operations.carry()).toEqual({ carries: [], stranded: [] });

  await house.engine.advance({ run: runId, event: 'again' }, me);
  expect(await house.engine.waitFor(runId, { waitMs: 10_000 })).toMatchObject({ state: 'resting', status: 'waiting' });
  await codeOf(house.engine.rollback({ run: runId, to: 'asking' }, me));
  const [asked] = await house.engine.pendingApprovals(runId);
  await house.engine.approve(asked?.id ?? '', person);
  await house.engine.waitFor(runId, { waitMs: 10_000 });
  await house.engine.advance({ run: runId, event: 'go' }, me);
  expect(await house.engine.waitFor(runId, { waitMs: 10_000 })).toMatchObject({ state: 'resting', status: 'waiting' });
});

test('only at rest: with an effect open nothing is carried over, and the check says so', async () => {
  const runId = await rested('old');
  const first = await reopen(relay);
  await askWorld(world.url, '/fault', { name: 'second', fault: 'fail-before', left: 1_000 });
  await askWorld(world.url, '/fault', { name: 'second', fault: 'deaf-probe', left: 1_000 });
  await first.engine.advance({ run: runId, event: 'again' }, me);
  const from = (await first.store.load(runId))?.run.definitionHash ?? '';
  const { operations, store } = await reopen({ ...second(), migrations: [{ from, migrate: withNote }] });
  expect((await store.load(runId))?.open).toHaveLength(1);
  expect((await operations.carry()).stranded).toMatchObject([{ runId, reason: 'NOT_AT_REST' }]);
  expect((await store.load(runId))?.run.definitionHash).toBe(from);
});

const sooner = (states: States): States => ({ ...states, resting: { ...states['resting'], after: { 3600000: 'broken' } } });

test.each<[string, WorkflowLike, DefinitionMigration['migrate'], string]>([
  [
    'throws',
    second(),
    () => {
      throw new Error('not this one');
    },
    'not this one',
  ],
  ['gives nothing', second(), () => undefined, 'cannot be restored'],
  ['names a state that is not there', second(), (snapshot) => ({ ...snapshot, value: 'nowhere' }), 'cannot be restored'],
  ['names a state with an effect', second(), (snapshot) => ({ ...snapshot, value: 'two', children: {} }), 'has an effect'],
  ['ends the run', second(), (snapshot) => ({ ...snapshot, status: 'done' }), 'the status done'],
  ['forgets an armed timer', second(sooner), (snapshot) => snapshot, 'the armed timer'],
])('a migration that %s changes nothing, and the reason is told', async (_, to, migrate, why) => {
  const runId = await rested('old');
  const before = await (await reopen(second())).store.load(runId);
  const from = before?.run.definitionHash ?? '';
  const { operations, store } = await reopen({ ...to, migrations: [{ from, migrate }] });
  const [stranded] = (await operations.carry()).stranded;
  expect(stranded).toMatchObject({ reason: 'MIGRATION_REFUSED', can: expect.stringContaining('cancel it') });
  expect(stranded?.say).toContain(why);
  expect((await store.load(runId))?.run).toEqual(before?.run);
});

test('the catalog refuses an older version under another name, the same one twice, and a migration from what it bundles', async () => {
  const refusedWith = async (workflow: BundledWorkflow) => {
    const error: unknown = await reopen(workflow).catch((thrown: unknown) => thrown);
    return error instanceof AppError ? error.message : 'no error';
  };
  expect(await refusedWith({ ...second(), older: [{ ...relay, name: 'other' }] })).toContain('an older version is called other');
  expect(await refusedWith({ ...relay, older: [relay] })).toContain('the same definition twice');
  const { catalog } = await reopen(relay);
  const from = catalog.workflow('relay').hash;
  expect(await refusedWith({ ...second(), older: [relay], migrations: [{ from, migrate: withNote }] })).toContain('bundled or current');
});
