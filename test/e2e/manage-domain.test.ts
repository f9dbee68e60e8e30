import { expect, test } from 'vitest';
import { createHttp } from '../../src/effects/http/http.ts';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { failing, openChangeStage } from '../helpers/change-stage.ts';
import { onOneStage } from '../helpers/on-sandbox.ts';

const names = ['gen-c', 'http-route', 'crlf', 'bad-smtp'] as const;
const at = onOneStage((sandbox) => openChangeStage(sandbox, names, { certificateTimeoutMs: 4_000 }), { instances: [...names] });

async function rowsOf(name: string): Promise<Record<string, unknown>[]> {
  const url = `${at.sandbox.url}/api/domain.byComposeId?composeId=${at.stage.composeOf(name)}`;
  const rows: unknown = await (await fetch(url, { headers: { 'x-api-key': at.sandbox.apiKey } })).json();
  return (rows as Record<string, unknown>[]).map(({ host, https, certificateType, port, path, serviceName }) => ({
    host,
    https,
    certificateType,
    port,
    path,
    serviceName,
  })); // the sandbox's own rows
}

const status = async (host: string) =>
  (
    await createHttp({ ca: at.sandbox.ca, resolve: at.sandbox.resolve }).request({
      method: 'GET',
      url: `https://${host}/storage/v1/status`,
    })
  ).status;

const changedIn = (before: string, after: string) => {
  const [was, is] = [envVariables(parseEnv(before)), envVariables(parseEnv(after))];
  return [...is.keys()].filter((name) => was.get(name) !== is.get(name)).sort();
};

test('a new host: route, certificate and addresses follow, proven under the new name; the undo puts rows and text back', async () => {
  const [env, rows] = [await at.stage.env('gen-c'), await rowsOf('gen-c')];
  const review = await at.stage.start('dokploy_manage_domain', {
    target: 'gen-c',
    action: 'change',
    host: 'gen-c.supabase.test',
    newHost: 'api.supabase.test',
  });
  expect(review).toMatchObject({ state: 'review', details: { plan: { databaseRestarts: false, certificateHost: 'api.supabase.test' } } });
  expect(at.stage.writes()).toEqual([]);
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, error: done.error, failing: failing(done, 'after') }).toEqual({
    state: 'done',
    error: undefined,
    failing: [],
  });
  const after = await at.stage.env('gen-c');
  expect(changedIn(env, after)).toEqual(['ADDITIONAL_REDIRECT_URLS', 'API_EXTERNAL_URL', 'SUPABASE_HOST', 'SUPABASE_PUBLIC_URL']);
  expect(after).not.toContain('gen-c.supabase.test');
  expect(await rowsOf('gen-c')).toEqual([{ ...rows[0], host: 'api.supabase.test' }]);
  expect([await status('api.supabase.test'), await status('gen-c.supabase.test')]).toEqual([200, 404]);
  expect((await at.stage.app.targets()).find(({ name }) => name === 'gen-c')?.url).toBe('https://api.supabase.test');
  await at.stage.rollback(review.runId, 'review');
  expect(await at.stage.env('gen-c')).toBe(env);
  expect(await rowsOf('gen-c')).toEqual(rows);
  expect([await status('api.supabase.test'), await status('gen-c.supabase.test')]).toEqual([404, 200]);
}, 120_000);

test('https for a route that had none, and nothing else', async () => {
  const env = await at.stage.env('http-route');
  const review = await at.stage.start('manage-domain', { target: 'http-route', action: 'change', host: 'http-route.supabase.test' });
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, failing: failing(done, 'after') }).toEqual({ state: 'done', failing: [] });
  expect(await rowsOf('http-route')).toMatchObject([{ https: true, certificateType: 'letsencrypt' }]);
  expect(await at.stage.env('http-route')).toBe(env);
}, 90_000);

test('a certificate that does not come takes nothing back; it is awaited again', async () => {
  const rows = await rowsOf('crlf');
  const review = await at.stage.start('manage-domain', { target: 'crlf', action: 'add', host: 'second.supabase.test' });
  at.sandbox.setFaults(['no-certificate']);
  const missing = await at.stage.approve(review.runId);
  expect(missing).toMatchObject({ state: 'certificateMissing', status: 'waiting' });
  expect(await rowsOf('crlf')).toHaveLength(2);
  expect(await status('crlf.supabase.test')).toBe(200);
  at.sandbox.setFaults([]);
  await at.stage.post('compose.redeploy', { composeId: at.stage.composeOf('crlf'), title: 't', description: 'd' });
  let again = await at.stage.send(review.runId, 'lookAgain');
  while (again.state === 'certificateMissing') again = await at.stage.send(review.runId, 'lookAgain');
  expect(again.state).toBe('done');
  expect(await status('second.supabase.test')).toBe(200);

  const removal = await at.stage.start('manage-domain', { target: 'crlf', action: 'remove', host: 'second.supabase.test' });
  expect((await at.stage.approve(removal.runId)).state).toBe('done');
  expect(await rowsOf('crlf')).toEqual(rows);
  const last = await at.stage.start('manage-domain', { target: 'crlf', action: 'remove', host: 'crlf.supabase.test' });
  expect(last).toMatchObject({ state: 'planFailed', error: { code: 'DOMAIN_LAST' } });
}, 120_000);

test('DNS first: a name that leads nowhere, a taken host and an unknown one are refused before anything is written', async () => {
  const { app } = at.stage;
  const row = await app.registry.dokploy('home');
  const own = at.sandbox.resolve.map((entry) => entry.replace('*', 'bad-smtp.supabase.test'));
  await app.registry.addDokploy({ ...row, name: 'narrow', options: { ...row.options, resolve: own } }, []);
  const target = await app.registry.target('bad-smtp');
  const place = { ...Object(target.record['dokploy']), name: 'narrow' };
  await app.registry.addTarget({ name: 'narrow', kind: 'dokploy', tags: [], record: { ...target.record, dokploy: place } }, []);
  const writes = at.stage.writes().length;
  const code = async (input: Record<string, unknown>) => (await at.stage.start('manage-domain', input)).error?.code;
  expect(await code({ target: 'narrow', action: 'add', host: 'no-such-name.invalid' })).toMatch(/^DOMAIN_UN(RESOLVED|PROVEN)$/);
  expect(await code({ target: 'bad-smtp', action: 'add', host: 'gen-c.supabase.test' })).toBe('DOMAIN_TAKEN');
  expect(await code({ target: 'bad-smtp', action: 'change', host: 'nobody.supabase.test' })).toBe('DOMAIN_UNKNOWN');
  expect(await code({ target: 'bad-smtp', action: 'add', host: '127.0.0.1' })).toBe('DOMAIN_REQUEST_UNCLEAR'); // a name, not an address
  expect(at.stage.writes()).toHaveLength(writes);
}, 60_000);

test('somebody else’s edit between plan and write stops the run with the difference', async () => {
  const review = await at.stage.start('manage-domain', { target: 'bad-smtp', action: 'add', host: 'third.supabase.test' });
  const composeId = at.stage.composeOf('bad-smtp');
  await at.stage.post('domain.create', { host: 'theirs.supabase.test', composeId, serviceName: 'kong', port: 8000, domainType: 'compose' });
  const writes = at.stage.writes().length;
  const stopped = await at.stage.approve(review.runId);
  expect(stopped).toMatchObject({ status: 'needs_attention', error: { code: 'CHANGED_BY_SOMEBODY_ELSE' } });
  expect(JSON.stringify(stopped.error)).toContain('theirs.supabase.test');
  expect(at.stage.writes()).toHaveLength(writes);
}, 60_000);
