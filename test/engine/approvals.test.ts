/** engine.md A1, A2: who may say yes at which level, what stands allowed, and what of it is written down. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Desk } from '../../src/desk.ts';
import { concerned, ruleFor, ruleText, sealedAmong } from '../../src/engine/approval-policy.ts';
import type { Seal } from '../../src/engine/approver-port.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { audit } from '../../src/store/sqlite/schema.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { codeOf } from '../helpers/wizard-stage.ts';

const passphrase = 'four quiet horses walk';
const me = { principal: 'agent', door: 'test' };
const atTerminal = { principal: 'local:me', door: 'cli', level: 'terminal' as const };

let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let desk: Desk;
beforeEach(async () => {
  place = temporaryHome();
  world = await startWorld();
  desk = await openRelayDesk(place.home, world.url);
  desk.worker.start();
});
afterEach(async () => {
  await desk.worker.stop(500);
  desk.close();
  await world.close();
  place.remove();
});

const addTarget = (name: string, tags: string[]) => desk.registry.addTarget({ name, kind: 'self-hosted', tags, record: {} }, []);
async function resting(name: string, lock?: string): Promise<string> {
  const { runId } = await desk.engine.start({ workflow: 'relay', name, input: lock === undefined ? {} : { lock } }, me);
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  expect(await desk.engine.waitFor(runId, { waitMs: 20_000 })).toMatchObject({ state: 'resting' });
  return runId;
}
async function askedToSeal(name: string, lock?: string): Promise<string> {
  const runId = await resting(name, lock);
  expect(await codeOf(desk.engine.advance({ run: runId, event: 'finish' }, me))).toBe('APPROVAL_REQUIRED');
  return (await desk.engine.pendingApprovals(runId)).at(-1)?.id ?? '';
}
const sealedWorld = () => world.state().journal.filter((entry) => entry.name === 'seal').length;
async function decisions(): Promise<{ principal: string; level: string | null; action: string }[]> {
  const connection = openDatabase(desk.home.database);
  const rows = await connection.read((db) => db.select().from(audit).all());
  connection.close();
  return rows.filter((row) => /^(approve|decline)/.test(row.action)).map(({ principal, level, action }) => ({ principal, level, action }));
}

test('a target tagged production takes no approval but a sealed one, and none at all before there is an approver key', async () => {
  await addTarget('shop', ['production']);
  const id = await askedToSeal('prod', 'target:shop');
  for (const level of ['client-vouched', 'page', 'terminal'] as const)
    expect(await codeOf(desk.engine.approve(id, { ...atTerminal, level }))).toBe('APPROVER_MISSING');
  await desk.approver.init(passphrase);
  for (const level of ['client-vouched', 'page', 'terminal'] as const)
    expect(await codeOf(desk.engine.approve(id, { ...atTerminal, level }))).toBe('APPROVAL_NEEDS_SEAL');
  expect(sealedWorld()).toBe(0);
  const seal = await desk.approver.unlock(passphrase);
  await desk.engine.approve(id, { ...atTerminal, level: 'sealed', seal });
  expect(await desk.engine.waitFor('prod', { waitMs: 20_000 })).toMatchObject({ status: 'done' });
  expect(sealedWorld()).toBe(1);
  expect(await decisions()).toEqual([{ principal: 'local:me', level: 'sealed', action: 'approve advance finish' }]);
});

test('the rollback and the cancel of a run on a production target ask for the seal too', async () => {
  await addTarget('shop', ['production']);
  await desk.approver.init(passphrase);
  const runId = await resting('back', 'target:shop');
  expect(await codeOf(desk.engine.rollback({ run: runId, to: 'asking' }, me))).toBe('APPROVAL_REQUIRED');
  expect(await codeOf(desk.engine.cancel({ run: runId }, me))).toBe('APPROVAL_REQUIRED');
  for (const { id } of await desk.engine.pendingApprovals(runId))
    expect(await codeOf(desk.engine.approve(id, atTerminal))).toBe('APPROVAL_NEEDS_SEAL');
  expect(Object.keys(world.state().standing)).toHaveLength(3);
});

test('a seal of another key, a forged one and a rule that nobody wrote are refused', async () => {
  await addTarget('shop', ['production']);
  await desk.approver.init(passphrase);
  const id = await askedToSeal('forged', 'target:shop');
  const foreign: Seal = { keyId: 'x', sign: () => Buffer.alloc(64).toString('base64') };
  expect(await codeOf(desk.engine.approve(id, { ...atTerminal, level: 'sealed', seal: foreign }))).toBe('APPROVAL_FORGED');
  expect(await codeOf(desk.engine.approve(id, { ...atTerminal, level: 'sealed' }))).toBe('APPROVAL_FORGED');
  expect(await codeOf(desk.engine.approve(id, { ...atTerminal, level: 'rule' }))).toBe('APPROVAL_FORGED');
  const row = await desk.store.approval(id);
  if (!row) throw new Error('no row');
  await desk.store.saveApproval({ ...row, status: 'granted', level: 'sealed', grantedBy: 'local:me', signature: 'AAAA' });
  expect(await codeOf(desk.engine.advance({ run: 'forged', event: 'finish', approval: id }, me))).toBe('APPROVAL_FORGED');
  await desk.store.saveApproval({ ...row, status: 'granted', level: 'rule', grantedBy: 'rule:nothing', signature: row.signature });
  expect(await codeOf(desk.engine.advance({ run: 'forged', event: 'finish', approval: id }, me))).toBe('APPROVAL_FORGED');
  expect(sealedWorld()).toBe(0);
});

test('an approval that was given once allows once; after a move of the run it is stale', async () => {
  const id = await askedToSeal('once');
  await desk.engine.advance({ run: 'once', event: 'again' }, me);
  await desk.engine.waitFor('once', { waitMs: 20_000 });
  expect(await codeOf(desk.engine.approve(id, atTerminal))).toBe('APPROVAL_STALE');
  const next = await askedToSeal('twice');
  await desk.engine.approve(next, atTerminal);
  expect(await codeOf(desk.engine.approve(next, atTerminal))).toBe('APPROVAL_STALE');
  await desk.engine.waitFor('twice', { waitMs: 20_000 });
  expect(sealedWorld()).toBe(1);
});

test('a person who says no is in the audit with the level', async () => {
  const id = await askedToSeal('no');
  await desk.engine.decline(id, { ...atTerminal, level: 'page' });
  expect(await decisions()).toEqual([{ principal: 'local:me', level: 'page', action: 'decline advance finish' }]);
  expect(await codeOf(desk.engine.approve(id, atTerminal))).toBe('APPROVAL_STALE');
});

async function addRule(tags: string[], over: { event?: string; workflow?: string; days?: number } = {}): Promise<string> {
  const seal = await desk.approver.unlock(passphrase);
  const id = `rule${tags.join('')}`;
  const rule = {
    id,
    workflow: over.workflow ?? 'relay',
    event: over.event ?? null,
    tags,
    expiresAt: Date.now() + (over.days ?? 1) * 86_400_000,
  };
  await desk.approver.addRule({ ...rule, signature: seal.sign(ruleText(rule)) });
  return id;
}

test('a signed rule lets its workflow pass on targets with its tags, and says so in the audit; taken back, it asks again', async () => {
  await addTarget('stage', ['staging']);
  await desk.approver.init(passphrase);
  const id = await addRule(['staging']);
  const runId = await resting('ruled', 'target:stage');
  await desk.engine.advance({ run: runId, event: 'finish' }, me);
  expect(await desk.engine.waitFor(runId, { waitMs: 20_000 })).toMatchObject({ status: 'done' });
  expect(await decisions()).toEqual([{ principal: `rule:${id}`, level: 'rule', action: 'approve advance finish' }]);
  const other = await resting('elsewhere');
  expect(await codeOf(desk.engine.advance({ run: other, event: 'finish' }, me))).toBe('APPROVAL_REQUIRED');
  const back = await resting('undone', 'target:stage');
  expect(await codeOf(desk.engine.rollback({ run: back, to: 'asking' }, me))).toBe('APPROVAL_REQUIRED');
  await desk.approver.removeRule(id);
  expect(await codeOf(desk.engine.advance({ run: back, event: 'finish' }, me))).toBe('APPROVAL_REQUIRED');
  expect(await codeOf(desk.approver.removeRule(id))).toBe('RULE_UNKNOWN');
});

test('a rule dies with its key, and one that somebody wrote into the store by hand never lived', async () => {
  await addTarget('stage', ['staging']);
  await desk.approver.init(passphrase);
  await addRule(['staging']);
  expect(await codeOf(desk.approver.init('another long phrase', 'not the right one'))).toBe('PASSPHRASE_WRONG');
  await desk.approver.init('another long phrase', passphrase);
  expect(await desk.approver.rules()).toEqual([]);
  expect(await desk.approver.allRules()).toMatchObject([{ valid: false }]);
  expect(await codeOf(desk.approver.unlock(passphrase))).toBe('PASSPHRASE_WRONG');
  const runId = await resting('void', 'target:stage');
  expect(await codeOf(desk.engine.advance({ run: runId, event: 'finish' }, me))).toBe('APPROVAL_REQUIRED');
});

test('an approver key is made once, with a long passphrase, and is nowhere in clear', async () => {
  expect(await codeOf(desk.approver.unlock(passphrase))).toBe('APPROVER_MISSING');
  expect(await codeOf(desk.approver.init('short'))).toBe('PASSPHRASE_WEAK');
  await desk.approver.init(passphrase);
  expect(await codeOf(desk.approver.init('another long phrase'))).toBe('APPROVER_EXISTS');
  const { readdirSync, readFileSync, statSync } = await import('node:fs');
  const { join } = await import('node:path');
  for (const name of readdirSync(place.home, { recursive: true, encoding: 'utf8' })) {
    const path = join(place.home, name);
    if (statSync(path).isFile()) expect(readFileSync(path).includes(passphrase)).toBe(false);
  }
  if (process.platform !== 'win32') expect(statSync(desk.home.approverFile).mode & 0o077).toBe(0);
});

const target = (name: string, ...tags: string[]) => ({ name, tags });

test.each([
  ['a lock', { context: {} }, ['target:shop'], ['shop']],
  ['a part of a lock', {}, ['dokploy:home/target:shop'], ['shop']],
  ['a text of the context', { context: { input: { target: 'shop' } } }, [], ['shop']],
  ['a part of a text', { context: { note: 'shop window' } }, ['target:shopping'], []],
])('a run concerns a target that %s names', (_what, snapshot, locks, names) => {
  expect(concerned(snapshot, locks, [target('shop'), target('other')]).map(({ name }) => name)).toEqual(names);
});

const rule = { id: 'r', workflow: 'w', event: null, tags: ['staging'], expiresAt: 100, signature: '' };
test.each([
  ['fits', {}, {}, true],
  ['another workflow', {}, { workflow: 'x' }, false],
  ['another event', { event: 'go' }, {}, false],
  ['its event', { event: 'approve' }, {}, true],
  ['expired', { expiresAt: 50 }, {}, false],
  ['a rollback', {}, { kind: 'rollback' as const }, false],
  ['a cancel', {}, { kind: 'cancel' as const }, false],
  ['no target', {}, { targets: [] }, false],
  ['a second target without the tag', {}, { targets: [target('a', 'staging'), target('b')] }, false],
  ['no tag in the rule', { tags: [] }, {}, false],
  ['a production target', {}, { targets: [target('a', 'staging', 'production')] }, false],
  [
    'a production target that the rule names',
    { tags: ['staging', 'production'] },
    { targets: [target('a', 'staging', 'production')] },
    true,
  ],
])('a rule and a request: %s', (_what, ruleOver, over, allowed) => {
  const asked = {
    kind: 'advance' as const,
    event: 'approve',
    workflow: 'w',
    targets: [target('a', 'staging')],
    sealedTags: ['production'],
    now: 60,
  };
  expect(ruleFor([{ ...rule, ...ruleOver }], { ...asked, ...over }) !== undefined).toBe(allowed);
});

test('only a sealed tag asks for a seal', () => {
  expect(sealedAmong([target('a', 'staging'), target('b', 'production')], ['production'])?.name).toBe('b');
  expect(sealedAmong([target('b', 'production')], [])).toBeUndefined();
});
