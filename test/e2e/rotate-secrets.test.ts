import { expect, test } from 'vitest';
import { createHttp } from '../../src/effects/http/http.ts';
import { queryThroughMeta } from '../../src/effects/supabase/sql.ts';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { failing, openChangeStage } from '../helpers/change-stage.ts';
import { onOneStage } from '../helpers/on-sandbox.ts';

const names = ['gen-c', 'crlf'];
const at = onOneStage((sandbox) => openChangeStage(sandbox, names), { instances: [...names] });

const reach = () => ({ ca: at.sandbox.ca, resolve: at.sandbox.resolve });
const valuesOf = (env: string) => Object.fromEntries(envVariables(parseEnv(env)));

async function status(name: string, key: string): Promise<number> {
  const headers = { apikey: key, authorization: `Bearer ${key}` };
  const url = `https://${name}.supabase.test/auth/v1/admin/users?per_page=1`;
  return (await createHttp(reach()).request({ method: 'GET', url, headers })).status;
}

async function storedSecret(name: string, serviceKey: string): Promise<unknown> {
  const access = { baseUrl: `https://${name}.supabase.test`, serviceKey, reach: reach() };
  return (await queryThroughMeta(access, "select current_setting('app.settings.jwt_secret') as secret"))[0]?.['secret'];
}

test('everything that embeds the secret follows; old keys are refused; the undo puts texts and database back', async () => {
  const text = await at.stage.env('gen-c');
  const old = valuesOf(text);
  const review = await at.stage.start('rotate_secrets', { target: 'gen-c', secret: 'jwt' });
  expect(review).toMatchObject({ state: 'review', details: { plan: { kind: 'both' } } });
  expect(JSON.stringify(review)).toMatch(/all sessions end/);
  expect(at.stage.writes()).toEqual([]);
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, error: done.error, failing: failing(done, 'after') }).toEqual({
    state: 'done',
    error: undefined,
    failing: [],
  });
  const now = valuesOf(await at.stage.env('gen-c'));
  const changed = Object.keys(now).filter((name) => now[name] !== old[name]);
  expect(changed.sort()).toEqual(['ANON_KEY', 'JWT_SECRET', 'SERVICE_ROLE_KEY']);
  expect([await status('gen-c', old['SERVICE_ROLE_KEY'] ?? ''), await status('gen-c', now['SERVICE_ROLE_KEY'] ?? '')]).toEqual([401, 200]);
  expect(await storedSecret('gen-c', now['SERVICE_ROLE_KEY'] ?? '')).toBe(now['JWT_SECRET']);
  const told = JSON.stringify([done, review]) + at.stage.logged();
  for (const name of changed) for (const values of [old, now]) expect(told.includes(values[name] ?? '')).toBe(false);

  await at.stage.rollback(review.runId, 'review');
  expect(await at.stage.env('gen-c')).toBe(text);
  expect(await status('gen-c', old['SERVICE_ROLE_KEY'] ?? '')).toBe(200);
  expect(await storedSecret('gen-c', old['SERVICE_ROLE_KEY'] ?? '')).toBe(old['JWT_SECRET']);
}, 120_000);

test('where the gateway does not take the new keys nothing is reported as done, and the rollback takes all back', async () => {
  const text = await at.stage.env('crlf');
  const old = valuesOf(text);
  const review = await at.stage.start('rotate-secrets', { target: 'crlf', secret: 'jwt' });
  at.sandbox.setFaults(['bad-key:1']);
  const failed = await at.stage.approve(review.runId);
  expect(failed.state).not.toBe('returned');
  expect(failed.status).toMatch(/waiting|needs_attention/);
  at.sandbox.setFaults([]);
  await at.stage.rollback(review.runId, 'review');
  expect(await at.stage.env('crlf')).toBe(text);
  expect(await status('crlf', old['SERVICE_ROLE_KEY'] ?? '')).toBe(200);
  expect(await storedSecret('crlf', old['SERVICE_ROLE_KEY'] ?? '')).toBe(old['JWT_SECRET']);
}, 180_000);
