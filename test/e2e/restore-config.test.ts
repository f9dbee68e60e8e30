/** restore-config end to end on the sandbox: kept snapshots return, and what a running instance has grown into stays. */
import { expect, test } from 'vitest';
import { changed } from '../../src/sandbox/instances/environments.ts';
import { failing, openChangeStage } from '../helpers/change-stage.ts';
import { onSandbox } from '../helpers/on-sandbox.ts';
import { me } from '../helpers/wizard-stage.ts';
import { call } from '../sandbox/client.ts';

const names = ['gen-c', 'http-urls'];
const at = onSandbox((sandbox) => openChangeStage(sandbox, names), { instances: names });

type Listed = { snapshot: string; same: boolean; differs: string[] };
const listOf = (view: { details: Record<string, unknown> }) => view.details['snapshots'] as Listed[]; // shape of target.listSnapshots@1
const planOf = (view: { details: Record<string, unknown> }) =>
  view.details['plan'] as { changes: { what: string; name: string }[]; warnings: { code: string; say: string }[] }; // shape of changePlan
const row = async (name: string) => {
  const { body } = await call(at.sandbox, `compose.one?composeId=${at.stage.composeOf(name)}`);
  return Object(body) as {
    env: string;
    composeFile: string;
    mounts: { mountId: string; filePath: string; content: string }[];
    domains: { domainId: string; host: string; https: boolean; port: number }[];
  };
};

test('environment, compose file, files and domains return word for word, proven live', async () => {
  const first = await row('http-urls');
  expect((await at.stage.start('repair-keys', { target: 'http-urls' })).state).toBe('nothingToDo'); // keeps a snapshot
  const composeId = at.stage.composeOf('http-urls');
  const kong = first.mounts.find(({ filePath }) => filePath.endsWith('kong.yml'));
  const domain = first.domains[0];
  await at.stage.post('compose.saveEnvironment', {
    composeId,
    env: `${changed(first.env, { JWT_EXPIRY: '60' })}EXTRA=1\n`,
    createEnvFile: true,
  });
  await at.stage.post('compose.update', {
    composeId,
    composeFile: first.composeFile.concat('# somebody was here\n'),
  });
  await at.stage.post('mounts.update', { mountId: kong?.mountId, content: `${kong?.content}# edited\n` });
  await at.stage.post('domain.update', {
    domainId: domain?.domainId,
    host: 'other.supabase.test',
    https: true,
    certificateType: 'letsencrypt',
    port: 8000,
    serviceName: 'kong',
  });
  await at.stage.post('domain.create', {
    composeId,
    host: 'second.supabase.test',
    https: false,
    certificateType: 'none',
    port: 3000,
    serviceName: 'studio',
    domainType: 'compose',
  });
  await at.stage.post('compose.redeploy', { composeId, title: 't', description: 'd' });
  await expect.poll(() => at.sandbox.state().jobs).toEqual([]);

  const choosing = await at.stage.start('dokploy_rollback', { target: 'http-urls' });
  expect(choosing).toMatchObject({ state: 'choose', status: 'waiting' });
  const [newest, kept] = listOf(choosing);
  expect(newest).toMatchObject({ same: true, differs: [] });
  expect(kept).toMatchObject({ same: false });
  expect(kept?.differs.sort()).toEqual(['/volumes/api/kong.yml', 'EXTRA', 'JWT_EXPIRY', 'docker-compose.yml', 'domains']);
  const review = await at.stage.send(choosing.runId, 'choose', { snapshot: kept?.snapshot ?? '' });
  expect(review.state).toBe('review');
  const done = await at.stage.approve(review.runId);
  expect({ state: done.state, error: done.error, failing: failing(done, 'after') }).toEqual({
    state: 'done',
    error: undefined,
    failing: [],
  });
  const then = await row('http-urls');
  expect(then.env).toBe(first.env);
  expect(then.composeFile).toBe(first.composeFile);
  expect(then.mounts.map(({ content }) => content)).toEqual(first.mounts.map(({ content }) => content));
  expect(then.domains.map(({ host, https, port }) => ({ host, https, port }))).toEqual([
    { host: 'http-urls.supabase.test', https: true, port: 8000 },
  ]);

  const back = await at.stage.rollback(review.runId, 'review');
  expect(back.state).toBe('review');
  const undone = await row('http-urls');
  expect(undone.env).toContain('EXTRA=1');
  expect(undone.composeFile).toContain('# somebody was here');
  expect(undone.domains.map(({ host }) => host).sort()).toEqual(['other.supabase.test', 'second.supabase.test']);
}, 120_000);

test('a password and a secret that were changed since stay, each with the workflow that changes it; another database major is refused', async () => {
  const first = await row('gen-c');
  expect((await at.stage.start('repair-keys', { target: 'gen-c' })).state).toBe('nothingToDo');
  const composeId = at.stage.composeOf('gen-c');
  const env = changed(first.env, { POSTGRES_PASSWORD: 'canary-password-of-now-4711', JWT_EXPIRY: '60' });
  await at.stage.post('compose.saveEnvironment', { composeId, env, createEnvFile: true });
  await at.stage.post('compose.update', {
    composeId,
    composeFile: first.composeFile.replace('postgres:17.6.1.136', 'postgres:15.8.1.060'),
  });
  const choosing = await at.stage.start('restore-config', { target: 'gen-c' });
  const kept = listOf(choosing).find(({ same }) => !same)?.snapshot ?? '';
  const refused = await at.stage.send(choosing.runId, 'choose', { snapshot: kept });
  expect(refused).toMatchObject({ state: 'choose', error: { code: 'RESTORE_REFUSED' } });
  expect(refused.error?.message).toContain('Postgres 15');
  expect(await (async () => (await at.stage.send(choosing.runId, 'choose', { snapshot: 'artifact:of-somebody-else' })).error?.code)()).toBe(
    'SNAPSHOT_UNKNOWN',
  );
  const review = await at.stage.send(choosing.runId, 'choose', { snapshot: kept, parts: ['environment', 'domains'] });
  expect(review.state).toBe('review');
  expect(planOf(review).changes.map(({ name }) => name)).toEqual(['JWT_EXPIRY']);
  expect(planOf(review).warnings).toContainEqual(
    expect.objectContaining({ code: 'VALUE_KEPT', say: expect.stringMatching(/^POSTGRES_PASSWORD .*rotate-secrets/) }),
  );
  expect(at.stage.logged() + JSON.stringify(review)).not.toContain('canary-password-of-now-4711');
}, 60_000);

test('snapshots belong to the target: they outlive pruning of their runs, and go with the target', async () => {
  await at.stage.start('repair-keys', { target: 'gen-c' });
  const [entry] = await at.stage.app.registry.snapshots('gen-c');
  expect(entry).toBeDefined();
  const { operations, registry } = at.stage.app;
  await operations.prune({ days: 0, dryRun: false }, me);
  expect(await at.stage.app.engine.list({ limit: 5 })).toEqual([]);
  expect((await registry.snapshots('gen-c')).map(({ reference }) => reference)).toContain(entry?.reference);
  await expect(at.stage.app.vault.readArtifact(entry?.reference ?? '')).resolves.toContain('"kind":"snapshot"');
  await registry.removeTarget('gen-c');
  await operations.prune({ days: 0, dryRun: false }, me);
  expect(await registry.snapshots('gen-c')).toEqual([]);
});
