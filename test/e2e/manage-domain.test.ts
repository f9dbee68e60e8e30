/** Domains of running instances; judged by the rows and labels of the sandbox, by real TLS under the new name and by the journal. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createHttp } from '../../src/effects/http/http.ts';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { type ChangeStage, failing, openChangeStage } from '../helpers/change-stage.ts';

const names = ['gen-c', 'http-route', 'crlf', 'bad-smtp'] as const;
let folder: string;
let sandbox: Sandbox;
let stage: ChangeStage;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-domain-'));
  sandbox = await startSandbox({ dataDir: folder, instances: [...names] });
  stage = await openChangeStage(sandbox, names, { certificateTimeoutMs: 4_000 });
}, 180_000);
afterAll(async () => {
  await stage.close();
  await sandbox.stop({ discard: true });
  rmSync(folder, { recursive: true, force: true });
});

async function rowsOf(name: string): Promise<Record<string, unknown>[]> {
  const url = `${sandbox.url}/api/domain.byComposeId?composeId=${stage.composeOf(name)}`;
  const rows: unknown = await (await fetch(url, { headers: { 'x-api-key': sandbox.apiKey } })).json();
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
  (await createHttp({ ca: sandbox.ca, resolve: sandbox.resolve }).request({ method: 'GET', url: `https://${host}/storage/v1/status` }))
    .status;

const changedIn = (before: string, after: string) => {
  const [was, is] = [envVariables(parseEnv(before)), envVariables(parseEnv(after))];
  return [...is.keys()].filter((name) => was.get(name) !== is.get(name)).sort();
};

test('a new host: route, certificate and addresses follow, proven under the new name; the undo puts rows and text back', async () => {
  const [env, rows] = [await stage.env('gen-c'), await rowsOf('gen-c')];
  const review = await stage.start('dokploy_manage_domain', {
    target: 'gen-c',
    action: 'change',
    host: 'gen-c.supabase.test',
    newHost: 'api.supabase.test',
  });
  expect(review).toMatchObject({ state: 'review', details: { plan: { databaseRestarts: false, certificateHost: 'api.supabase.test' } } });
  expect(stage.writes()).toEqual([]);
  const done = await stage.approve(review.runId);
  expect({ state: done.state, error: done.error, failing: failing(done, 'after') }).toEqual({
    state: 'done',
    error: undefined,
    failing: [],
  });
  const after = await stage.env('gen-c');
  expect(changedIn(env, after)).toEqual(['ADDITIONAL_REDIRECT_URLS', 'API_EXTERNAL_URL', 'SUPABASE_HOST', 'SUPABASE_PUBLIC_URL']);
  expect(after).not.toContain('gen-c.supabase.test');
  expect(await rowsOf('gen-c')).toEqual([{ ...rows[0], host: 'api.supabase.test' }]);
  expect([await status('api.supabase.test'), await status('gen-c.supabase.test')]).toEqual([200, 404]);
  expect((await stage.app.targets()).find(({ name }) => name === 'gen-c')?.url).toBe('https://api.supabase.test');
  await stage.rollback(review.runId, 'review');
  expect(await stage.env('gen-c')).toBe(env);
  expect(await rowsOf('gen-c')).toEqual(rows);
  expect([await status('api.supabase.test'), await status('gen-c.supabase.test')]).toEqual([404, 200]);
}, 120_000);

test('https for a route that had none, and nothing else', async () => {
  const env = await stage.env('http-route');
  const review = await stage.start('manage-domain', { target: 'http-route', action: 'change', host: 'http-route.supabase.test' });
  const done = await stage.approve(review.runId);
  expect({ state: done.state, failing: failing(done, 'after') }).toEqual({ state: 'done', failing: [] });
  expect(await rowsOf('http-route')).toMatchObject([{ https: true, certificateType: 'letsencrypt' }]);
  expect(await stage.env('http-route')).toBe(env);
}, 90_000);

test('a certificate that does not come takes nothing back; it is awaited again', async () => {
  const rows = await rowsOf('crlf');
  const review = await stage.start('manage-domain', { target: 'crlf', action: 'add', host: 'second.supabase.test' });
  sandbox.setFaults(['no-certificate']);
  const missing = await stage.approve(review.runId);
  expect(missing).toMatchObject({ state: 'certificateMissing', status: 'waiting' });
  expect(await rowsOf('crlf')).toHaveLength(2);
  expect(await status('crlf.supabase.test')).toBe(200);
  sandbox.setFaults([]);
  await stage.post('compose.redeploy', { composeId: stage.composeOf('crlf'), title: 't', description: 'd' });
  let again = await stage.send(review.runId, 'lookAgain');
  while (again.state === 'certificateMissing') again = await stage.send(review.runId, 'lookAgain');
  expect(again.state).toBe('done');
  expect(await status('second.supabase.test')).toBe(200);

  const removal = await stage.start('manage-domain', { target: 'crlf', action: 'remove', host: 'second.supabase.test' });
  expect((await stage.approve(removal.runId)).state).toBe('done');
  expect(await rowsOf('crlf')).toEqual(rows);
  const last = await stage.start('manage-domain', { target: 'crlf', action: 'remove', host: 'crlf.supabase.test' });
  expect(last).toMatchObject({ state: 'planFailed', error: { code: 'DOMAIN_LAST' } });
}, 120_000);

test('DNS first: a name that leads nowhere, a taken host and an unknown one are refused before anything is written', async () => {
  const { app } = stage;
  const row = await app.registry.dokploy('home');
  const own = sandbox.resolve.map((entry) => entry.replace('*', 'bad-smtp.supabase.test'));
  await app.registry.addDokploy({ ...row, name: 'narrow', options: { ...row.options, resolve: own } }, []);
  const target = await app.registry.target('bad-smtp');
  const place = { ...Object(target.record['dokploy']), name: 'narrow' };
  await app.registry.addTarget({ name: 'narrow', kind: 'dokploy', tags: [], record: { ...target.record, dokploy: place } }, []);
  const writes = stage.writes().length;
  const code = async (input: Record<string, unknown>) => (await stage.start('manage-domain', input)).error?.code;
  expect(await code({ target: 'narrow', action: 'add', host: 'no-such-name.invalid' })).toMatch(/^DOMAIN_UN(RESOLVED|PROVEN)$/);
  expect(await code({ target: 'bad-smtp', action: 'add', host: 'gen-c.supabase.test' })).toBe('DOMAIN_TAKEN');
  expect(await code({ target: 'bad-smtp', action: 'change', host: 'nobody.supabase.test' })).toBe('DOMAIN_UNKNOWN');
  expect(await code({ target: 'bad-smtp', action: 'add', host: '127.0.0.1' })).toBe('DOMAIN_REQUEST_UNCLEAR'); // a name, not an address
  expect(stage.writes()).toHaveLength(writes);
}, 60_000);

test('somebody else’s edit between plan and write stops the run with the difference', async () => {
  const review = await stage.start('manage-domain', { target: 'bad-smtp', action: 'add', host: 'third.supabase.test' });
  const composeId = stage.composeOf('bad-smtp');
  await stage.post('domain.create', { host: 'theirs.supabase.test', composeId, serviceName: 'kong', port: 8000, domainType: 'compose' });
  const writes = stage.writes().length;
  const stopped = await stage.approve(review.runId);
  expect(stopped).toMatchObject({ status: 'needs_attention', error: { code: 'CHANGED_BY_SOMEBODY_ELSE' } });
  expect(JSON.stringify(stopped.error)).toContain('theirs.supabase.test');
  expect(stage.writes()).toHaveLength(writes);
}, 60_000);
