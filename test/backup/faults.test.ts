/** What goes wrong while a backup is written: no half file, no half entry, and the same run goes on once the cause is gone. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type BackupApp, caller, openBackupApp, person, removeHome } from '../helpers/backup-app.ts';
import { largeTable, startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { type FakeS3, startFakeS3 } from '../helpers/fake-s3.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd');
let postgres: TestPostgres;
let at: BackupApp;
let s3: FakeS3;
beforeAll(async () => {
  if (why) return;
  postgres = await startTestPostgres();
  // About 24 MB: three parts of an upload.
  await postgres.sql(largeTable('big', 28_000));
}, 120_000);
afterAll(async () => postgres?.stop());
beforeEach(async () => {
  if (why) return;
  at = await openBackupApp();
  s3 = await startFakeS3();
  await at.addTarget('shop', postgres.url());
});
afterEach(async () => {
  await at?.close();
  await s3?.close();
  if (at) removeHome(at.home);
});

async function addBucket(more: { timeoutMs?: number } = {}): Promise<void> {
  const { vault, backups } = at.app;
  const [access, secret] = [
    vault.stageSecret('store:bucket', 'access key', s3.accessKeyId),
    vault.stageSecret('store:bucket', 'secret key', s3.secretAccessKey),
  ];
  const place = { endpoint: s3.endpoint, region: 'eu-central-1', bucket: 'backups', prefix: 'here', pathStyle: true };
  const keys = { accessKeyId: `secret:${access.id}`, secretAccessKey: `secret:${secret.id}` };
  await backups.addStore({ name: 'bucket', record: { kind: 's3', ...place, ...keys, ...more } }, [access, secret]);
}

async function approved(ask: () => Promise<unknown>): Promise<void> {
  try {
    await ask();
  } catch (error) {
    const approval = (error as { details?: { approval?: string } }).details?.approval;
    if (approval === undefined) throw error;
    await at.app.engine.approve(approval, person);
  }
}

/** Until a line of the store's own journal fits. */
async function reached(line: RegExp): Promise<void> {
  while (!s3.journal.some((each) => line.test(each))) await s3.next();
}

const indexed = async () => (await at.app.backups.backups()).map(({ id }) => id);
const notFull = () => {
  try {
    return process.getuid?.() === 0 && execFileSync('/bin/sh', ['-c', 'command -v mount'], { encoding: 'utf8' })
      ? undefined
      : 'only root can mount a small disk';
  } catch {
    return 'there is no mount here';
  }
};

test.skipIf(why ?? notFull())(
  'a disk that fills up is said so; nothing is left on it, and with more room the same run ends well',
  async () => {
    const disk = join(at.home, 'disk');
    mkdirSync(disk);
    // A file system of its own, large enough for the look beforehand and too small for the dump.
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'none', disk]);
    try {
      await at.app.backups.addStore({ name: 'small', record: { kind: 'folder', folder: join(disk, 'backups') } }, []);
      const full = await at.run('backup', { target: 'shop', store: 'small' });
      expect([full.state, full.status, full.error?.code]).toEqual(['partFailed', 'waiting', 'DISK_FULL']);
      expect(full.warnings.map(({ code }) => code)).toContain('SPACE_TIGHT');
      const left = readdirSync(disk, { recursive: true, encoding: 'utf8' });
      expect(left.filter((name) => /unfinished|dump|manifest/.test(name))).toEqual([]);
      expect(await indexed()).toEqual([]);
      execFileSync('mount', ['-o', 'remount,size=128m', disk]);
      const done = await at.send(full.runId, 'retry');
      expect([done.status, done.error]).toEqual(['done', undefined]);
      expect(await indexed()).toHaveLength(1);
      await at.app.verifyBackup((await indexed())[0] ?? '');
    } finally {
      execFileSync('umount', ['-l', disk]);
    }
  },
  120_000,
);

test.skipIf(why ?? notFull())('a disk that is far too small is refused before anything is written', async () => {
  const disk = join(at.home, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', disk]);
  try {
    await at.app.backups.addStore({ name: 'small', record: { kind: 'folder', folder: join(disk, 'backups') } }, []);
    const view = await at.run('backup', { target: 'shop', store: 'small' });
    expect([view.status, view.error?.code, readdirSync(disk)]).toEqual(['failed', 'DISK_FULL', []]);
  } finally {
    execFileSync('umount', ['-l', disk]);
  }
});

test.skipIf(why)(
  'a store that falls silent in the middle of an upload is given up on within its time and leaves neither object nor upload; when it is well again the same run ends well',
  async () => {
    await addBucket({ timeoutMs: 500 });
    s3.trouble({ method: 'PUT', when: /database-0\.dump.*partNumber=2/, times: 1_000, as: 'hang' });
    const began = Date.now();
    const failed = await at.run('backup', { target: 'shop', store: 'bucket' });
    expect([failed.state, failed.error?.code]).toEqual(['partFailed', 'STORE_UNREACHABLE']);
    // Four attempts, after each of which is waited until nothing of it can land any more.
    expect(Date.now() - began).toBeLessThan(200_000);
    expect([[...s3.objects.keys()].filter((key) => /dump|manifest/.test(key)), s3.uploads.size, await indexed()]).toEqual([[], 0, []]);
    s3.heal();
    const done = await at.send(failed.runId, 'retry');
    expect([done.status, done.error, s3.uploads.size]).toEqual(['done', undefined, 0]);
    const [id = ''] = await indexed();
    await at.app.verifyBackup(id);
    expect([...s3.objects.keys()].filter((key) => key.includes('.note.'))).toEqual([]);
    // Nothing that the store sees is clear.
    const secret = await at.app.vault.reveal((await at.app.backups.keys())[0]?.secret ?? '');
    for (const [key, bytes] of s3.objects)
      for (const word of [secret, postgres.password, s3.secretAccessKey, 'public.big']) expect(bytes.includes(word), key).toBe(false);
  },
  240_000,
);

test.skipIf(why)(
  'a single 503 and dropped requests do not disturb a backup',
  async () => {
    await addBucket();
    s3.trouble({ method: 'PUT', when: /dump.*partNumber=1/, times: 1, as: '503' });
    s3.trouble({ method: 'PUT', when: /dump.*partNumber=2/, times: 1, as: 'drop' });
    s3.trouble({ method: 'PUT', when: /manifest/, times: 1, as: 'drop' });
    const done = await at.run('backup', { target: 'shop', store: 'bucket' });
    expect([done.status, done.error, s3.uploads.size]).toEqual(['done', undefined, 0]);
    await at.app.verifyBackup((await indexed())[0] ?? '');
  },
  120_000,
);

test.skipIf(why)(
  'bytes that are damaged on their way to the store are sent again; the backup is whole',
  async () => {
    await addBucket();
    s3.trouble({ method: 'PUT', when: /dump.*partNumber=2/, times: 1, as: 'corrupt' });
    s3.trouble({ method: 'PUT', when: /roles/, times: 1, as: 'corrupt' });
    s3.trouble({ method: 'PUT', when: /dump.*partNumber=1/, times: 1, as: 'corrupt-unseen' });
    const done = await at.run('backup', { target: 'shop', store: 'bucket' });
    expect([done.status, done.error, s3.uploads.size]).toEqual(['done', undefined, 0]);
    await at.app.verifyBackup((await indexed())[0] ?? '');
  },
  120_000,
);

test.skipIf(why)(
  'a store that never answers is told before anything is dumped',
  async () => {
    await addBucket({ timeoutMs: 200 });
    s3.trouble({ method: 'GET', when: /list-type/, times: 1_000, as: 'hang' });
    const began = Date.now();
    const view = await at.run('backup', { target: 'shop', store: 'bucket' });
    expect([view.status, view.error?.code]).toEqual(['failed', 'STORE_UNREACHABLE']);
    expect([s3.journal.filter((line) => line.startsWith('PUT')), await indexed()]).toEqual([[], []]);
    expect(Date.now() - began).toBeLessThan(20_000);
  },
  60_000,
);

const nothing = [[], 0, []];
const left = async () => [[...s3.objects.keys()], s3.uploads.size, await indexed()];
const begin = () => at.app.engine.start({ workflow: 'backup', input: { target: 'shop', store: 'bucket' }, name: undefined }, caller);

test.skipIf(why).each([
  ['cancelled', (run: string) => at.app.engine.cancel({ run }, caller)],
  ['rolled back', (run: string) => at.app.engine.rollback({ run, to: 0 }, caller)],
] as const)(
  'a backup that is %s in the middle of a part leaves no object, no upload, no entry and no session',
  async (_how, ask) => {
    await addBucket();
    s3.trouble({ method: 'PUT', when: /dump.*partNumber=2/, times: 1_000, as: 'hang' });
    const { runId } = await begin();
    await reached(/dump.*partNumber=2/);
    expect(
      [...s3.objects.keys()].filter((key) => /roles/.test(key)),
      'a part is finished',
    ).not.toEqual([]);
    await approved(() => ask(runId));
    expect((await at.rest(runId)).status).toBe('cancelled');
    expect(await left()).toEqual(nothing);
    expect(await postgres.sql(`select 1 from pg_stat_activity where application_name like '%writePart%'`)).toEqual([]);
  },
  120_000,
);

test.skipIf(why)(
  'a backup that is cancelled while it is verified is no backup any more',
  async () => {
    await addBucket();
    s3.trouble({ method: 'GET', when: /database-0\.dump/, times: 1_000, as: 'hang' });
    const { runId } = await begin();
    await reached(/^GET .*database-0\.dump/);
    expect(await indexed()).toHaveLength(1);
    await approved(() => at.app.engine.cancel({ run: runId }, caller));
    expect((await at.rest(runId)).status).toBe('cancelled');
    expect(await left()).toEqual(nothing);
  },
  120_000,
);

test.skipIf(why)(
  'a cancelled backup whose store lets nothing be removed says so and what to do; once it does, nothing is left',
  async () => {
    await addBucket();
    s3.trouble({ method: 'PUT', when: /dump.*partNumber=2/, times: 1_000, as: 'hang' });
    const { runId } = await begin();
    await reached(/dump.*partNumber=2/);
    s3.trouble({ method: 'DELETE', when: /roles/, times: 1_000, as: '501' });
    await approved(() => at.app.engine.cancel({ run: runId }, caller));
    const stuck = await at.rest(runId);
    expect([stuck.status, stuck.error?.code, stuck.next.who]).toEqual(['needs_attention', 'STORE_LACKS', 'human']);
    expect(await indexed()).toEqual([]);
    s3.heal();
    await at.app.engine.resolve({ run: runId, as: 'retry_rollback', note: 'the store is well' }, caller);
    expect((await at.rest(runId)).status).toBe('cancelled');
    expect(await left()).toEqual(nothing);
  },
  120_000,
);
