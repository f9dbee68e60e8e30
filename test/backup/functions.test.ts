/** The folder of the edge functions: out of the container into a backup that tar opens, and back, judged by the files of the server. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createFunctionsFolder, filesIn, mostFunctions } from '../../src/effects/backup/functions-folder.ts';
import { packFunctions } from '../../src/effects/backup/functions-part.ts';
import { functionsCommand } from '../../src/effects/backup/functions-scripts.ts';
import { mountsIn } from '../../src/effects/backup/restore-functions.ts';
import { parseScript } from '../../src/sandbox/api/schedules.ts';
import { mountRow } from '../../src/sandbox/rows.ts';
import { createStackFiles } from '../../src/sandbox/stack/files.ts';
import { whyWithout } from '../helpers/backup-postgres.ts';
import { openRestoreStage, type RestoreStage, takeBack } from '../helpers/restore-stage.ts';

const why =
  whyWithout('pg_dump', 'pg_restore', 'gpg', 'zstd', 'tar') ?? (process.platform === 'linux' ? undefined : 'needs GNU find and tar');
let stage: RestoreStage;
beforeAll(async () => {
  if (!why) stage = await openRestoreStage();
}, 120_000);
afterAll(async () => stage?.close());
afterEach(() => stage?.sandbox.setFaults([]));

const mount = mountRow({ type: 'file', filePath: '/volumes/functions/hello/index.ts', content: '', mountPath: '', composeId: 'c1' });
const folder = () => stage.functionsFolder;
const write = (path: string, bytes: string | Buffer) => {
  mkdirSync(dirname(join(folder(), path)), { recursive: true });
  writeFileSync(join(folder(), path), bytes);
};
/** Every file that stands there, by path. */
function standing(): Record<string, string> {
  const files = readdirSync(folder(), { recursive: true, encoding: 'utf8' }).filter((path) => statSync(join(folder(), path)).isFile());
  return Object.fromEntries(
    files.sort().map((path) => [
      path,
      createHash('sha256')
        .update(readFileSync(join(folder(), path)))
        .digest('hex'),
    ]),
  );
}
const canary = `canary-${randomBytes(12).toString('hex')}`;
const strange = "häuser & 'höfe'/a b\n-c $(touch x).ts";
const hello = 'hello/index.ts';
beforeEach(() => {
  if (why) return;
  for (const name of readdirSync(folder())) rmSync(join(folder(), name), { recursive: true });
  write(hello, 'Deno.serve(() => new Response("hello"));\n');
  write('main/index.ts', `const key = '${canary}';\n`);
  write(strange, 'export {};\n');
  write('empty.json', '');
  write('model.bin', Buffer.concat([randomBytes(90_000), Buffer.alloc(500_000)])); // several pieces both ways

  chmodSync(join(folder(), 'main/index.ts'), 0o600);
});

type Output = { backup: string; missing: { part: string; why: string }[] };
const backUp = (more: Record<string, unknown> = {}) => stage.at.run('backup', { target: 'shop', ...more });
const idOf = (view: { output?: unknown }) => (view.output as Output).backup;
/** What a Dokploy keeps of commands that were run in a container. */
const left = () => stage.sandbox.state().schedules;
const everythingSaid = (view: unknown) => JSON.stringify(view) + JSON.stringify(stage.sandbox.journal());

test.skipIf(why)(
  'every file comes into one tar that gpg and tar open; links are told; nothing of it is said or left on the Dokploy',
  async () => {
    symlinkSync('index.ts', join(folder(), 'hello', 'link.ts'));
    const view = await backUp({ parts: ['functions'] });
    expect([view.status, view.error]).toEqual(['done', undefined]);
    const { backup: id, missing } = view.output as Output;
    expect(missing).toEqual([{ part: '1 links of the functions folder', why: 'Of the functions folder only files are taken, no links.' }]);
    const out = mkdtempSync(join(tmpdir(), 'capstan-functions-'));
    const passphrase = await stage.at.app.vault.reveal((await stage.at.app.backups.keys())[0]?.secret ?? '');
    const path = join(stage.at.home, 'backups', 'shop', id, 'functions.tar.zst.pgp');
    const gpg = 'gpg --homedir "$1" --batch -q --pinentry-mode loopback --passphrase-fd 0 -d "$0" | zstd -dc | tar -x -C "$2"';
    execFileSync('/bin/sh', ['-c', gpg, path, stage.at.home, out], { input: passphrase });
    for (const name of [hello, 'main/index.ts', strange, 'empty.json', 'model.bin'])
      expect(readFileSync(join(out, name)).equals(readFileSync(join(folder(), name))), name).toBe(true);
    rmSync(out, { recursive: true });
    expect(await stage.at.app.verifyBackup(id)).toMatchObject({ files: 2 });
    expect(left()).toEqual([]);
    expect(everythingSaid(view)).not.toContain(canary);
    expect([holdingIt(), holdingIt(folder())]).toEqual([[], [join(folder(), 'main/index.ts')]]);
  },
);
/** Files of this home, and of the Dokploy without the folder itself, in which it stands; looked for by another process. */
const holdingIt = (...places: string[]): string[] => {
  const everywhere = [stage.at.home, join(folder(), '../../../..'), '--exclude-dir=files'];
  const args = ['-rlaF', canary, ...(places.length > 0 ? places : everywhere)];
  return spawnSync('grep', args, { encoding: 'utf8' }).stdout.split('\n').filter(Boolean);
};

test.skipIf(why)(
  'a container that is down, an empty folder and one that is too large are named with a code, and the rest is backed up',
  async () => {
    const names = async () => {
      const view = await backUp({ parts: ['roles', 'functions'] });
      const { missing } = view.output as Output;
      return [view.status, view.warnings.map(({ code }) => code), missing.map(({ why: reason }) => reason)];
    };
    write('film.mp4', Buffer.alloc(mostFunctions.bytes));
    expect(await names()).toEqual([
      'done',
      ['KEY_NOT_ESCROWED', 'FUNCTIONS_TOO_LARGE', 'BACKUP_INCOMPLETE'],
      [expect.stringContaining('up to 2000 files with 16.8 MB go through Dokploy')],
    ]);
    for (const name of readdirSync(folder())) rmSync(join(folder(), name), { recursive: true });
    expect(await names()).toEqual(['done', ['KEY_NOT_ESCROWED', 'BACKUP_INCOMPLETE'], ['It is empty.']]);
    await stage.switchContainer('functions', 'exited');
    expect(await names()).toEqual([
      'done',
      ['KEY_NOT_ESCROWED', 'FUNCTIONS_NOT_TAKEN', 'BACKUP_INCOMPLETE'],
      [expect.stringContaining('gave no answer that can be read')],
    ]);
    const alone = await backUp({ parts: ['functions'] });
    expect([alone.status, alone.error?.code]).toEqual(['failed', 'BACKUP_EMPTY']);
    await stage.switchContainer('functions', 'running');
    expect(await stage.at.app.backups.backups()).toHaveLength(4);
  },
  60_000,
);

test.skipIf(why)(
  'a restore in place brings back what was changed and lost, leaves what is new, and gives the file mount the same text; going back returns it all',
  async () => {
    const then = standing();
    const id = idOf(await backUp());
    const beside = await stage.at.run('restore', { backup: id });
    expect(beside.warnings.map(({ code }) => code)).toContain('FUNCTIONS_NOT_RESTORED');
    write('main/index.ts', `changed ${canary}`);
    write('new.ts', 'made later');
    rmSync(join(folder(), dirname(strange)), { recursive: true });
    rmSync(join(folder(), 'model.bin'));
    const later = standing();
    const mountThen = await stage.mountText('/volumes/functions/hello/index.ts');
    const asked = await stage.at.run('restore', { backup: id, mode: 'replace' });
    const { writes } = asked.details['plan'] as { writes: string[] };
    expect(writes.at(-1)).toContain('files of the edge functions that differ');
    expect((await stage.at.send(asked.runId, 'approve')).state).toBe('swapReview');
    expect(standing(), 'nothing is written before the second approval').toEqual(later);
    const view = await stage.at.send(asked.runId, 'swap');
    expect([view.state, view.error]).toEqual(['done', undefined]);
    expect((view.output as { functions: unknown }).functions).toEqual({ files: 5, written: 3, mounts: 1 });
    expect(standing()).toEqual({ ...then, 'new.ts': later['new.ts'] });
    expect(statSync(join(folder(), 'main/index.ts')).mode & 0o777).toBe(0o600);
    expect(await stage.mountText('/volumes/functions/hello/index.ts')).toBe(readFileSync(join(folder(), hello), 'utf8'));
    expect(left()).toEqual([]);
    expect(everythingSaid(view)).not.toContain(canary);
    expect(holdingIt()).toEqual([]);
    expect((await takeBack(stage.at, asked.runId, 0)).status).toBe('cancelled');
    expect(standing()).toEqual(later);
    expect(existsSync(join(folder(), dirname(strange)))).toBe(false);
    expect(await stage.mountText('/volumes/functions/hello/index.ts')).toBe(mountThen);
  },
  120_000,
);

test.skipIf(why)('what changes between the listing and the reading fails the part and is read again', async () => {
  const files = createStackFiles(mkdtempSync(join(tmpdir(), 'capstan-changing-')));
  files.write('c1', [{ ...mount, content: 'first' }]);
  const run = (change: (asked: number) => void) => {
    let asked = 0;
    return createFunctionsFolder(async (command) => {
      change(asked++);
      const { script = '', args = [] } = parseScript(command) ?? {};
      return (await files.runInFunctions('c1', script, args)).output;
    });
  };
  const write = (content: string) => files.write('c1', [{ ...mount, content }]);
  const tarOf = async (folder: ReturnType<typeof run>) => buffer((await packFunctions(folder)).tar);
  expect((await tarOf(run(() => undefined))).includes('first')).toBe(true);
  const changed = { code: 'FUNCTIONS_CHANGED', retry: 'later' };
  await expect(tarOf(run((asked) => void (asked === 1 && write('other'))))).rejects.toMatchObject(changed);
  await expect(tarOf(run((asked) => void (asked === 1 && write('longer than before'))))).rejects.toMatchObject(changed);
  await expect(createFunctionsFolder(async () => 'no answer').list()).rejects.toMatchObject({ code: 'FUNCTIONS_UNREACHABLE' });
  files.remove('c1');
});

test('a command holds nothing that a shell expands, and no argument that could', () => {
  expect(functionsCommand('list', 'mark-1', 3, 'a+/=')).toMatch(/^echo [A-Za-z0-9+/=]+ \| base64 -d \| bash -s -- mark-1 3 a\+\/=$/);
  for (const word of ['', 'a b', '$(x)', "'", ';']) expect(() => functionsCommand('drop', 'mark', word)).toThrow(TypeError);
});

test('a listing joins sizes and hashes by name; a file that has no hash was written meanwhile', () => {
  const hash = 'a'.repeat(64);
  expect(filesIn(['3 644 b c', '0 600 a\nb'], [`${hash}  b c`, `${hash}  a\nb`])).toEqual([
    { path: 'a\nb', bytes: 0, mode: '600', sha256: hash },
    { path: 'b c', bytes: 3, mode: '644', sha256: hash },
  ]);
  expect(() => filesIn(['3 644 b'], [])).toThrow(expect.objectContaining({ code: 'FUNCTIONS_CHANGED', retry: 'later' }));
});

test('only file mounts of a file that is brought back belong to it', () => {
  const row = { mountId: 'm1', type: 'file', filePath: '/volumes/functions/hello/index.ts', content: 'x', mountPath: '' };
  const other = { ...row, mountId: 'm2', filePath: '/volumes/api/kong.yml' };
  const files = [{ path: 'hello/index.ts' }, { path: 'main/index.ts' }];
  expect(mountsIn([row, other, { ...row, type: 'bind' }], files)).toEqual([{ mountId: 'm1', path: 'hello/index.ts', content: 'x' }]);
  expect(mountsIn([row], [{ path: 'main/index.ts' }])).toEqual([]);
});
