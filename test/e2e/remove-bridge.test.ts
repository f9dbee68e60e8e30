/** Bridges that outlived their use, on a sandbox: told by the doctor and by the next plan, removed by a run; those in use or of others stay. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { bridgeSign } from '../../src/effects/bridge/standing.ts';
import { registerStack } from '../helpers/stock-target.ts';
import { codeOf, me, openStage, type Stage } from '../helpers/wizard-stage.ts';
import { call, deployStack, field, openSandbox, type Stack } from '../sandbox/client.ts';

let box: Awaited<ReturnType<typeof openSandbox>>;
let stage: Stage;
let stack: Stack;
let installs = 0;
beforeAll(async () => {
  box = await openSandbox();
  stack = await deployStack(box.sandbox);
  stage = await openStage(box.sandbox);
  await registerStack(stage.app, stack, ['postgresPassword']);
});
afterAll(async () => {
  await stage.close();
  await box.close();
});
beforeEach(() => expect(bridges()).toEqual([]));

const bridges = () => box.sandbox.state().composes.filter(({ name }) => name === 'capstan-bridge');
const deletions = () => box.sandbox.journal().filter(({ procedure }) => procedure === 'compose.delete').length;
const start = async (workflow: string, input: Record<string, unknown> = {}) => {
  const { runId } = await stage.app.engine.start({ workflow, input: { target: 'shop', ...input } }, me);
  return stage.settle(runId);
};
const approve = async (run: string) => {
  expect(await codeOf(stage.app.engine.advance({ run, event: 'approve' }, me))).toBe('APPROVAL_REQUIRED');
  return stage.approve(run);
};
const install = async () => {
  const review = await start('install-bridge', { host: `bridge-${++installs}.supabase.test` });
  expect(await approve(review.runId)).toMatchObject({ state: 'inUse' });
  return review.runId;
};
const cancel = async (run: string) => {
  expect(await codeOf(stage.app.engine.cancel({ run }, me))).toBe('APPROVAL_REQUIRED');
  return stage.approve(run);
};
const record = async () =>
  (await stage.app.registry.target('shop')).record as { secrets: Record<string, string>; facts: Record<string, unknown> };
const findings = async () => (await stage.app.diagnose('shop')).findings.filter(({ code }) => code.startsWith('BRIDGE'));
const installation = async () => {
  const description = field(await call(box.sandbox, `compose.one?composeId=${bridges()[0]?.composeId}`), 'body', 'description');
  return / of (\S+) for shop$/.exec(description)?.[1] ?? '';
};
/** A bridge of that name and description, as another installation makes it. */
const place = async (description: string) =>
  field(
    await call(box.sandbox, 'compose.create', {
      name: 'capstan-bridge',
      appName: 'capstan-bridge',
      environmentId: stack.environmentId,
      sourceType: 'raw',
      description,
    }),
    'body',
    'composeId',
  );
const remove = (composeId: string | undefined) => call(box.sandbox, 'compose.delete', { composeId, deleteVolumes: true });

test('one whose run was cancelled is told by the doctor and by the next plan, and a run removes it', async () => {
  await cancel(await install());
  expect(bridges()).toHaveLength(1);
  expect(await findings()).toMatchObject([
    { code: 'BRIDGE_LEFT_OVER', severity: 'warning', fix: expect.stringContaining('capstan run remove-bridge --set target=shop') },
  ]);
  const next = await start('install-bridge', { host: 'another.supabase.test' });
  expect(JSON.stringify(next.details['plan'])).toMatch(
    /BRIDGE_LEFT_OVER: capstan-bridge-\w+ .*capstan run remove-bridge --set target=shop/,
  );
  expect(await start('install-bridge', { host: `bridge-${installs}.supabase.test` })).toMatchObject({
    error: { code: 'BRIDGE_HOST_TAKEN', fix: expect.stringContaining('remove-bridge') },
  });

  const before = deletions();
  const review = await start('remove-bridge');
  expect(review).toMatchObject({
    state: 'review',
    details: { plan: { remove: [{ host: `bridge-${installs}.supabase.test`, why: 'the run that installed it is over' }], stays: [] } },
  });
  expect(deletions()).toBe(before);
  const done = await approve(review.runId);
  expect(done, JSON.stringify(done.error)).toMatchObject({
    status: 'done',
    output: { removed: [expect.stringMatching(/^capstan-bridge-/)] },
  });
  expect([bridges().length, deletions()]).toEqual([0, before + 1]);
  expect(Object.keys({ ...(await record()).secrets, ...(await record()).facts })).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/bridge/i)]),
  );
  expect(await findings()).toEqual([]);
}, 90_000);

test('one that is in use, and one of another installation, are shown and left alone', async () => {
  const run = await install();
  const foreign = await place(bridgeSign({ key: 'x:1:install' }, { installation: 'ffffffff' }, 'shop'));
  const unsigned = await place('made by hand');
  expect((await findings()).map(({ code, severity }) => [code, severity])).toEqual([
    ['BRIDGE_FOREIGN', 'info'],
    ['BRIDGE_FOREIGN', 'info'],
  ]);
  const before = deletions();
  const done = await start('remove-bridge');
  expect(done).toMatchObject({ status: 'done', output: { removed: [] } });
  const { stays } = done.output as { stays: { why: string }[] };
  expect(stays.map(({ why }) => why).sort()).toEqual([
    'another installation made it',
    'another installation made it',
    `the run ${run} has it in use and removes it`,
  ]);
  expect([bridges().length, deletions()]).toEqual([3, before]);
  await Promise.all([remove(foreign), remove(unsigned)]);
  await stage.app.engine.advance({ run, event: 'remove' }, me);
  expect(await stage.settle(run)).toMatchObject({ status: 'done' });
}, 90_000);

test('of a run that nobody remembers it is ours by its sign; what is in use again when the approval comes stays', async () => {
  const run = await install();
  const ours = await place(bridgeSign({ key: 'gone:1:install' }, { installation: await installation() }, 'shop'));
  const row = await stage.app.registry.target('shop');
  const { bridge: _, ...facts } = (await record()).facts;
  const put = async (record: Record<string, unknown>) => {
    await stage.app.registry.removeTarget('shop');
    await stage.app.registry.addTarget({ ...row, record }, []);
  };
  await put({ ...row.record, facts });
  const review = await start('remove-bridge');
  expect((review.details['plan'] as { remove: { why: string }[] }).remove.map(({ why }) => why).sort()).toEqual([
    'its target does not name it',
    'the run that installed it is over',
  ]);
  await put(row.record);
  const done = await approve(review.runId);
  expect(done, JSON.stringify(done.error)).toMatchObject({
    status: 'done',
    output: { removed: [expect.any(String)], kept: [{ why: `the run ${run} has it in use and removes it` }] },
  });
  expect(bridges().map(({ composeId }) => composeId)).not.toContain(ours);
  expect(await stage.app.readBySql({ target: 'shop', sql: 'select 1 as one', rung: 'bridge' })).toMatchObject({ rows: [{ one: 1 }] });
  await stage.app.engine.advance({ run, event: 'remove' }, me);
  expect(await stage.settle(run)).toMatchObject({ status: 'done' });
}, 90_000);
