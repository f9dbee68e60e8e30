/** A rebuild deploys what is stored; judged by the containers that the sandbox tells of and by its journal. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/start.ts';
import { type ChangeStage, failing, openChangeStage } from '../helpers/change-stage.ts';

let folder: string;
let sandbox: Sandbox;
let stage: ChangeStage;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-rebuild-'));
  sandbox = await startSandbox({ dataDir: folder, instances: ['gen-c', 'not-deployed'] });
  stage = await openChangeStage(sandbox, ['gen-c', 'not-deployed']);
}, 180_000);
afterAll(async () => {
  await stage.close();
  await sandbox.stop({ discard: true });
  rmSync(folder, { recursive: true, force: true });
});

const newContainers = (before: Map<string, string>, after: Map<string, string>) =>
  [...after].filter(([service, id]) => before.get(service) !== id).map(([service]) => service);

test('what was written and never deployed: the plan names exactly the containers that are then made anew', async () => {
  const [env, before] = [await stage.env('not-deployed'), await stage.containers('not-deployed')];
  const review = await stage.start('dokploy_rebuild', { target: 'not-deployed' });
  expect(review.state).toBe('review');
  const plan = Object(review.details['plan']);
  expect(plan.recreated.length).toBeGreaterThan(0);
  expect(plan.databaseRestarts).toBe(false);
  expect(stage.writes()).toEqual([]);
  const done = await stage.approve(review.runId);
  expect({ state: done.state, failing: failing(done, 'after') }).toEqual({ state: 'done', failing: [] });
  expect(newContainers(before, await stage.containers('not-deployed')).sort()).toEqual([...plan.recreated].sort());
  expect(await stage.env('not-deployed')).toBe(env);
  expect(stage.writes().map(({ procedure }) => procedure)).toEqual(['compose.deploy', 'job.deploy']);
}, 90_000);

test('a healthy instance: nothing has to be made anew, and nothing is', async () => {
  const before = await stage.containers('gen-c');
  const review = await stage.start('rebuild', { target: 'gen-c' });
  expect(review.details['plan']).toMatchObject({ recreated: [], databaseRestarts: false });
  expect((await stage.approve(review.runId)).state).toBe('done');
  expect(newContainers(before, await stage.containers('gen-c'))).toEqual([]);
}, 90_000);
