/** Pruning (engine.md L4, S3, S5) on a real home, with a clock that is moved by hand. */
import { existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eq } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Desk } from '../../src/desk.ts';
import { createLog } from '../../src/log.ts';
import { createOperations, type Operations } from '../../src/operations.ts';
import { createScrubber } from '../../src/scrub.ts';
import { type Connection, openDatabase } from '../../src/store/sqlite/database.ts';
import { artifacts, effects, events, runs, secrets } from '../../src/store/sqlite/schema.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';

const dayMs = 24 * 60 * 60_000;
const me = { principal: 'tester', door: 'test' };

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let desk: Desk;
let operations: Operations;
/** The test's own hands on the rows. */
let rows: Connection;
let offset = 0;
const now = () => Date.now() + offset;

beforeEach(async () => {
  offset = 0;
  place = temporaryHome();
  world = await startWorld();
  desk = await openRelayDesk(place.home, world.url, undefined, { ...systemClock, now });
  desk.worker.start();
  operations = createOperations({ desk, clock: { now }, log: createLog({ level: 'silent', scrubber: createScrubber() }) });
  rows = openDatabase(desk.home.database);
});
afterEach(async () => {
  await desk.worker.stop(1_000);
  rows.close();
  operations.close();
  desk.close();
  await world.close();
  place.remove();
});

const laterBy = (days: number) => {
  offset += days * dayMs;
};
const prune = (options: { days?: number; dryRun?: boolean } = {}) => operations.prune(options, me);
const names = async () => (await desk.engine.list({ limit: 100 })).map((run) => run.name).sort();

/** A run of the relay; `ended` leaves at once. */
async function run(name: string, ended: boolean): Promise<string> {
  const { runId } = await desk.engine.start({ workflow: 'relay', name }, me);
  if (ended) await desk.engine.advance({ run: runId, event: 'leave' }, me);
  return runId;
}

/** A secret as an effect of the run would have made it. */
async function secretOf(runId: string, retired: boolean): Promise<string> {
  const staged = desk.vault.stageSecret(`run:${runId}`, 'password', `value-${Math.random()}`);
  const row = { ...staged, nonce: Buffer.from(staged.nonce), ciphertext: Buffer.from(staged.ciphertext) };
  await rows.write((db) =>
    db
      .insert(secrets)
      .values({ ...row, runId, madeSeq: 1, createdAt: now(), retiredAt: retired ? now() : null })
      .run(),
  );
  return staged.id;
}

/** An artifact as the outcome of an effect of the run would have stored it. */
async function artifactOf(runId: string, text: string): Promise<string> {
  const { id } = await desk.vault.stageArtifact('plan', 'text/plain', text);
  await rows.write((db) => db.update(artifacts).set({ status: 'stored', runId }).where(eq(artifacts.id, id)).run());
  return id;
}

const secretsLeft = async () => (await rows.read((db) => db.select({ id: secrets.id }).from(secrets).all())).map((row) => row.id).sort();
const artifactsLeft = async () =>
  (await rows.read((db) => db.select({ id: artifacts.id }).from(artifacts).all())).map((row) => row.id).sort();
const files = () => readdirSync(desk.home.artifacts).sort();
const target = (name: string, record: Record<string, unknown>) =>
  desk.registry.addTarget({ name, kind: 'self-hosted', tags: [], record }, []);

test('ended runs go after 90 days with everything of theirs; a dry run says the same and changes nothing', async () => {
  const ended = await run('ended', true);
  await run('waiting', false);
  laterBy(89);
  await run('recent', true);
  expect((await prune()).runs).toEqual([]);
  laterBy(1.5);
  const planned = await prune({ dryRun: true });
  expect(planned).toMatchObject({ dryRun: true, days: 90, runs: [{ runId: ended, name: 'ended', workflow: 'relay' }] });
  expect(await names()).toEqual(['ended', 'recent', 'waiting']);
  expect(await prune()).toEqual({ ...planned, dryRun: false });
  expect(await names()).toEqual(['recent', 'waiting']);
  expect(await rows.read((db) => db.select().from(events).where(eq(events.runId, ended)).all())).toEqual([]);
  expect((await prune()).runs).toEqual([]);
  expect((await prune({ days: 1 })).runs).toMatchObject([{ name: 'recent' }]);
  expect(await names()).toEqual(['waiting']);
});

test('audit rows go after 90 days; what pruned them is audited itself', async () => {
  await run('ended', true);
  laterBy(91);
  await run('waiting', false);
  expect((await prune()).auditRows).toBe(2);
  const left = await operations.audit({ limit: 10 });
  expect(left.map((row) => row.action)).toEqual([expect.stringMatching(/^prune 1 runs, 2 audit rows/), 'start relay']);
  expect(left[0]).toMatchObject({ principal: 'tester', door: 'test', outcome: 'accepted' });
});

test('what settles, asks for a person or rolls back stays, however old', async () => {
  await desk.worker.stop(1_000); // nobody drains what settles
  const settling = await run('settling', false);
  await desk.engine.advance({ run: settling, event: 'go' }, me);
  const [effect] = await desk.store.effects(settling);
  await desk.store.claimDue({
    ...{ worker: 'gone', now: now(), horizonMs: dayMs, limit: 1, token: () => 'token' },
    definitions: desk.catalog.list().map((definition) => definition.hash),
  });
  await desk.store.launch(effect?.key ?? '', 'token', now(), { count: false });
  await desk.engine.cancel({ run: settling }, me).catch(() => undefined);
  const [asked] = await desk.engine.pendingApprovals(settling);
  await desk.engine.approve(asked?.id ?? '', { principal: 'person', level: 'terminal', door: 'test' });
  expect(await desk.engine.inspect(settling)).toMatchObject({ status: 'settling' });
  const asking = await run('asking', true);
  await rows.write((db) =>
    db
      .update(runs)
      .set({ attention: { code: 'X', message: 'x', retry: 'ask' } })
      .where(eq(runs.id, asking))
      .run(),
  );
  const rolling = await run('rolling', true);
  await rows.write((db) => db.update(runs).set({ phase: 'rolling_back' }).where(eq(runs.id, rolling)).run());
  laterBy(400);
  expect((await prune()).runs).toEqual([]);
  expect(await names()).toEqual(['asking', 'rolling', 'settling']);
});

test('a family of runs goes together or not at all', async () => {
  const [oldParent, oldChild, youngParent, childOfYoung, parentOfOpen, openChild] = [
    await run('old parent', true),
    await run('old child', true),
    await run('young parent', true),
    await run('child of young', true),
    await run('parent of open', true),
    await run('open child', false),
  ];
  const adopt = (child: string, parentId: string) => rows.write((db) => db.update(runs).set({ parentId }).where(eq(runs.id, child)).run());
  await adopt(oldChild, oldParent);
  await adopt(childOfYoung, youngParent);
  await adopt(openChild, parentOfOpen);
  laterBy(91);
  await rows.write((db) => db.update(runs).set({ updatedAt: now() }).where(eq(runs.id, youngParent)).run());
  expect((await prune({ dryRun: true })).runs.map((row) => row.name).sort()).toEqual(['old child', 'old parent']);
  await prune();
  expect(await names()).toEqual(['child of young', 'open child', 'parent of open', 'young parent']);
});

test('a run that a target names, by itself, a secret or an artifact of it, stays as long as the target', async () => {
  const [byRun, bySecret, byArtifact] = [await run('by run', true), await run('by secret', true), await run('by artifact', true)];
  await run('unnamed', true);
  await target('one', { run: byRun });
  await target('two', { secrets: { password: `secret:${await secretOf(bySecret, false)}` } });
  await target('three', { snapshot: `artifact:${await artifactOf(byArtifact, 'configuration')}` });
  laterBy(91);
  await prune();
  expect(await names()).toEqual(['by artifact', 'by run', 'by secret']);
  for (const name of ['one', 'two', 'three']) await desk.registry.removeTarget(name);
  await prune();
  expect(await names()).toEqual([]);
});

test('secrets go only when they are retired and nothing that stays refers to them', async () => {
  const gone = await run('gone', true);
  const stays = await run('stays', false);
  const inArtifact = await secretOf(gone, true);
  await artifactOf(stays, JSON.stringify({ env: [{ secret: `secret:${inArtifact}` }] }));
  const inRun = await secretOf(gone, true);
  await rows.write((db) =>
    db
      .update(runs)
      .set({ output: { key: `secret:${inRun}` } })
      .where(eq(runs.id, stays))
      .run(),
  );
  const inUndo = await secretOf(gone, true);
  const rolling = await run('rolling', false);
  await desk.engine.hold(rolling, me);
  await desk.engine.advance({ run: rolling, event: 'go' }, me);
  const [effect] = await desk.store.effects(rolling);
  const before = Buffer.from(await desk.vault.seal(`before:${effect?.key}`, { env: `A=secret:${inUndo}` }));
  await rows.write((db) =>
    db
      .update(effects)
      .set({ before })
      .where(eq(effects.key, effect?.key ?? ''))
      .run(),
  );
  await rows.write((db) => db.update(runs).set({ phase: 'rolling_back' }).where(eq(runs.id, rolling)).run());
  const inTarget = await secretOf(await run('other', true), true);
  await target('one', { secrets: { password: `secret:${inTarget}` } });
  await secretOf(gone, true);
  const live = await secretOf(gone, false);
  const ofStaying = await secretOf(stays, true);
  laterBy(91);

  const planned = await prune({ dryRun: true });
  expect(planned).toMatchObject({ secrets: 1, secretsRetired: 1 });
  expect(await prune()).toEqual({ ...planned, dryRun: false });
  expect(await secretsLeft()).toEqual([inArtifact, inRun, inUndo, inTarget, live, ofStaying].sort());
  // One that was live when its run went is retired first, and goes one pruning later.
  expect(await prune()).toMatchObject({ secrets: 1, secretsRetired: 0 });
  expect(await secretsLeft()).toEqual([inArtifact, inRun, inUndo, inTarget, ofStaying].sort());
});

test('when an artifact that stays cannot be read, no secret goes', async () => {
  const retired = await secretOf(await run('gone', true), true);
  writeFileSync(join(desk.home.artifacts, await artifactOf(await run('stays', false), 'x')), 'damaged');
  laterBy(91);
  await prune();
  expect(await prune()).toMatchObject({ secrets: 0 });
  expect(await secretsLeft()).toEqual([retired]);
});

test('artifacts go with their run; pending ones, files without a row and temporary files after a day', async () => {
  const kept = await artifactOf(await run('stays', false), 'kept');
  const going = await artifactOf(await run('gone', true), 'going');
  const { id: pending } = await desk.vault.stageArtifact('plan', 'text/plain', 'never committed');
  const old = new Date(Date.now() - 2 * dayMs);
  const write = (path: string, at: Date) => {
    writeFileSync(path, 'x');
    utimesSync(path, at, at);
    return path;
  };
  const orphan = write(join(desk.home.artifacts, 'orphan'), old);
  const part = write(join(desk.home.artifacts, 'some.part'), old);
  const key = write(`${desk.home.keyFile}.aside`, old);
  const fresh = write(join(desk.home.artifacts, 'fresh.part'), new Date());
  mkdirSync(desk.home.exports);
  const exported = write(join(desk.home.exports, 'logs-old.txt'), old);
  const newExport = write(join(desk.home.exports, 'logs-new.txt'), new Date());

  expect((await prune({ dryRun: true })).files.sort()).toEqual([orphan, part, key, exported].sort());
  expect(files()).toContain('orphan');
  expect((await prune()).files.sort()).toEqual([orphan, part, key, exported].sort());
  expect(files()).toEqual([kept, going, pending, 'fresh.part'].sort());
  expect(existsSync(desk.home.keyFile)).toBe(true);

  laterBy(91);
  const planned = await prune({ dryRun: true });
  expect(planned).toMatchObject({ artifacts: 2 });
  expect(await prune()).toMatchObject({ artifacts: 2 });
  expect(planned.files.sort()).toEqual([fresh, newExport, ...[going, pending].map((id) => join(desk.home.artifacts, id))].sort());
  expect(files()).toEqual([kept]);
  expect(await artifactsLeft()).toEqual([kept]);
  expect(await desk.vault.readArtifact(`artifact:${kept}`)).toBe('kept');
});

test('of all processes one prunes, once a day; a clock that was ahead holds nobody up', async () => {
  const other = createOperations({ desk, clock: { now }, log: createLog({ level: 'silent', scrubber: createScrubber() }) });
  try {
    const [a, b] = await Promise.all([operations.pruneDaily(), other.pruneDaily()]);
    expect([a, b].filter((report) => report !== undefined)).toHaveLength(1);
    laterBy(0.9);
    expect(await other.pruneDaily()).toBeUndefined();
    laterBy(0.2);
    expect(await other.pruneDaily()).toBeDefined();
    expect(await operations.pruneDaily()).toBeUndefined();
    laterBy(-30);
    expect(await operations.pruneDaily()).toBeDefined();
    expect(await other.pruneDaily()).toBeUndefined();
  } finally {
    other.close();
  }
});
