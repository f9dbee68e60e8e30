/** What goes wrong while a backup is brought back: refused before anything is applied, or gone again and repeatable. Judged by Postgres. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import Database from 'better-sqlite3';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DatabaseContents } from '../../src/effects/backup/database-contents.ts';
import { judgeSpace, requireExtensions, requireServer, requireSpace } from '../../src/effects/backup/restore-preflight.ts';
import { nobody } from '../../src/sandbox/postgres/cluster.ts';
import { type BackupApp, openBackupApp, removeHome } from '../helpers/backup-app.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';
import { createChildren } from '../helpers/children.ts';
import { dumpText } from '../helpers/restore-stage.ts';
import { codeOf } from '../helpers/wizard-stage.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd') ?? (process.platform === 'linux' ? undefined : 'reads /proc');
const children = createChildren();
let server: TestPostgres;
let at: BackupApp;
let backup: string;
let other: string;
let before: { names: unknown; text: string };
beforeAll(async () => {
  if (why) return;
  server = await startTestPostgres();
  await server.sql(
    `create table public.big as select g, (select string_agg(md5(g::text || i::text || random()::text), '') from generate_series(1, 40) i) as t
       from generate_series(1, 30000) g`,
  );
  at = await openBackupApp();
  await at.addTarget('shop', server.url());
  backup = await backUp();
  await server.sql("insert into auth.users (id, email) values (gen_random_uuid(), 'late@example.com')");
  other = await backUp();
  before = await standing();
}, 120_000);
afterAll(async () => {
  await children.endAll();
  await at?.close();
  if (at) removeHome(at.home);
  await server?.stop();
});

async function backUp(): Promise<string> {
  return ((await at.run('backup', { target: 'shop', parts: ['database', 'roles'] })).output as { backup: string }).backup;
}
const standing = async () => ({
  names: await server.sql('select datname as name from pg_database order by 1'),
  text: dumpText(server, 'postgres', '--exclude-table-data=public.big'),
});
const folderOf = (id: string) => join(at.home, 'backups', 'shop', id);
const fileOf = (id: string, part: RegExp) => join(folderOf(id), readdirSync(folderOf(id)).find((name) => part.test(name)) ?? '');

/** Until pg_restore of this database has begun to write rows; answers its process. */
async function restoring(database: string): Promise<number> {
  for (const until = Date.now() + 60_000; Date.now() < until; await pause(10)) {
    const [row] = await server.sql(
      `select 1 as one from pg_stat_activity where datname = '${database}' and query like 'COPY %' and application_name <> ''`,
    );
    if (!row) continue;
    const found = readdirSync('/proc').find((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
        return /^\d+$/.test(pid) && command.includes('pg_restore') && command.includes(database);
      } catch {
        return false;
      }
    });
    if (found) return Number(found);
  }
  throw new Error('pg_restore never began');
}

async function toReview(input: Record<string, unknown>) {
  const asked = await at.run('restore', { backup, ...input });
  expect([asked.state, asked.error]).toEqual(['review', undefined]);
  return asked;
}

async function expectDone(run: string, database: string) {
  const done = await at.send(run, 'retry');
  expect([done.state, done.error, (done.output as { proof: { identical: boolean } }).proof.identical]).toEqual(['done', undefined, true]);
  await server.sql(`drop database ${database}`);
  expect(await standing()).toEqual(before);
}

const damages: [string, string, (dump: string) => void][] = [
  ['one bit flipped', 'BACKUP_DAMAGED', (dump) => flip(dump)],
  ['cut in the middle', 'BACKUP_DAMAGED', (dump) => truncateSync(dump, 1_000_000)],
  ['swapped with the dump of another backup', 'BACKUP_DAMAGED', (dump) => copyFileSync(fileOf(other, /dump/), dump)],
  ['swapped with another file of the same backup', 'BACKUP_DAMAGED', (dump) => copyFileSync(fileOf(backup, /^roles\.sql/), dump)],
  ['renamed', 'BACKUP_FILE_MISSING', (dump) => renameSync(dump, `${dump}.renamed`)],
  ['with what is noted of it changed', 'BACKUP_DAMAGED', () => flip(fileOf(backup, /^database-0\.contents/))],
  [
    'with the manifest of another backup',
    'MANIFEST_DAMAGED',
    () => copyFileSync(join(folderOf(other), 'manifest.json'), join(folderOf(backup), 'manifest.json')),
  ],
];

function flip(path: string): void {
  const bytes = readFileSync(path);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

test.skipIf(why).each(damages)('a dump %s is refused before anything is applied', async (_, code, damage) => {
  const whole = new Map(readdirSync(folderOf(backup)).map((name) => [name, readFileSync(join(folderOf(backup), name))]));
  damage(fileOf(backup, /dump/));
  const view = await at.run('restore', { backup, into: 'never' });
  for (const name of readdirSync(folderOf(backup))) rmSync(join(folderOf(backup), name));
  for (const [name, bytes] of whole) writeFileSync(join(folderOf(backup), name), bytes);
  expect([view.state, view.error?.code]).toEqual(['failed', code]);
  expect(await standing()).toEqual(before);
});

test.skipIf(why)('with the wrong passphrase under the right key id nothing is opened and nothing applied', async () => {
  await at.app.backupKeys.rotate();
  const swap = () => {
    const db = new Database(join(at.home, 'capstan.db'));
    const rows = db.prepare('select key_id as id, secret from backup_keys').all() as { id: string; secret: string }[]; // two columns of text
    const put = db.prepare('update backup_keys set secret = ? where key_id = ?');
    for (const [index, { id }] of rows.entries()) put.run(rows[1 - index]?.secret, id);
    db.close();
  };
  swap();
  const view = await at.run('restore', { backup, into: 'never' });
  swap();
  expect([view.state, view.error?.code]).toEqual(['failed', 'MANIFEST_DAMAGED']);
  expect(await standing()).toEqual(before);
});

test.skipIf(why)(
  'pg_restore killed in the middle leaves no database behind, and the run goes on',
  async () => {
    const asked = await toReview({ into: 'halfway' });
    const stopped = at.send(asked.runId, 'approve');
    process.kill(await restoring('halfway'), 'SIGKILL');
    const view = await stopped;
    expect([view.state, view.error?.code]).toEqual(['stopped', 'RESTORE_FAILED']);
    expect(await standing()).toEqual(before);
    await expectDone(asked.runId, 'halfway');
  },
  120_000,
);

test.skipIf(why)(
  'a file that may not grow any more, as on a full disk, stops the restore and leaves no database behind',
  async () => {
    const asked = await toReview({ into: 'too_big' });
    const [row] = await server.sql(`select pg_read_file('postmaster.pid') as text`);
    const pid = String(row?.['text']).split('\n')[0] ?? '';
    // As the user that the server runs as: root may not even there.
    const as = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};
    const limit = (bytes: string) =>
      expect(spawnSync('prlimit', ['--pid', pid, `--fsize=${bytes}`], { ...as, encoding: 'utf8' }).stderr).toBe('');
    limit('20971520:unlimited');
    const view = await at.send(asked.runId, 'approve');
    limit('unlimited:unlimited');
    expect([view.state, view.error?.code]).toEqual(['stopped', 'RESTORE_FAILED']);
    expect(JSON.stringify(view.error)).toMatch(/could not (extend|write)/);
    expect(await standing()).toEqual(before);
    await expectDone(asked.runId, 'too_big');
  },
  120_000,
);

test.skipIf(why)(
  'a connection that is lost in the middle leaves what is in use alone; the run takes away what it had begun and goes on',
  async () => {
    const relay = await openRelay(server.port);
    try {
      await at.addTarget('far', server.url().replace(`:${server.port}/`, `:${relay.port}/`));
      const asked = await toReview({ target: 'far', into: 'cut_off' });
      const stopped = at.send(asked.runId, 'approve');
      await restoring('cut_off');
      relay.cut();
      const view = await stopped;
      expect(view.state).toBe('stopped');
      expect((await standing()).text).toBe(before.text);
      await expectDone(asked.runId, 'cut_off');
    } finally {
      await relay.close();
    }
  },
  120_000,
);

test.skipIf(why)(
  'our whole process killed inside pg_restore: the next one takes away what was begun and ends it',
  async () => {
    const home = join(at.home, 'killed');
    const own = await openBackupApp(home);
    await own.addTarget('shop', server.url());
    const made = await own.run('backup', { target: 'shop', parts: ['database', 'roles'] });
    await own.close();
    const task = {
      home,
      workflow: 'restore',
      name: 'killed',
      input: { backup: (made.output as { backup: string }).backup, into: 'orphan' },
      answers: { review: ['approve'] },
      until: 'done',
    };
    const start = () => children.start('workflow-process', [], { env: { CAPSTAN_TEST_TASK: JSON.stringify(task) } });
    const first = start();
    await restoring('orphan');
    first.kill('SIGKILL');
    expect(await first.ended).toMatchObject({ signal: 'SIGKILL' });
    const second = start();
    expect(JSON.parse(await second.line())).toMatchObject({ state: 'done', open: 0 });
    expect(await server.sql("select count(*)::int as n from pg_stat_activity where datname = 'orphan'")).toEqual([{ n: 0 }]);
    expect(await server.sql('select count(*)::int as n from public.big', 'orphan')).toEqual([{ n: 30_000 }]);
    await server.sql('drop database orphan');
    expect(await standing()).toEqual(before);
  },
  120_000,
);

test.skipIf(why)('the preflight refuses by name: an older server, a missing extension, a disk that is too small', async () => {
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  try {
    expect(await codeOf(requireServer(client, 99))).toBe('SERVER_TOO_OLD');
    const contents = { catalog: { extensions: [{ name: 'plpgsql' }, { name: 'no_such_extension' }] } } as unknown as DatabaseContents; // all that is read
    await expect(requireExtensions(client, contents)).rejects.toMatchObject({
      code: 'EXTENSION_MISSING',
      details: { missing: ['no_such_extension'] },
    });
    expect(await requireSpace(client, 1)).toEqual([]);
    expect(await codeOf(requireSpace(client, 1e17))).toBe('DISK_FULL');
    expect(await client.query("select to_regclass('pg_temp.capstan_space') as left").then(({ rows }) => rows)).toEqual([{ left: null }]);
  } finally {
    await client.end();
  }
  expect(judgeSpace(undefined, 10).map(({ code }) => code)).toEqual(['SPACE_UNKNOWN']);
  expect(judgeSpace(120, 100).map(({ code }) => code)).toEqual(['SPACE_TIGHT']);
});

/** Passes bytes on to a port until it is told to cut every connection. */
async function openRelay(port: number): Promise<{ port: number; cut(): void; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const relay: Server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => relay.once('listening', resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (relay.address() as AddressInfo).port, // it listens on TCP
    cut,
    async close() {
      cut();
      await new Promise((resolve) => relay.close(resolve));
    },
  };
}
