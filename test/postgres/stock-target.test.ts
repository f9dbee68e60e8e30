/** A stock Dokploy instance: registered, without any published port, SQL by the whole product. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { errorOf } from '../helpers/dokploy-lab.ts';
import { allSecrets, registerStack } from '../helpers/stock-target.ts';
import { openStage, type Stage } from '../helpers/wizard-stage.ts';
import { deployStack, openSandbox, type Stack } from '../sandbox/client.ts';

let box: Awaited<ReturnType<typeof openSandbox>>;
let stage: Stage;
let stack: Stack;
beforeAll(async () => {
  box = await openSandbox();
  stack = await deployStack(box.sandbox);
  stage = await openStage(box.sandbox);
  await registerStack(stage.app, stack, allSecrets, { poolerTenantId: stack.env['POOLER_TENANT_ID'] });
});
afterAll(async () => {
  await stage.close();
  await box.close();
});

test('SQL goes by /pg/query as a plain role, and by container exec when asked', async () => {
  const { app } = stage;
  const sql = "select current_user::text as who, current_setting('transaction_read_only') as read_only where $1 = 'x'";
  expect(await app.readBySql({ target: 'shop', sql, parameters: ['x'] })).toMatchObject({
    via: { rung: 'meta', role: 'postgres' },
    rows: [{ who: 'postgres', read_only: 'on' }],
    warnings: [{ code: 'ROLE_CAN_WRITE' }],
  });
  expect(await app.readBySql({ target: 'shop', sql, parameters: ['x'], rung: 'exec' })).toMatchObject({
    via: { rung: 'exec', role: 'supabase_read_only_user' },
    rows: [{ who: 'supabase_read_only_user', read_only: 'on' }],
    warnings: [],
  });
  expect(await app.testConnection('shop')).toMatchObject({
    reachable: true,
    ways: [
      expect.objectContaining({ ok: false }),
      expect.objectContaining({ ok: false }),
      expect.objectContaining({ rung: 'meta', ok: true }),
      expect.objectContaining({ rung: 'bridge', ok: false }),
      expect.objectContaining({ rung: 'exec', ok: true }),
    ],
  });
  expect(await errorOf(app.readBySql({ target: 'shop', sql: 'select rolpassword from pg_authid' }))).toMatchObject({ code: 'SQL_REFUSED' });
});

test('a write is approved and runs once through /pg/query; paging and limits hold there too', async () => {
  const { app, settle, approve } = stage;
  for (const sql of [
    'create table public.made (id int primary key, note text)',
    "insert into public.made select n, 'it''s ' || n from generate_series(1, 250) n",
  ]) {
    const { runId } = await app.engine.start(
      { workflow: 'run-sql', input: { target: 'shop', sql } },
      { principal: 'tester', door: 'test' },
    );
    expect(await settle(runId)).toMatchObject({ state: 'review', details: { plan: { rung: 'meta', role: 'postgres' } } });
    expect(
      await errorOf(app.engine.advance({ run: runId, event: 'approve', payload: {} }, { principal: 'tester', door: 'test' })),
    ).toMatchObject({ code: 'APPROVAL_REQUIRED' });
    expect(await approve(runId)).toMatchObject({ status: 'done' });
  }
  const first = await app.readBySql({ target: 'shop', sql: 'select id from public.made order by id', limit: 200 });
  expect([first.rowCount, first.cursor !== undefined]).toEqual([200, true]);
  const rest = await app.readBySql({ target: 'shop', sql: 'select id from public.made order by id', limit: 200, cursor: first.cursor });
  expect([rest.rows[0], rest.rowCount, rest.cursor]).toEqual([{ id: 201 }, 50, undefined]);
  expect(stage.logged()).not.toContain(stack.env['POSTGRES_PASSWORD']);
});
