/** Removing a live instance, judged by the sandbox's rows, its journal and its databases. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBackupBook } from '../../src/store/backup-book.ts';
import { openDatabase } from '../../src/store/sqlite/database.ts';
import { readMigrations } from '../../src/store/sqlite/migrate.ts';
import { type InstanceStage, openInstances } from '../helpers/instance-stage.ts';
import { connect } from '../helpers/mcp-clients.ts';
import { codeOf, me } from '../helpers/wizard-stage.ts';

let stage: InstanceStage;
beforeAll(async () => {
  stage = await openInstances(['gen-c', 'http-urls', 'crlf']);
}, 180_000);
afterAll(() => stage.close(), 30_000);

async function start(target: string) {
  const { runId } = await stage.app.engine.start({ workflow: 'remove_instance', input: { target } }, me);
  return stage.settle(runId);
}

async function confirm(run: string, event: string, name: string) {
  expect(await codeOf(stage.app.engine.advance({ run, event, payload: { target: name, dataIsLost: true } }, me))).toBe('APPROVAL_REQUIRED');
  return stage.approve(run);
}

const standing = (name: string) => ({
  projects: stage.sandbox.state().projects.filter((row) => row.name === name).length,
  composes: stage.sandbox.state().composes.filter((row) => row.appName.startsWith(`${name}-`)).length,
  stacks: stage.sandbox.state().stacks.filter((row) => row.appName.startsWith(`${name}-`)).length,
});
const targets = async () => (await stage.app.targets()).map(({ name }) => name);

test('without a backup the name is typed twice; a wrong name removes nothing; then service, project and target go', async () => {
  const mark = stage.mark();
  const review = await start('gen-c');
  expect(review).toMatchObject({
    state: 'review',
    details: { plan: { data: { tables: expect.any(Number), users: expect.any(Number) }, backup: null, projectGoes: true } },
  });
  expect(await confirm(review.runId, 'confirmRemoval', 'gen-b')).toMatchObject({ state: 'review', error: { code: 'NAME_MISMATCH' } });
  expect(await confirm(review.runId, 'confirmRemoval', 'gen-c')).toMatchObject({ state: 'secondReview', status: 'waiting' });
  expect(await confirm(review.runId, 'confirmWithoutBackup', 'GEN-C')).toMatchObject({
    state: 'secondReview',
    error: { code: 'NAME_MISMATCH' },
  });
  expect(stage.writesSince(mark)).toEqual([]);
  expect(standing('gen-c')).toEqual({ projects: 1, composes: 1, stacks: 1 });
  const done = await confirm(review.runId, 'confirmWithoutBackup', 'gen-c');
  expect(done).toMatchObject({ state: 'done', output: { removed: ['service', 'project', 'target'], error: null } });
  expect(stage.writesSince(mark)).toEqual(['compose.delete', 'project.remove']);
  expect(standing('gen-c')).toEqual({ projects: 0, composes: 0, stacks: 0 });
  expect(await targets()).not.toContain('gen-c');
}, 60_000);

test('a fresh backup that was found whole asks once; other services keep their project; a removal that was not kept is no success', async () => {
  const project = stage.sandbox.state().projects.find(({ name }) => name === 'http-urls')?.projectId ?? '';
  const environmentId = stage.sandbox.state().environments.find((row) => row.projectId === project)?.environmentId ?? '';
  await stage.post('compose.create', { name: 'neighbour', environmentId, composeType: 'docker-compose', sourceType: 'raw' });
  await adopt('http-urls', Date.now() - 3_600_000);
  const mark = stage.mark();
  const review = await start('http-urls');
  expect(review.details['plan']).toMatchObject({ backup: { id: 'backup-http-urls', fresh: true }, projectGoes: false });
  stage.sandbox.setFaults(['keep-on-delete']);
  const kept = await confirm(review.runId, 'confirmRemoval', 'http-urls');
  expect(kept).toMatchObject({
    status: expect.stringMatching(/waiting|working|needs_attention/),
    state: expect.stringMatching(/removalFailed|removingService/),
  });
  expect(kept.state).not.toBe('done');
  expect(standing('http-urls').composes).toBe(1);
  stage.sandbox.setFaults([]);
  const done = kept.state === 'removalFailed' ? await stage.send(review.runId, 'retry') : await stage.settle(review.runId);
  expect(done).toMatchObject({ state: 'done', output: { removed: ['service', 'target'] } });
  expect(stage.writesSince(mark)).toEqual(['compose.delete']);
  expect(standing('http-urls')).toEqual({ projects: 1, composes: 0, stacks: 0 });
}, 180_000);

test('an old backup does not spare the second confirmation, and an agent that nobody answers for removes nothing', async () => {
  await adopt('crlf', Date.now() - 2 * 86_400_000);
  const client = await connect('modern', { home: stage.home, person: () => 'decline' });
  try {
    const mark = stage.mark();
    const view = await client.call('start_workflow', { workflow: 'remove-instance', input: { target: 'crlf' }, waitMs: 30_000 });
    expect(view).toMatchObject({ state: 'review', details: { plan: { backup: { fresh: false } } } });
    const answer = await client.raw('advance_run', {
      run: view.runId,
      event: 'confirmRemoval',
      payload: { target: 'crlf', dataIsLost: true },
    });
    expect(JSON.stringify(answer)).not.toMatch(/secondReview|"done"/);
    expect(await client.call('inspect_run', { run: view.runId })).toMatchObject({ state: 'review' });
    expect(stage.writesSince(mark)).toEqual([]);
  } finally {
    await client.close();
  }
}, 60_000);

/** A row of the backup index, as a backup of this target leaves one. */
async function adopt(target: string, madeAt: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-book-'));
  const connection = openDatabase(stage.app.home.database, readMigrations().length);
  try {
    const row = { store: 'local', kind: 'full', keyId: 'k', bytes: 1, manifestSha256: 'x', manifest: {}, verifiedAt: madeAt + 1 };
    await createBackupBook(connection, Date.now, folder).adopt({ id: `backup-${target}`, target, madeAt, ...row });
  } finally {
    connection.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
