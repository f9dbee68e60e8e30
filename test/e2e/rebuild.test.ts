import { expect, test } from 'vitest';
import { failing, openChangeStage } from '../helpers/change-stage.ts';
import { onOneStage } from '../helpers/on-sandbox.ts';

const names = ['gen-c', 'not-deployed'];
const at = onOneStage((sandbox) => openChangeStage(sandbox, names), { instances: [...names] });

const newContainers = (before: Map<string, string>, after: Map<string, string>) =>
  [...after].filter(([service, id]) => before.get(service) !== id).map(([service]) => service);

test('what was written and never deployed: the plan names exactly the containers that are then made anew', async () => {
  const [env, before] = [await at.stage.env('not-deployed'), await at.stage.containers('not-deployed')];
  const review = await at.stage.start('dokploy_rebuild', { target: 'not-deployed' });
  expect(review.state).toBe('review');
  const plan = Object(review.details['plan']);
  expect(plan.recreated.length).toBeGreaterThan(0);
  expect(plan.databaseRestarts).toBe(false);
  expect(at.stage.writes()).toEqual([]);
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, failing: failing(done, 'after') }).toEqual({ state: 'done', failing: [] });
  expect(newContainers(before, await at.stage.containers('not-deployed')).sort()).toEqual([...plan.recreated].sort());
  expect(await at.stage.env('not-deployed')).toBe(env);
  expect(at.stage.writes().map(({ procedure }) => procedure)).toEqual(['compose.deploy', 'job.deploy']);
}, 90_000);

test('a healthy instance: nothing has to be made anew, and nothing is', async () => {
  const before = await at.stage.containers('gen-c');
  const review = await at.stage.start('rebuild', { target: 'gen-c' });
  expect(review.details['plan']).toMatchObject({ recreated: [], databaseRestarts: false });
  expect((await at.stage.approve(review.runId)).state).toBe('done');
  expect(newContainers(before, await at.stage.containers('gen-c'))).toEqual([]);
}, 90_000);
