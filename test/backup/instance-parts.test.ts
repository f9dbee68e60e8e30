/** What a backup takes of an instance besides its database: environment, compose text, mounts, versions, the vault's root key. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type SandboxProcess, startSandboxProcess } from '../../src/demo/sandbox-process.ts';
import { environmentOf, servicesOf } from '../../src/effects/backup/environment.ts';
import { readEncrypted } from '../../src/effects/backup/pipeline.ts';
import { planBackup } from '../../src/effects/backup/plan-backup.ts';
import { differencesOf } from '../../src/effects/backup/restore-other-parts.ts';
import { createFolderStore } from '../../src/effects/backup/stores/folder.ts';
import { openBackup } from '../../src/effects/backup/verify.ts';
import { writePart } from '../../src/effects/backup/write-part.ts';
import { createLimiter } from '../../src/effects/dokploy/rate-limit.ts';
import type { DokployConnection, TargetRecord } from '../../src/effects/handler.ts';
import { type BackupApp, openBackupApp, removeHome } from '../helpers/backup-app.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { createBench } from '../helpers/effect-context.ts';
import { mainFile } from '../helpers/mcp-clients.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd');
let postgres: TestPostgres;
let sandbox: SandboxProcess;
let folder: string;
let at: BackupApp;
beforeAll(async () => {
  if (why) return;
  folder = mkdtempSync(join(tmpdir(), 'capstan-instance-parts-'));
  [postgres, sandbox] = await Promise.all([startTestPostgres(), startSandboxProcess(mainFile, join(folder, 'sandbox'), ['gen-c'])]);
}, 120_000);
afterAll(async () => {
  await postgres?.stop();
  await sandbox?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  if (why) return;
  at = await openBackupApp();
});
afterEach(async () => {
  await at?.close();
  if (at) removeHome(at.home);
});

const asked = async (path: string) =>
  (await (await fetch(`${sandbox.url}${path}`, { headers: { 'x-api-key': sandbox.apiKey } })).json()) as Record<string, unknown>;

async function addTarget(): Promise<string> {
  const { vault, registry } = at.app;
  const { composes } = (await asked('/__sandbox/state')) as { composes: { composeId: string; appName: string; environmentId: string }[] };
  const [service] = composes;
  if (!service) throw new Error('the sandbox has no instance');
  const key = vault.stageSecret('dokploy:home', 'key', sandbox.apiKey);
  const options = { ca: readFileSync(sandbox.caFile, 'utf8'), resolve: sandbox.resolve, templateBaseUrl: sandbox.templateBaseUrl };
  await registry.addDokploy({ name: 'home', url: sandbox.url, keySecret: `secret:${key.id}`, options }, [key]);
  await at.addTarget('shop', postgres.url(), {
    url: 'https://gen-c.supabase.test',
    dokploy: { ...service, name: 'home', projectId: '' },
  });
  return service.composeId;
}

type Output = { backup: string; missing: { part: string; why: string }[] };

test.skipIf(why)(
  'environment, compose text and mounts come as the Dokploy has them, and the manifest names every version',
  async () => {
    const composeId = await addTarget();
    const view = await at.run('backup', { target: 'shop' });
    expect([view.status, view.error]).toEqual(['done', undefined]);
    const { backup: id, missing } = view.output as Output;
    expect(missing.map(({ part }) => part)).not.toContain('environment');
    const signal = new AbortController().signal;
    const reading = { signal, now: Date.now, progress: () => undefined, secrets: { reveal: at.app.vault.reveal, mint: () => '' } };
    const opened = await openBackup({ backups: at.app.backups }, reading, await at.app.backups.backup(id));
    const file = opened.manifest.files.find(({ kind }) => kind === 'environment');
    if (!file) throw new Error('the backup has no environment');
    const kept = await environmentOf(opened, file);
    const stands = (await asked(`/api/compose.one?composeId=${composeId}`)) as {
      env: string;
      composeFile: string;
      mounts: { content: string }[];
    };
    expect([kept.env, kept.composeFile]).toEqual([stands.env, stands.composeFile]);
    expect(kept.mounts.map(({ content }) => content)).toEqual(stands.mounts.map(({ content }) => content));
    expect(kept.mounts.length).toBeGreaterThan(0);
    const { services, server, extensions } = opened.manifest;
    expect(services).toMatchObject({
      db: expect.stringMatching(/^supabase\/postgres:\d/),
      auth: expect.stringMatching(/^supabase\/gotrue:v/),
    });
    expect([server.major, extensions.map(({ name }) => name)]).toEqual([15, expect.arrayContaining(['plpgsql', 'pgcrypto'])]);
    // What the environment holds in secret stands nowhere in the clear.
    const secret = /^JWT_SECRET=(.*)$/m.exec(stands.env)?.[1] ?? 'no JWT_SECRET';
    expect(readFileSync(join(at.home, 'backups', 'shop', id, file.path)).includes(secret)).toBe(false);
    for (const text of [JSON.stringify(view), readFileSync(join(at.home, 'backups', 'shop', id, 'manifest.json'), 'utf8')])
      expect(text).not.toContain(secret);
  },
  60_000,
);

test.skipIf(why)(
  'a Dokploy that is away is named, and the database is backed up all the same',
  async () => {
    await addTarget();
    await sandbox.setFaults(['expired-key']);
    try {
      const view = await at.run('backup', { target: 'shop' });
      const lack = (view.output as Output).missing.find(({ part }) => part === 'environment');
      expect([view.status, lack?.why]).toEqual(['done', expect.stringContaining('The Dokploy home did not give it')]);
    } finally {
      await sandbox.setFaults([]);
    }
  },
  60_000,
);

test('images are read from the compose text with the variables of the environment filled in', () => {
  const composeFile = `services:\n  db:\n    image: supabase/postgres:$\{PG:-15.1}\n  auth:\n    image: "supabase/gotrue:$AUTH"\n  own:\n    build: .\n`;
  expect(servicesOf({ composeFile, env: 'AUTH=v2.1\n' })).toEqual({ db: 'supabase/postgres:15.1', auth: 'supabase/gotrue:v2.1' });
  expect(servicesOf({ composeFile: '::', env: '' })).toEqual({});
});

/** A key file that any server of this machine can read, and what handlers need to take it. */
function vaultStage(connection: DokployConnection, secretUrl: string, dokploy?: TargetRecord['dokploy']) {
  const keys = mkdtempSync(join(tmpdir(), 'capstan-vault-'));
  chmodSync(keys, 0o755);
  const vaultKeyFile = join(keys, 'pgsodium_root.key');
  writeFileSync(vaultKeyFile, canary, { mode: 0o644 });
  const bench = createBench(connection);
  bench.secrets.set('secret:url', secretUrl);
  bench.secrets.set('secret:pass', passphrase);
  const target = { name: 'shop', kind: 'self-hosted' as const, tags: [], url: '', secrets: { databaseUrl: 'secret:url' }, facts: {} };
  bench.targets.push({ ...target, ...(dokploy ? { dokploy } : {}) });
  const root = join(keys, 'backups');
  const backups = {
    store: async () => ({ name: 'local', record: { kind: 'folder' as const, folder: root } }),
    keys: async () => [{ keyId: 'bk-1', version: 1, secret: 'secret:pass', confirmedAt: null }],
    recipients: async () => [],
    backups: async () => [],
    backup: async () => Promise.reject(new Error('none')),
  };
  const deps = { backups, vaultKeyFile, limiterFor: () => createLimiter() };
  const ctx = bench.contextFor('run-1:1:plan');
  const input = { target: 'shop', store: 'local', kind: 'full' as const, parts: ['vault-key' as const], keyId: 'bk-1' };
  return { keys, root, vaultKeyFile, ctx, plan: () => planBackup(deps).run(ctx, input, undefined), write: writePart(deps).run };
}
const canary = 'c0ffee'.repeat(10);
const passphrase = 'passphrase of the vault test';
const nowhere = { name: 'none', url: '', apiKey: '', reach: {} };

/** The key as it lies in the backup, opened again. */
async function keyTaken(stage: ReturnType<typeof vaultStage>): Promise<string> {
  const plan = await stage.plan();
  const [part] = plan.parts;
  if (!part) throw new Error('nothing was planned');
  const scope = { id: plan.id, target: 'shop', store: 'local', kind: plan.kind, codec: plan.codec, keyId: 'bk-1', part };
  const [file] = (await stage.write(stage.ctx, scope, { there: [] })).files;
  if (!file) throw new Error('nothing was written');
  const path = `shop/${plan.id}/${file.path}`;
  expect(readFileSync(join(stage.root, path)).includes(canary)).toBe(false);
  const read = { store: createFolderStore(stage.root), path, codec: plan.codec, passphrase, expected: file };
  const { clear, verdict } = await readEncrypted(read);
  const [text] = await Promise.all([buffer(clear), verdict]);
  return text.toString();
}

test.skipIf(why)('the root key of the vault is taken where the server can read it, and only then', async () => {
  const stage = vaultStage(nowhere, postgres.url());
  expect(await keyTaken(stage)).toBe(canary);
  rmSync(stage.vaultKeyFile);
  await expect(stage.plan()).rejects.toMatchObject({ code: 'BACKUP_EMPTY', fix: expect.stringContaining('has no file') });
  rmSync(stage.keys, { recursive: true, force: true });
});

test.skipIf(why)(
  'without a superuser’s connection the container is asked, and nothing of it stays on the Dokploy',
  async () => {
    await postgres.sql(`create role plain login password 'plain-password'; grant pg_read_all_data to plain`);
    const alone = vaultStage(nowhere, postgres.url('postgres', 'plain', 'plain-password'));
    await expect(alone.plan()).rejects.toMatchObject({
      code: 'BACKUP_EMPTY',
      fix: expect.stringContaining('Only a superuser can read it'),
    });
    const { composes } = (await asked('/__sandbox/state')) as { composes: { composeId: string; appName: string; environmentId: string }[] };
    const [service] = composes;
    if (!service) throw new Error('the sandbox has no instance');
    const reach = { ca: readFileSync(sandbox.caFile, 'utf8'), resolve: sandbox.resolve };
    const connection = { name: 'home', url: sandbox.url, apiKey: sandbox.apiKey, reach };
    const url = postgres.url('postgres', 'plain', 'plain-password');
    const stage = vaultStage(connection, url, { ...service, name: 'home', projectId: '' });
    expect(await keyTaken(stage)).toBe(canary);
    const left = await asked(`/api/schedule.list?id=${service.composeId}&scheduleType=compose`);
    expect(left).toEqual([]);
    expect(JSON.stringify(await asked('/__sandbox/state'))).not.toContain(canary);
    for (const { keys } of [alone, stage]) rmSync(keys, { recursive: true, force: true });
  },
  60_000,
);

test('what changed in an environment since a backup is told by names alone', () => {
  const base = { format: 'capstan-environment/1' as const, env: 'A=1\nB=secret-canary\nC=3\r\n', composeFile: 'services: {}', mounts: [] };
  expect(differencesOf(base, base)).toEqual([]);
  expect(differencesOf(base, { ...base, env: 'A=1\nB=other-canary\nC=3\nD=4\n' })).toEqual(['B', 'D']);
  const mounts = [{ type: 'file', filePath: '/a', content: 'x' }];
  expect(differencesOf(base, { ...base, composeFile: 'services: {a: {}}', mounts })).toEqual(['compose text', 'files']);
});
