/** repair-keys end to end on the sandbox's instances; judged by the sandbox's journal, its rows, its database and live requests. */
import { expect, test } from 'vitest';
import { queryThroughMeta } from '../../src/effects/supabase/sql.ts';
import { envVariables, parseEnv } from '../../src/env-text.ts';
import { hostOf } from '../../src/sandbox/instances/place.ts';
import { failing, openChangeStage } from '../helpers/change-stage.ts';
import { onSandbox } from '../helpers/on-sandbox.ts';

const names = ['gen-a', 'gen-b', 'gen-b-split-second', 'gen-c', 'not-deployed', 'changed-secret', 'stale-jwks', 'changed-password'];
const at = onSandbox((sandbox) => openChangeStage(sandbox, names), { instances: names });

const variables = (text: string) => envVariables(parseEnv(text));
const planOf = (view: { details: Record<string, unknown> }) =>
  view.details['plan'] as {
    kind: string;
    say: string;
    recreated: string[];
    databaseRestarts: boolean;
    changes: { name: string; why: string }[];
  }; // shape of changePlan
const differing = (before: string, after: string) => {
  const [was, is] = [variables(before), variables(after)];
  return [...is.keys()].filter((name) => was.get(name) !== is.get(name));
};
/** Lines that differ between two texts. */
const changedLines = (before: string, after: string) => {
  const [was, is] = [before.split('\n'), after.split('\n')];
  return is.filter((line, index) => line !== was[index]).length;
};

test.each([
  ['gen-b', ['ANON_KEY', 'SERVICE_ROLE_KEY'], false],
  ['gen-b-split-second', ['ANON_KEY', 'SERVICE_ROLE_KEY'], false],
  ['gen-a', ['JWT_SECRET', 'ANON_KEY', 'SERVICE_ROLE_KEY'], true],
])(
  '%s is repaired: %j are made anew, all probes are green, and the way back gives the same bytes',
  async (name, replaced, newSecret) => {
    const before = await at.stage.env(name);
    const was = await at.stage.containers(name);
    const review = await at.stage.start('repair-keys', { target: name });
    expect(review).toMatchObject({ state: 'review', status: 'waiting' });
    expect(at.stage.writes()).toEqual([]);
    const plan = planOf(review);
    expect(
      plan.changes
        .map((change) => change.name)
        .filter((each) => each !== 'app.settings.jwt_secret')
        .sort(),
    ).toEqual([...replaced].sort());
    expect(plan.kind).toBe(newSecret ? 'both' : 'configuration');
    expect(plan.databaseRestarts).toBe(newSecret);
    expect(plan.say).toContain(newSecret ? 'all sessions end' : 'sessions go on');
    const done = await at.stage.approve(review.runId);
    expect({ state: done.state, error: done.error, failing: failing(done, 'after') }).toEqual({
      state: 'done',
      error: undefined,
      failing: [],
    });
    const after = await at.stage.env(name);
    expect(differing(before, after).sort()).toEqual([...replaced].sort());
    expect(changedLines(before, after)).toBe(replaced.length);
    const renewed = [...(await at.stage.containers(name))].filter(([service, id]) => was.get(service) !== id).map(([service]) => service);
    expect(renewed.sort()).toEqual([...plan.recreated].sort());
    expect(at.stage.writes().map(({ procedure }) => procedure)).toEqual(['compose.saveEnvironment', 'compose.deploy', 'job.deploy']);
    const target = await at.stage.app.registry.target(name);
    const kept = Reflect.get(Object(target.record['secrets']), 'serviceRoleKey');
    expect(await at.stage.app.vault.reveal(String(kept))).toBe(variables(after).get('SERVICE_ROLE_KEY'));

    const again = await at.stage.start('repair-keys', { target: name });
    expect(again).toMatchObject({ state: 'nothingToDo', status: 'done' });

    const back = await at.stage.rollback(review.runId, 'review');
    expect(back).toMatchObject({ state: 'review', status: 'waiting' });
    expect(await at.stage.env(name)).toBe(before);
    expect(Object(await at.stage.app.registry.target(name)).record.secrets).toEqual({});
  },
  120_000,
);

test('gen-c: nothing to do, and the journal shows not one write', async () => {
  const view = await at.stage.start('repair-keys', { target: 'gen-c' });
  expect(view).toMatchObject({ state: 'nothingToDo', status: 'done', output: { changed: false } });
  expect(failing(view, 'before')).toEqual([]);
  expect(at.stage.writes()).toEqual([]);
  expect(planOf(view).say).toContain('nothing to repair');
});

test('keys that were stored but never deployed are deployed, and nothing is written', async () => {
  const before = await at.stage.env('not-deployed');
  const review = await at.stage.start('repair-keys', { target: 'not-deployed' });
  expect(planOf(review)).toMatchObject({ kind: 'configuration', changes: [] });
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, failing: failing(done, 'after') }).toEqual({ state: 'done', failing: [] });
  expect(await at.stage.env('not-deployed')).toBe(before);
  expect(at.stage.writes().map(({ procedure }) => procedure)).toEqual(['compose.deploy', 'job.deploy']);
}, 60_000);

test('a secret that was changed: both keys follow it and the database is told; a database that forgets it is told alone', async () => {
  const review = await at.stage.start('repair-keys', { target: 'changed-secret' });
  expect(planOf(review).kind).toBe('both');
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, error: done.error, failing: failing(done, 'after') }).toEqual({
    state: 'done',
    error: undefined,
    failing: [],
  });
  expect((await at.stage.start('repair-keys', { target: 'changed-secret' })).state).toBe('nothingToDo');

  const access = {
    baseUrl: `https://${hostOf('changed-secret')}`,
    serviceKey: variables(await at.stage.env('changed-secret')).get('SERVICE_ROLE_KEY') ?? '',
    reach: { ca: at.sandbox.ca, resolve: at.sandbox.resolve },
  };
  await queryThroughMeta(access, "alter database postgres set app.settings.jwt_secret = 'it''s \\another'");
  const writes = at.stage.writes().length;
  const again = await at.stage.start('repair-keys', { target: 'changed-secret' });
  expect({ state: again.state, kind: planOf(again).kind }).toEqual({ state: 'review', kind: 'database' });
  const told = await at.stage.approve(again.runId);
  expect({ state: told.state, error: told.error, failing: failing(told, 'after') }).toEqual({
    state: 'done',
    error: undefined,
    failing: [],
  });
  expect(at.stage.writes()).toHaveLength(writes);
  await at.stage.rollback(again.runId, 'review');
  const stored = await queryThroughMeta(access, "select current_setting('app.settings.jwt_secret') as secret");
  expect(stored[0]?.['secret']).toBe("it's \\another");
}, 90_000);

test('key sets embed the secret that stands, and nothing else changes', async () => {
  const before = await at.stage.env('stale-jwks');
  const review = await at.stage.start('repair-keys', { target: 'stale-jwks' });
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, failing: failing(done, 'after') }).toEqual({ state: 'done', failing: [] });
  const after = await at.stage.env('stale-jwks');
  expect(differing(before, after).sort()).toEqual(['JWT_JWKS', 'JWT_KEYS']);
  const secret = Buffer.from(variables(after).get('JWT_SECRET') ?? '').toString('base64url');
  expect(JSON.parse(variables(after).get('JWT_KEYS') ?? '')).toEqual([{ kty: 'oct', k: secret, alg: 'HS256' }]);
  expect(JSON.parse(variables(after).get('JWT_JWKS') ?? '')).toEqual({ keys: [{ kty: 'oct', k: secret, alg: 'HS256' }] });
}, 60_000);

test('a changed database password is no business of the keys: it is named, and nothing is written', async () => {
  const view = await at.stage.start('repair-keys', { target: 'changed-password' });
  expect(view.state).toBe('nothingToDo');
  expect(planOf(view).say).toContain('lies elsewhere');
  expect(at.stage.writes()).toEqual([]);
});
