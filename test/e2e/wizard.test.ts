/** The wizard end to end on the sandbox; what happened is read from the sandbox's journal and state, not from our ledger. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { countAppliedTwice, leftoversOf } from '../../src/demo/verdicts.ts';
import type { RunView } from '../../src/engine/view.ts';
import { onSandbox } from '../helpers/on-sandbox.ts';
import { codeOf, me, openStage } from '../helpers/wizard-stage.ts';

const at = onSandbox(openStage);

const applied = (run: string) => at.sandbox.journal().filter((entry) => entry.applied && JSON.stringify(entry.body ?? '').includes(run));
const checksOf = (view: RunView) =>
  (view.details['verification'] as { checks: { name: string; ok: boolean | null; side: string }[] }).checks;
const composeOf = (name: string) => at.sandbox.state().composes.find((row) => row.appName.startsWith(name));

test('nine steps: deployed, proven by live probes, handed over; then a rollback is refused and changes nothing', async () => {
  const review = await at.stage.toReview('shop');
  expect(review).toMatchObject({ state: 'review', status: 'waiting' });
  expect(at.sandbox.state().projects).toEqual([]);
  expect(await codeOf(at.stage.app.engine.advance({ run: review.runId, event: 'approve' }, me))).toBe('APPROVAL_REQUIRED');
  const verified = await at.stage.approve(review.runId);
  expect(verified).toMatchObject({ state: 'verified', status: 'waiting' });
  const checks = checksOf(verified);
  expect(checks.length).toBeGreaterThanOrEqual(6);
  expect(checks.filter((check) => check.ok !== true)).toEqual([]);
  const done = await at.stage.send(review.runId, 'handover');
  expect(done).toMatchObject({ state: 'done', status: 'done' });
  expect(JSON.stringify(done.output)).not.toMatch(/eyJ[\w-]+\./);
  expect((await at.stage.app.registry.targets()).map((row) => row.name)).toEqual(['shop']);
  expect(countAppliedTwice(at.sandbox.journal())).toBe(0);

  const before = { state: at.sandbox.state(), entries: at.sandbox.journal().filter((entry) => entry.applied).length };
  expect(await codeOf(at.stage.app.engine.rollback({ run: review.runId, to: 'name' }, me))).toBe('POINT_OF_NO_RETURN');
  expect({ state: at.sandbox.state(), entries: at.sandbox.journal().filter((entry) => entry.applied).length }).toEqual(before);
});

test('rolled back from after the deployment to the name step, nothing is left and the next try works', async () => {
  const ready = await at.stage.toVerified('trial');
  expect(ready.state).toBe('verified');
  const back = await at.stage.rollback(ready.runId, 'name');
  expect(back).toMatchObject({ state: 'name', status: 'waiting' });
  expect(leftoversOf(at.sandbox.journal(), ready.runId)).toEqual([]);
  expect(composeOf('trial')).toBeUndefined();
  expect(at.sandbox.state().projects.some((row) => row.name === 'trial')).toBe(false);
  await at.stage.send(ready.runId, 'name', { name: 'trial-two' });
  await at.stage.send(ready.runId, 'generate');
  await at.stage.send(ready.runId, 'skipSmtp');
  const review = await at.stage.send(ready.runId, 'domain', { host: 'trial-two.supabase.test' });
  expect(review.state).toBe('review');
});

test('a user table made meanwhile stops the rollback, and says why; nothing moves', async () => {
  const ready = await at.stage.toVerified('lived-in');
  const secrets = ready.details['secrets'] as { references?: Record<string, string> };
  const key = await at.stage.app.vault.reveal(secrets.references?.['SERVICE_ROLE_KEY'] ?? '');
  const { queryThroughMeta } = await import('../../src/effects/supabase/sql.ts');
  const reach = { ca: at.sandbox.ca, resolve: at.sandbox.resolve };
  await queryThroughMeta({ baseUrl: 'https://lived-in.supabase.test', serviceKey: key, reach }, 'create table public.customers (id int)');
  const before = at.sandbox.journal().filter((entry) => entry.applied).length;
  expect(await codeOf(at.stage.app.engine.rollback({ run: ready.runId, to: 'name' }, me))).toBe('USER_DATA_EXISTS');
  expect(at.sandbox.journal().filter((entry) => entry.applied)).toHaveLength(before);
  expect((await at.stage.app.engine.inspect(ready.runId)).state).toBe('verified');
});

test('somebody else edits the environment between plan and write: the run asks and overwrites nothing (E9)', async () => {
  const review = await at.stage.toReview('edited');
  await codeOf(at.stage.app.engine.advance({ run: review.runId, event: 'approve' }, me));
  at.sandbox.setFaults(['hang-after:1@compose.saveEnvironment']);
  const approving = at.stage.approve(review.runId);
  while (
    !at.sandbox
      .journal()
      .some((entry) => entry.procedure === 'compose.saveEnvironment' && entry.identity['composeId'] === composeOf('edited')?.composeId)
  )
    await tick();
  const composeId = composeOf('edited')?.composeId;
  await fetch(`${at.sandbox.url}/api/compose.saveEnvironment`, {
    method: 'POST',
    headers: { 'x-api-key': at.sandbox.apiKey, 'content-type': 'application/json' },
    body: JSON.stringify({ composeId, env: 'SOMEBODY=else', createEnvFile: true }),
  });
  const stuck = await approving;
  expect(stuck.status).toBe('needs_attention');
  expect(stuck.next.who).toBe('human');
  const row = await (
    await fetch(`${at.sandbox.url}/api/compose.one?composeId=${composeId}`, { headers: { 'x-api-key': at.sandbox.apiKey } })
  ).json();
  expect((row as { env: string }).env).toBe('SOMEBODY=else');
}, 120_000);

const tick = () => new Promise((resolve) => setTimeout(resolve, 20));

test.each([
  ['500-after:1@project.create'],
  ['hang-after:1@compose.create'],
  ['half-write:1'],
  ['500-after:1@compose.saveEnvironment'],
  ['500-after:1@compose.deploy'],
  ['drop-job:1'],
  ['429:2'],
  ['slow-boot'],
])(
  'with the fault %s the run still ends verified and nothing is applied twice',
  async (fault) => {
    const name = `f-${fault.replace(/[^a-z0-9]+/g, '-')}`.slice(0, 30).replace(/-+$/, '');
    const review = await at.stage.toReview(name);
    at.sandbox.setFaults([fault]);
    await codeOf(at.stage.app.engine.advance({ run: review.runId, event: 'approve' }, me));
    const end = await at.stage.approve(review.runId);
    expect({ state: end.state, error: end.error }).toEqual({ state: 'verified', error: undefined });
    expect(applied(review.runId).filter((entry) => entry.procedure === 'job.deploy')).toHaveLength(1);
    expect(at.sandbox.state().composes.filter((row) => row.appName.startsWith(`${name}-`))).toHaveLength(1);
    at.sandbox.setFaults([]);
    expect((await at.stage.rollback(review.runId, 'name')).state).toBe('name');
    expect(leftoversOf(at.sandbox.journal(), review.runId)).toEqual([]);
  },
  180_000,
);

test('an unhealthy database ends in deployFailed with its name, and can be rolled back', async () => {
  const review = await at.stage.toReview('sick');
  at.sandbox.setFaults(['unhealthy-db']);
  await codeOf(at.stage.app.engine.advance({ run: review.runId, event: 'approve' }, me));
  const end = await at.stage.approve(review.runId);
  expect(end).toMatchObject({ state: 'deployFailed', error: { code: 'DEPLOYMENT_UNHEALTHY' } });
  expect(end.error?.message).toContain('db');
  at.sandbox.setFaults([]);
  expect((await at.stage.rollback(review.runId, 'review')).state).toBe('review');
  expect(leftoversOf(at.sandbox.journal(), review.runId)).toEqual([]);
}, 180_000);

test('wrong keys at the gateway fail the verification, which names the side; retry after the repair passes', async () => {
  const review = await at.stage.toReview('mixed-up');
  at.sandbox.setFaults(['bad-key']);
  await codeOf(at.stage.app.engine.advance({ run: review.runId, event: 'approve' }, me));
  const end = await at.stage.approve(review.runId);
  expect(end.state).toBe('verificationFailed');
  const failed = checksOf(end).filter((check) => check.ok === false);
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.every((check) => check.side === 'gateway')).toBe(true);
  expect(await codeOf(at.stage.app.engine.advance({ run: review.runId, event: 'acceptWithWarning' }, me))).toBe('APPROVAL_REQUIRED');
}, 120_000);

test('a certificate that comes late is waited for in its own state', async () => {
  const review = await at.stage.toReview('late-cert');
  at.sandbox.setFaults(['slow-certificate']);
  await codeOf(at.stage.app.engine.advance({ run: review.runId, event: 'approve' }, me));
  const end = await at.stage.approve(review.runId);
  expect(end.state).toBe('verified');
  const states = (await at.stage.app.engine.timeline(review.runId, { after: 0, limit: 200 })).map((event) => event.state);
  expect(states).toContain('awaitingCertificate');
}, 120_000);

test('no secret is in database, WAL, artifacts, logs or views (S6)', async () => {
  const ready = await at.stage.toVerified('canary');
  const references = Object.values((ready.details['secrets'] as { references?: Record<string, string> }).references ?? {});
  expect(references.length).toBeGreaterThan(8);
  const values = [at.sandbox.apiKey, ...(await Promise.all(references.map((reference) => at.stage.app.vault.reveal(reference))))];
  const timeline = await at.stage.app.engine.timeline(ready.runId, { after: 0, limit: 500 });
  const told = at.stage.logged() + JSON.stringify([ready, timeline, await at.stage.app.effects(ready.runId)]);
  const files = readdirSync(at.stage.home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const value of values) {
    expect(told.includes(value)).toBe(false);
    for (const file of files) expect(readFileSync(join(file.parentPath, file.name)).includes(value)).toBe(false);
  }
}, 120_000);
