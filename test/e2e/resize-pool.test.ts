import pg from 'pg';
import { expect, test } from 'vitest';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { failing, openChangeStage } from '../helpers/change-stage.ts';
import { onOneStage } from '../helpers/on-sandbox.ts';
import { sqlInContainer } from '../helpers/sandbox-calls.ts';
import { me } from '../helpers/wizard-stage.ts';

const names = ['gen-c', 'old-pooler', 'crlf'];
const at = onOneStage((sandbox) => openChangeStage(sandbox, names), { instances: [...names] });

const row = async (name: string) =>
  (
    await sqlInContainer(
      at.sandbox,
      name,
      "select external_id, default_pool_size, default_max_clients, encode(db_pass_encrypted, 'hex') from _supavisor.tenants join _supavisor.users on tenant_external_id = external_id",
      '_supabase',
    )
  )[0] ?? [];
const variable = async (name: string, of: string) => envVariables(parseEnv(await at.stage.env(name))).get(of) ?? '';

/** How many sessions at once the pooler lets in, at most `most`. */
async function capacity(name: string, most: number): Promise<number> {
  const [user, password] = [`postgres.${await variable(name, 'POOLER_TENANT_ID')}`, await variable(name, 'POSTGRES_PASSWORD')];
  const open: pg.Client[] = [];
  try {
    while (open.length < most) {
      const client = new pg.Client({ host: '127.0.0.1', port: at.sandbox.poolerPort, user, password, database: 'postgres' });
      client.on('error', () => undefined);
      try {
        await client.connect();
      } catch {
        break;
      }
      open.push(client);
    }
    return open.length;
  } finally {
    await Promise.all(open.map((client) => client.end().catch(() => undefined)));
  }
}

test('row and variables change together, the pooler lives by them, and the undo puts back both', async () => {
  const [text, before, containers] = [await at.stage.env('gen-c'), await row('gen-c'), await at.stage.containers('gen-c')];
  expect(await capacity('gen-c', 5)).toBe(5);
  const review = await at.stage.start('resize-pool', { target: 'gen-c', poolSize: 3, maxClients: 60 });
  expect(review).toMatchObject({
    state: 'review',
    details: { plan: { kind: 'configuration', databaseRestarts: false } },
  });
  expect(JSON.stringify(review)).toMatch(/default_pool_size of the pooler’s tenant/);
  expect(at.stage.writes().filter(({ procedure }) => !procedure.startsWith('schedule.'))).toEqual([]);
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, error: done.error, failing: failing(done, 'after') }).toEqual({
    state: 'done',
    error: undefined,
    failing: [],
  });
  const [tenant, size, clients, sealed] = await row('gen-c');
  expect([tenant, size, clients, sealed]).toEqual([before[0], '3', '60', before[3]]);
  const now = envVariables(parseEnv(await at.stage.env('gen-c')));
  expect([now.get('POOLER_DEFAULT_POOL_SIZE'), now.get('POOLER_MAX_CLIENT_CONN')]).toEqual(['3', '60']);
  expect(await capacity('gen-c', 6)).toBe(3);
  const anew = [...(await at.stage.containers('gen-c'))].flatMap(([service, id]) => (containers.get(service) === id ? [] : [service]));
  expect(anew).toEqual(['supavisor']);

  await at.stage.rollback(review.runId, 'review');
  expect(await at.stage.env('gen-c')).toBe(text);
  expect(await row('gen-c')).toEqual(before);
  expect(await capacity('gen-c', 6)).toBe(6);
}, 120_000);

test('where the variable says it already only the row changes, and the pooler restarts to read it', async () => {
  const text = await at.stage.env('old-pooler');
  expect(await variable('old-pooler', 'POOLER_DEFAULT_POOL_SIZE')).toBe('40');
  expect((await row('old-pooler')).slice(0, 2)).toEqual(['your-tenant-id', '20']);
  const containers = await at.stage.containers('old-pooler');
  const review = await at.stage.start('resize_pool', { target: 'old-pooler', poolSize: 40 });
  expect(review).toMatchObject({ state: 'review', details: { plan: { kind: 'database', recreated: [] } } });
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, error: done.error, failing: failing(done, 'after') }).toEqual({
    state: 'done',
    error: undefined,
    failing: [],
  });
  expect((await row('old-pooler'))[1]).toBe('40');
  expect(await capacity('old-pooler', 25)).toBe(25);
  expect(await at.stage.env('old-pooler')).toBe(text);
  expect(await at.stage.containers('old-pooler')).toEqual(containers);
  await at.stage.rollback(review.runId, 'review');
  expect((await row('old-pooler'))[1]).toBe('20');
  expect(await capacity('old-pooler', 25)).toBe(20);
  const again = await at.stage.start('resize-pool', { target: 'old-pooler', poolSize: 20, maxClients: 100 });
  expect(again).toMatchObject({ state: 'review', details: { plan: { kind: 'configuration' } } });
  const followed = await at.stage.start('resize-pool', { target: 'old-pooler' });
  expect((await at.stage.approve(followed.runId)).state).toBe('done');
  expect(await at.stage.env('old-pooler')).toBe(text.replace('POOLER_DEFAULT_POOL_SIZE=40', 'POOLER_DEFAULT_POOL_SIZE=20'));
  const same = await at.stage.start('resize-pool', { target: 'old-pooler', maxClients: 100 });
  expect(same.state).toBe('nothingToDo');
}, 120_000);

test.each([
  ['a pool that the database cannot carry', { poolSize: 500, maxClients: 1_000 }, 'POOL_TOO_LARGE'],
  ['a pool that its clients never fill', { poolSize: 50, maxClients: 10 }, 'POOL_SIZES_CROSSED'],
])('%s is refused before anybody is asked', async (_name, request, code) => {
  const refused = await at.stage.start('resize-pool', { target: 'crlf', ...request });
  expect(refused).toMatchObject({ state: 'planFailed', error: { code } });
});

test('what somebody else wrote into the row meanwhile is not written over, neither forth nor back', async () => {
  const set = (size: number) =>
    sqlInContainer(at.sandbox, 'crlf', `update _supavisor.tenants set default_pool_size = ${size}`, '_supabase');
  const text = await at.stage.env('crlf');
  const review = await at.stage.start('resize-pool', { target: 'crlf', poolSize: 30 });
  await set(7);
  const stopped = await at.stage.approve(review.runId);
  expect(stopped).toMatchObject({ status: 'needs_attention', error: { code: 'CHANGED_BY_SOMEBODY_ELSE' } });
  expect(JSON.stringify(stopped)).toMatch(/"before":"20","found":"7","ours":"30"/);
  expect([(await row('crlf'))[1], await at.stage.env('crlf')]).toEqual(['7', text]);
  const effect = (await at.stage.app.effects(review.runId)).find(({ attention }) => attention !== undefined)?.effect ?? '';
  await set(20);
  await at.stage.app.engine.resolve({ run: review.runId, effect, as: 'retry', note: 'put right' }, me);
  expect((await at.stage.settle(review.runId)).state).toBe('done');
  expect((await row('crlf'))[1]).toBe('30');
  await set(9);
  const back = await at.stage.rollback(review.runId, 'review');
  expect(back).toMatchObject({ status: 'needs_attention', error: { code: 'CHANGED_BY_SOMEBODY_ELSE' } });
  expect([(await row('crlf'))[1], await variable('crlf', 'POOLER_DEFAULT_POOL_SIZE')]).toEqual(['9', '30']);
}, 120_000);
