/** The approval page from outside: real HTTP to a real listener, judged by the world and the ledger. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pagesOf } from '../../src/approval-pages.ts';
import { auditedApprover } from '../../src/audited-approver.ts';
import { systemClock } from '../../src/clock.ts';
import type { Desk } from '../../src/desk.ts';
import { keepRefusals } from '../../src/engine/audited.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { audit } from '../../src/store/sqlite/schema.ts';
import type { Pages } from '../../src/web/pages.ts';
import { openRelayDesk, temporaryHome } from '../helpers/desk.ts';
import { startWorld } from '../helpers/fake-world.ts';
import { ask, opened } from '../helpers/page-request.ts';
import { codeOf } from '../helpers/wizard-stage.ts';

const me = { principal: 'agent', door: 'test' };
let place: ReturnType<typeof temporaryHome>;
let world: Awaited<ReturnType<typeof startWorld>>;
let desk: Desk;
let pages: Pages;
beforeEach(async () => {
  place = temporaryHome();
  world = await startWorld();
  desk = await openRelayDesk(place.home, world.url);
  desk.worker.start();
  const scrubber = createScrubber();
  const log = createLog({ level: 'silent', scrubber });
  const approver = auditedApprover(desk.approver, keepRefusals({ store: desk.store, clock: systemClock, log }));
  pages = pagesOf({ app: { ...desk, approver }, scrubber, log, principal: 'local:me' });
});
afterEach(async () => {
  pages.close();
  await desk.worker.stop(500);
  desk.close();
  await world.close();
  place.remove();
});

async function linkFor(name: string): Promise<string> {
  const { runId } = await desk.engine.start({ workflow: 'relay', name, input: { lock: `target:${name}` } }, me);
  await desk.engine.advance({ run: runId, event: 'go' }, me);
  await desk.engine.waitFor(runId, { waitMs: 20_000 });
  expect(await codeOf(desk.engine.advance({ run: runId, event: 'finish' }, me))).toBe('APPROVAL_REQUIRED');
  const asked = (await desk.engine.pendingApprovals(runId)).at(-1);
  if (!asked) throw new Error('nothing was asked');
  const url = await pages.forApproval(asked);
  if (url === undefined) throw new Error('no link');
  return url;
}
const sealed = () => world.state().journal.filter((entry) => entry.name === 'seal').length;

test('the page shows what will happen, and the name typed carries it out once', async () => {
  const url = await linkFor('shop');
  expect(new URL(url).hostname).toBe('127.0.0.1');
  expect(new URL(url).pathname).toMatch(/^\/[\w-]{32}$/);
  const { got, token, headers } = await opened(url);
  expect(got.status).toBe(200);
  expect(got.text).toContain('Seal the world for good. Plan abc.');
  expect(got.text).toContain("type the run's name: <code>shop</code>");
  const yes = { token, decision: 'approve', name: 'shop' };
  expect((await ask(url, { method: 'POST', headers, form: yes })).text).toContain('<h1>Approved</h1>');
  expect(await desk.engine.waitFor('shop', { waitMs: 20_000 })).toMatchObject({ status: 'done' });
  expect((await ask(url, { method: 'POST', headers, form: yes })).status).toBe(404);
  expect((await ask(url)).status).toBe(404);
  expect(sealed()).toBe(1);
});

test('nothing but a strict page leaves: no script, no outside, no frame, no store', async () => {
  const { got } = await opened(await linkFor('strict'));
  expect(got.headers['content-security-policy']).toContain("default-src 'none'");
  expect(got.headers['content-security-policy']).toContain("frame-ancestors 'none'");
  expect(got.headers).toMatchObject({
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  });
  expect(got.headers['set-cookie']).toEqual([expect.stringMatching(/HttpOnly; SameSite=Strict/)]);
  expect(got.text).not.toMatch(/<script|https?:\/\/|style=|\son\w+=/i);
});

test.each([
  ['another host', { host: 'evil.example:80' }, 403],
  ['the name localhost', { host: 'localhost' }, 403],
  ['a frame', { 'sec-fetch-dest': 'iframe' }, 403],
  ['a script of another page', { 'sec-fetch-dest': 'empty', 'sec-fetch-site': 'cross-site' }, 403],
])('looking from %s is refused', async (_what, headers, status) => {
  expect((await ask(await linkFor('seen'), { headers })).status).toBe(status);
});

test('forged forms are refused, and the world stands still', async () => {
  const url = await linkFor('forged');
  const { token, headers } = await opened(url);
  const form = { token, decision: 'approve', name: 'forged' };
  const post = (over: Record<string, string>, fields: Record<string, string> = form) =>
    ask(url, { method: 'POST', headers: { ...headers, ...over }, form: fields });
  expect((await post({ origin: 'https://evil.example' })).status).toBe(403);
  expect((await post({ origin: 'null' })).status).toBe(403);
  expect((await post({ host: 'evil.example' })).status).toBe(403);
  expect((await post({ 'sec-fetch-site': 'cross-site' })).status).toBe(403);
  expect((await post({ cookie: '' })).status).toBe(403);
  expect((await post({ cookie: 'capstan_page=other' })).status).toBe(403);
  expect((await post({}, { ...form, token: 'x' })).status).toBe(403);
  expect((await post({}, { ...form, name: 'x'.repeat(20_000) })).status).toBe(413);
  expect((await ask(url, { method: 'PUT', headers, form })).status).toBe(403);
  expect((await ask(url.slice(0, -1), { headers })).status).toBe(404);
  expect((await ask(new URL('/../../etc/passwd', url).href)).status).toBe(404);
  const { origin: _, ...withoutOrigin } = headers;
  expect((await ask(url, { method: 'POST', headers: withoutOrigin, form })).status).toBe(403);
  expect(sealed()).toBe(0);
  expect(await desk.engine.inspect('forged')).toMatchObject({ state: 'resting' });
  // A token of one link is worth nothing at another.
  const other = await linkFor('other');
  const there = await opened(other);
  expect((await ask(other, { method: 'POST', headers: there.headers, form: { ...form, name: 'other' } })).status).toBe(403);
});

test('a wrong name asks again; the fifth kills the link, and no new one is given for this request', async () => {
  const url = await linkFor('typo');
  const { token, headers } = await opened(url);
  for (let left = 4; left > 0; left--) {
    const again = await ask(url, { method: 'POST', headers, form: { token, decision: 'approve', name: 'Typo' } });
    expect(again.status).toBe(422);
    expect(again.text).toContain('That is not the name of the run');
  }
  expect((await ask(url, { method: 'POST', headers, form: { token, decision: 'approve', name: 'x' } })).status).toBe(429);
  expect((await ask(url, { method: 'POST', headers, form: { token, decision: 'approve', name: 'typo' } })).status).toBe(404);
  const asked = (await desk.engine.pendingApprovals('typo')).at(-1);
  expect(asked && (await pages.forApproval(asked))).toBeUndefined();
  expect(sealed()).toBe(0);
});

test('of two answers at once one counts', async () => {
  const url = await linkFor('race');
  const { token, headers } = await opened(url);
  const form = { token, decision: 'approve', name: 'race' };
  const answers = await Promise.all(Array.from({ length: 6 }, () => ask(url, { method: 'POST', headers, form })));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(answers.every(({ status }) => [200, 404, 409].includes(status))).toBe(true);
  await desk.engine.waitFor('race', { waitMs: 20_000 });
  expect(sealed()).toBe(1);
});

test('a no voids the request; a run that moved on makes the page stale', async () => {
  const url = await linkFor('no');
  const { token, headers } = await opened(url);
  expect((await ask(url, { method: 'POST', headers, form: { token, decision: 'decline' } })).text).toContain('Nothing was changed');
  expect(await desk.engine.pendingApprovals('no')).toEqual([]);
  const stale = await linkFor('moved');
  const seen = await opened(stale);
  await desk.engine.advance({ run: 'moved', event: 'again' }, me);
  await desk.engine.waitFor('moved', { waitMs: 20_000 });
  const form = { token: seen.token, decision: 'approve', name: 'moved' };
  expect((await ask(stale, { method: 'POST', headers: seen.headers, form })).status).toBe(410);
  expect(sealed()).toBe(0);
});

test('a production target asks for the passphrase: wrong ones are refused, the right one seals', async () => {
  await desk.registry.addTarget({ name: 'prod', kind: 'self-hosted', tags: ['production'], record: {} }, []);
  await desk.approver.init('four quiet horses walk');
  const url = await linkFor('prod');
  const { got, token, headers } = await opened(url);
  expect(got.text).toContain('Passphrase of the approver key');
  const form = { token, decision: 'approve', name: 'prod' };
  expect((await ask(url, { method: 'POST', headers, form })).status).toBe(422);
  expect((await ask(url, { method: 'POST', headers, form: { ...form, passphrase: 'three quiet horses' } })).text).not.toContain(
    'three quiet horses',
  );
  expect(sealed()).toBe(0);
  expect((await ask(url, { method: 'POST', headers, form: { ...form, passphrase: 'four quiet horses walk' } })).text).toContain('Approved');
  await desk.engine.waitFor('prod', { waitMs: 20_000 });
  expect((await desk.store.approvals((await desk.engine.inspect('prod')).runId)).at(-1)).toMatchObject({
    level: 'sealed',
    grantedBy: 'local:me',
  });
  expect(sealed()).toBe(1);
  const connection = openDatabase(desk.home.database);
  const rows = await connection.read((db) => db.select().from(audit).all());
  connection.close();
  const tried = { principal: 'local:me', door: 'page', level: 'sealed', action: 'unlock the approver key', outcome: 'PASSPHRASE_WRONG' };
  expect(rows.filter(({ outcome }) => outcome !== 'accepted')).toMatchObject([tried, tried]);
  expect(rows.find(({ outcome }) => outcome === 'PASSPHRASE_WRONG')?.runId).toBe((await desk.engine.inspect('prod')).runId);
  expect(JSON.stringify(rows)).not.toContain('quiet horses');
});

test('a secret typed on the page is kept under the promised reference and shown nowhere', async () => {
  const { runId } = await desk.engine.start({ workflow: 'relay', name: 'mail' }, me);
  const request = { runId, runName: 'mail', title: 'Set the mail server', fields: ['pass'] };
  const asked = await pages.forSecrets(request);
  expect(await pages.forSecrets(request)).toEqual(asked);
  expect(await codeOf(desk.vault.reveal(asked.references['pass'] ?? ''))).toBe('SECRET_UNKNOWN');
  const { token, headers } = await opened(asked.url);
  expect((await ask(asked.url, { method: 'POST', headers, form: { token, decision: 'approve', 'secret.pass': '' } })).status).toBe(422);
  const given = await ask(asked.url, {
    method: 'POST',
    headers,
    form: { token, decision: 'approve', 'secret.pass': 'canary-on-the-page-1' },
  });
  expect(given.text).toContain('Handed over');
  expect(given.text).not.toContain('canary-on-the-page-1');
  expect(await pages.outcome(asked.id)).toBe('done');
  expect(await desk.vault.reveal(asked.references['pass'] ?? '')).toBe('canary-on-the-page-1');
  expect((await ask(asked.url)).status).toBe(404);
});

test('names and texts from outside are shown as text: no markup, no hidden characters', async () => {
  const evil = '<img src=x onerror=alert(1)>\u202eevil';
  const asked = await pages.forSecrets({ runId: 'r', runName: evil, title: evil, fields: ['"><script>'] });
  const { text } = await ask(asked.url);
  expect(text).not.toMatch(/<img|<script/);
  expect(text).toContain('&lt;img src=x onerror=alert(1)&gt;\\u{202e}evil');
});
