/** update-env end to end on the sandbox's instances; judged by the stored text, the journal and live requests. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { failing, openChangeStage } from '../helpers/change-stage.ts';
import { onSandbox } from '../helpers/on-sandbox.ts';

const names = ['gen-c', 'http-urls', 'http-route', 'crlf', 'changed-password'];
const at = onSandbox((sandbox) => openChangeStage(sandbox, names), { instances: names });

const variables = (text: string) => envVariables(parseEnv(text));
const planOf = (view: { details: Record<string, unknown> }) =>
  view.details['plan'] as {
    kind: string;
    recreated: string[];
    databaseRestarts: boolean;
    changes: { name: string; before: string; after: string }[];
    warnings: { code: string }[];
  }; // shape of changePlan
const differing = (before: string, after: string) => {
  const [was, is] = [before.split('\n'), after.split('\n')];
  return is.filter((line, index) => line !== was[index]);
};

test('http becomes https in every address, and nothing else moves; only what reads them is made anew', async () => {
  const before = await at.stage.env('http-urls');
  const review = await at.stage.start('dokploy_convert_protocols', { target: 'http-urls', https: true });
  expect(review.state).toBe('review');
  const plan = planOf(review);
  expect(plan.changes.map(({ name }) => name).sort()).toEqual(['ADDITIONAL_REDIRECT_URLS', 'API_EXTERNAL_URL', 'SUPABASE_PUBLIC_URL']);
  expect(plan.changes.find(({ name }) => name === 'SUPABASE_PUBLIC_URL')).toMatchObject({
    before: 'http://http-urls.supabase.test',
    after: 'https://http-urls.supabase.test',
  });
  expect(plan).toMatchObject({ recreated: ['studio', 'auth', 'storage'], databaseRestarts: false });
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, error: done.error, failing: failing(done, 'after') }).toEqual({
    state: 'done',
    error: undefined,
    failing: [],
  });
  const after = await at.stage.env('http-urls');
  expect(differing(before, after)).toHaveLength(3);
  expect(variables(after).get('ADDITIONAL_REDIRECT_URLS')).toBe('https://http-urls.supabase.test/*,http://localhost:3000/*');
  await at.stage.rollback(review.runId, 'review');
  expect(await at.stage.env('http-urls')).toBe(before);
}, 90_000);

test('where the route serves http only, https is refused with the workflow that gives it a certificate', async () => {
  const before = await at.stage.env('http-route');
  await at.stage.post('compose.saveEnvironment', {
    composeId: at.stage.composeOf('http-route'),
    env: before.replaceAll('https://http-route', 'http://http-route'),
    createEnvFile: true,
  });
  const view = await at.stage.start('update-env', { target: 'http-route', https: true });
  expect(view).toMatchObject({ state: 'planFailed', status: 'waiting', error: { code: 'HTTPS_NOT_SERVED' } });
  expect(view.error?.fix).toContain('manage-domain');
});

test('set, unset and a secret by reference: CRLF, comments and order stay, and the secret is told nowhere', async () => {
  const before = await at.stage.env('crlf');
  const file = join(at.stage.home, '..', `smtp-pass-${process.pid}`);
  writeFileSync(file, 'canary-smtp-pass-4711', { mode: 0o600 });
  const asking = await at.stage.start('update-env', { target: 'crlf' });
  expect(asking).toMatchObject({ state: 'edit', status: 'waiting' });
  const edited = await at.stage.send(asking.runId, 'edit', { set: { JWT_EXPIRY: '7200' }, unset: ['OPENAI_API_KEY'] });
  expect(edited.state).toBe('review');
  const review = await at.stage.send(asking.runId, 'lookAgain');
  expect(planOf(review).changes.map(({ name }) => name)).toEqual(['JWT_EXPIRY', 'OPENAI_API_KEY']);
  const done = await at.stage.approve(asking.runId);
  expect({ state: done.state, failing: failing(done, 'after') }).toEqual({ state: 'done', failing: [] });
  const after = await at.stage.env('crlf');
  expect(after).toBe(before.replace(/JWT_EXPIRY=3600/, 'JWT_EXPIRY=7200').replace(/OPENAI_API_KEY=\r\n/, ''));

  const second = await at.stage.start('update-env', { target: 'crlf' });
  const planned = await at.stage.send(second.runId, 'setSecret', { variable: 'SMTP_PASS', value: `file:${file}` });
  expect(planOf(planned).changes).toEqual([expect.objectContaining({ name: 'SMTP_PASS', after: '(secret, 21 characters)' })]);
  expect((await at.stage.approve(second.runId)).state).toBe('done');
  expect(variables(await at.stage.env('crlf')).get('SMTP_PASS')).toBe('canary-smtp-pass-4711');
  const timeline = await at.stage.app.engine.timeline(second.runId, { after: 0, limit: 200 });
  const told = at.stage.logged() + JSON.stringify([planned, timeline, await at.stage.app.effects(second.runId)]);
  expect(told.includes('canary-smtp-pass-4711')).toBe(false);
}, 120_000);

test.each([
  ['a value that breaks it', { set: { SUPABASE_PUBLIC_URL: 'nonsense' } }, 'ENVIRONMENT_WORSE', 'URL_UNREADABLE'],
  ['a variable that the roles keep', { unset: ['POSTGRES_PASSWORD'] }, 'BOUND_VARIABLE', 'rotate-secrets'],
  ['a key', { unset: ['ANON_KEY'] }, 'BOUND_VARIABLE', 'repair-keys'],
  ['the size of the pool', { set: { POOLER_DEFAULT_POOL_SIZE: '40' } }, 'BOUND_VARIABLE', 'resize-pool'],
  ['a missing needed variable', { unset: ['SITE_URL'] }, 'ENVIRONMENT_WORSE', 'VARIABLE_MISSING'],
])('%s is refused before anybody is asked', async (_what, edit, code, says) => {
  const view = await at.stage.start('update-env', { target: 'gen-c', ...edit });
  expect(view).toMatchObject({ state: 'planFailed', error: { code } });
  expect(view.error?.message).toContain(says);
  expect(at.stage.writes()).toEqual([]);
});

test('a refused edit is put right in the same run', async () => {
  const refused = await at.stage.start('update-env', { target: 'gen-c', set: { SUPABASE_PUBLIC_URL: 'nonsense', JWT_EXPIRY: '60' } });
  expect(refused.state).toBe('planFailed');
  const review = await at.stage.send(refused.runId, 'edit', { set: { SUPABASE_PUBLIC_URL: 'https://gen-c.supabase.test' } });
  expect(review.state).toBe('review');
  expect(planOf(review).changes.map(({ name }) => name)).toEqual(['JWT_EXPIRY']);
});

test('what is so already is nothing to do', async () => {
  const view = await at.stage.start('update-env', { target: 'gen-c', set: { JWT_EXPIRY: '3600' } });
  expect(view).toMatchObject({ state: 'nothingToDo', status: 'done' });
  expect(at.stage.writes()).toEqual([]);
});

test('a secret in the start is refused by its name', async () => {
  await expect(at.stage.start('update-env', { target: 'gen-c', set: { SMTP_PASS: 'canary-in-the-start' } })).rejects.toMatchObject({
    code: 'INPUT_INVALID',
  });
  expect(at.stage.logged()).not.toContain('canary-in-the-start');
});

test('an instance that was green returns by itself when the change breaks it; the text is byte for byte the earlier one', async () => {
  const before = await at.stage.env('gen-c');
  const review = await at.stage.start('update-env', { target: 'gen-c', set: { JWT_EXPIRY: '1800' } });
  at.sandbox.setFaults(['bad-key:1']);
  const ended = await at.stage.approve(review.runId);
  expect(ended).toMatchObject({ state: 'returned', status: 'failed', error: { code: 'CHANGE_NOT_PROVEN' }, output: { returned: true } });
  expect(await at.stage.env('gen-c')).toBe(before);
  const again = await at.stage.start('repair-keys', { target: 'gen-c' });
  expect({ state: again.state, failing: failing(again, 'before') }).toEqual({ state: 'nothingToDo', failing: [] });
}, 90_000);

test('an instance that was not green is not returned to: a person decides', async () => {
  const review = await at.stage.start('update-env', { target: 'changed-password', set: { JWT_EXPIRY: '1800' } });
  const ended = await at.stage.approve(review.runId);
  expect(ended).toMatchObject({ state: 'changeFailed', status: 'waiting', error: { code: 'CHANGE_NOT_PROVEN' } });
  expect(ended.waitingFor.map(({ event }) => event).sort()).toEqual(['acceptWithWarning', 'retry']);
  const kept = await at.stage.approve(review.runId, 'acceptWithWarning');
  expect(kept).toMatchObject({ state: 'done', warnings: [expect.objectContaining({ code: 'CHANGE_NOT_PROVEN' })] });
}, 90_000);
