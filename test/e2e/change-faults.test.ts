/** Changes of a running instance under bad input and bad luck: nothing is lost, and nothing is overwritten blindly. */
import { expect, test } from 'vitest';
import { changed } from '../../src/sandbox/instances/environments.ts';
import { failing, openChangeStage } from '../helpers/change-stage.ts';
import { onSandbox } from '../helpers/on-sandbox.ts';
import { codeOf, me, person } from '../helpers/wizard-stage.ts';

const names = ['gen-c', 'gen-b', 'crlf'];
const at = onSandbox((sandbox) => openChangeStage(sandbox, names, { deployPatienceMs: 8_000 }), { instances: names });

const save = (name: string, env: string) =>
  at.stage.post('compose.saveEnvironment', { composeId: at.stage.composeOf(name), env, createEnvFile: true });
const edit = (env: string, value: string) => changed(env, { SITE_URL: value });

test('somebody’s edit between plan and write: three versions are shown, theirs stays; given up, a look anew plans on top of it', async () => {
  const review = await at.stage.start('update-env', { target: 'gen-c', set: { JWT_EXPIRY: '1800' } });
  const theirs = edit(await at.stage.env('gen-c'), 'https://theirs.example.org');
  await save('gen-c', theirs);
  const stuck = await at.stage.approve(review.runId);
  expect(stuck).toMatchObject({ status: 'needs_attention', error: { code: 'CHANGED_BY_SOMEBODY_ELSE' } });
  expect(stuck.error?.details).toEqual({
    variables: [{ variable: 'SITE_URL', before: 'https://app.example.org', found: 'https://theirs.example.org', ours: '(same)' }],
  });
  expect(await at.stage.env('gen-c')).toBe(theirs);
  expect(at.stage.writes().filter(({ procedure }) => procedure !== 'compose.saveEnvironment')).toEqual([]);
  const effect = (await at.stage.app.effects(review.runId)).find(({ attention }) => attention !== undefined)?.effect ?? '';
  await at.stage.app.engine.resolve({ run: review.runId, effect, as: 'give_up', note: 'they were right' }, me);
  const failed = await at.stage.settle(review.runId);
  expect(failed.state).toBe('changeFailed');
  const back = await at.stage.rollback(review.runId, 'review');
  expect(back.state).toBe('review');
  expect(await at.stage.env('gen-c')).toBe(theirs);
  await at.stage.send(review.runId, 'lookAgain');
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, failing: failing(done, 'after') }).toEqual({ state: 'done', failing: [] });
  expect(await at.stage.env('gen-c')).toBe(changed(theirs, { JWT_EXPIRY: '1800' }));
}, 120_000);

test('somebody’s edit between write and undo: the undo stops and overwrites nothing', async () => {
  const review = await at.stage.start('update-env', { target: 'crlf', set: { JWT_EXPIRY: '1800' } });
  expect((await at.stage.approve(review.runId)).state).toBe('done');
  const theirs = edit(await at.stage.env('crlf'), 'https://theirs.example.org');
  await save('crlf', theirs);
  const stuck = await at.stage.rollback(review.runId, 'review');
  expect(stuck).toMatchObject({ status: 'needs_attention', error: { code: 'CHANGED_BY_SOMEBODY_ELSE' } });
  expect(JSON.stringify(stuck.error?.details)).toContain('https://theirs.example.org');
  expect(await at.stage.env('crlf')).toBe(theirs);
}, 90_000);

test.each([
  ['the answer to the write is lost', ['500-after:1@compose.saveEnvironment']],
  ['the write fails before it is done', ['500-before:1@compose.saveEnvironment']],
  ['the job is dropped', ['drop-job:1']],
  ['a proxy limits the rate', ['429:3']],
  ['the service starts slowly', ['slow-boot:1']],
])(
  '%s: the change ends done, written once and deployed once',
  async (_what, faults) => {
    const value = `https://app-${faults[0]?.replace(/\W+/g, '-')}.example.org`;
    const review = await at.stage.start('update-env', { target: 'gen-c', set: { SITE_URL: value } });
    at.sandbox.setFaults(faults);
    const done = await at.stage.approve(review.runId);
    expect({ state: done.state, error: done.error }).toEqual({ state: 'done', error: undefined });
    const applied = at.stage.writes().map(({ procedure }) => procedure);
    expect(applied.filter((procedure) => procedure === 'compose.saveEnvironment')).toHaveLength(1);
    expect(applied.filter((procedure) => procedure === 'job.deploy')).toHaveLength(1);
  },
  120_000,
);

test('a 401 in the middle ends in a state that names it; with the key right again, retry goes on', async () => {
  const review = await at.stage.start('update-env', { target: 'gen-c', set: { JWT_EXPIRY: '900' } });
  at.sandbox.setFaults(['expired-key']);
  const failed = await at.stage.approve(review.runId);
  expect(failed).toMatchObject({ state: 'changeFailed', error: { code: expect.stringMatching(/^DOKPLOY_/) } });
  at.sandbox.setFaults([]);
  const done = await at.stage.send(review.runId, 'retry');
  expect({ state: done.state, failing: failing(done, 'after') }).toEqual({ state: 'done', failing: [] });
}, 90_000);

test('a target that goes down in the middle is not called well: the run says what it waits for, and goes back', async () => {
  const before = await at.stage.env('gen-b');
  const review = await at.stage.start('repair-keys', { target: 'gen-b' });
  at.sandbox.setFaults(['unhealthy-db:1']);
  const failed = await at.stage.approve(review.runId);
  expect(failed).toMatchObject({ state: 'changeFailed', error: { code: 'DEPLOYMENT_UNHEALTHY' } });
  expect(failed.error?.message).toContain('db');
  const back = await at.stage.rollback(review.runId, 'review');
  expect(back.state).toBe('review');
  expect(await at.stage.env('gen-b')).toBe(before);
}, 120_000);

test('an environment of 1 MB with CRLF and comments is changed in one line only', async () => {
  const filler = '# filler of a long comment line that says nothing\r\n'.repeat(20_000);
  const big = `${filler}${await at.stage.env('gen-c')}`;
  expect(big.length).toBeGreaterThan(1_000_000);
  await save('gen-c', big);
  const review = await at.stage.start('update-env', { target: 'gen-c', set: { JWT_EXPIRY: '1234' } });
  expect({ state: review.state, error: review.error }).toEqual({ state: 'review', error: undefined });
  const done = await at.stage.approve(review.runId);
  expect(done.state).toBe('done');
  expect(await at.stage.env('gen-c')).toBe(changed(big, { JWT_EXPIRY: '1234' }));
  await save('gen-c', big.slice(filler.length));
}, 90_000);

test.each([
  ['repair-keys', {}],
  ['update-env', { set: { JWT_EXPIRY: '1' } }],
])('%s refuses binary rubbish, and writes nothing', async (workflow, input) => {
  const good = await at.stage.env('crlf');
  await save('crlf', `\u0001\u0002${good}\u0003`);
  const writes = at.stage.writes().length;
  const view = await at.stage.start(workflow, { target: 'crlf', ...input });
  expect(view).toMatchObject({ state: 'planFailed', error: { code: 'ENVIRONMENT_UNREADABLE' } });
  expect(at.stage.writes()).toHaveLength(writes);
  await save('crlf', good);
});

test('unknown targets and targets without a Dokploy end in a state that says so', async () => {
  await at.stage.app.registry.addTarget({ name: 'cloudy', kind: 'cloud', tags: [], record: { url: 'https://x.example.com' } }, []);
  expect((await at.stage.start('repair-keys', { target: 'cloudy' })).error?.code).toBe('TARGET_NOT_ON_DOKPLOY');
  expect((await at.stage.start('repair-keys', { target: 'nobody' })).error?.code).toBe('TARGET_UNKNOWN');
});

test('a second change of the same target waits for the first; the first cannot be taken back under the second', async () => {
  const first = await at.stage.start('update-env', { target: 'gen-c', set: { JWT_EXPIRY: '111' } });
  expect((await at.stage.approve(first.runId)).state).toBe('done');
  const second = await at.stage.start('update-env', { target: 'gen-c', set: { JWT_EXPIRY: '222' } });
  expect((await at.stage.approve(second.runId)).state).toBe('done');
  expect(await codeOf(at.stage.app.engine.rollback({ run: first.runId, to: 'review' }, me))).toBe('LATER_RUN');
}, 90_000);

test('a deployment that never ends is not taken for done: after its patience the run says so, and the instance is untouched', async () => {
  const containers = await at.stage.containers('gen-c');
  const review = await at.stage.start('update-env', { target: 'gen-c', set: { JWT_EXPIRY: '333' } });
  at.sandbox.setFaults(['stuck-deploy:1']);
  await codeOf(at.stage.app.engine.advance({ run: review.runId, event: 'approve' }, me));
  const asked = (await at.stage.app.engine.pendingApprovals(review.runId)).at(-1);
  await at.stage.app.engine.approve(asked?.id ?? '', person);
  const code = async () => {
    const deploying = (await at.stage.app.effects(review.runId)).find(({ contract }) => contract === 'dokploy.redeploy@1');
    return Object(deploying?.error).code;
  };
  await expect.poll(code, { timeout: 60_000, interval: 500 }).toBe('DEPLOYMENT_STUCK');
  expect((await at.stage.app.engine.inspect(review.runId)).state).toBe('deploying');
  expect(await at.stage.containers('gen-c')).toEqual(containers);
}, 90_000);
