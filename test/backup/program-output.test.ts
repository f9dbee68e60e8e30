/** What programs write, piece by piece; judged by its hash as the shell makes it. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startReading } from '../../src/effects/backup/child.ts';
import { type CodecChoice, chooseCodec } from '../../src/effects/backup/codec.ts';
import { readEncrypted, writeEncrypted } from '../../src/effects/backup/pipeline.ts';
import { createFolderStore } from '../../src/effects/backup/stores/folder.ts';

const full = 128 * 1024;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-output-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sh = (script: string, signal?: AbortSignal) => startReading({ file: '/bin/sh', args: ['-c', script], ...(signal ? { signal } : {}) });
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

function fileOf(bytes: number): { path: string; content: Buffer } {
  const content = randomBytes(bytes);
  const path = join(folder, `${bytes}`);
  writeFileSync(path, content);
  return { path, content };
}

test.each([0, 1, full - 1, full, full + 1, 20 * full, 20 * full + 77])(
  '%i bytes come whole, to a reader that looks at each piece late',
  async (size) => {
    const { path, content } = fileOf(size);
    const { pieces, ended } = await sh(`dd if='${path}' bs=5000 2>/dev/null`);
    const hash = createHash('sha256');
    const lengths: number[] = [];
    for await (const piece of pieces) {
      await setImmediate();
      await setImmediate();
      hash.update(piece);
      lengths.push(piece.length);
    }
    await ended;
    expect(hash.digest('hex')).toBe(sha256(content));
    expect(lengths.slice(0, -1).every((length) => length === full)).toBe(true);
  },
);

test('a program that writes slowly is read to its end', async () => {
  const { pieces, ended } = await sh('for i in 1 2 3 4 5; do echo $i; sleep 0.02; done');
  const got: string[] = [];
  for await (const piece of pieces) got.push(piece.toString());
  await ended;
  expect(got.join('')).toBe('1\n2\n3\n4\n5\n');
});

test('a program that fails says so after what it wrote', async () => {
  const { pieces, ended } = await sh('echo begun; echo no room >&2; exit 3');
  const got: string[] = [];
  for await (const piece of pieces) got.push(piece.toString());
  expect(got).toEqual(['begun\n']);
  await expect(ended).rejects.toMatchObject({ code: 'PROGRAM_FAILED', details: { said: '"no room"' } });
});

test('a program that is not there is told, and nothing waits for it', async () => {
  const { pieces, ended } = await startReading({ file: '/nowhere/pg_dump', args: [] });
  for await (const piece of pieces) expect(piece).toBeUndefined();
  await expect(ended).rejects.toMatchObject({ code: 'PROGRAM_FAILED' });
});

test('a reader that stops early ends the program: its output is a pipe that breaks', async () => {
  const { pieces, ended } = await sh('exec cat /dev/zero');
  for await (const piece of pieces) {
    expect(piece.length).toBe(full);
    break;
  }
  await expect(ended).rejects.toMatchObject({ code: 'PROGRAM_FAILED' });
});

test('a reader that waits is woken when the output is closed, or the work is stopped', async () => {
  const silent = await sh('exec sleep 60');
  const waiting = (async () => {
    for await (const _ of silent.pieces);
  })();
  silent.pieces.destroy();
  await expect(waiting).rejects.toThrow('the output of the program was closed');
  silent.stop();
  const stop = new AbortController();
  const stopped = await sh('exec sleep 60', stop.signal);
  stop.abort(new Error('stopped'));
  for await (const piece of stopped.pieces) expect(piece).toBeUndefined();
  await expect(stopped.ended).rejects.toThrow('stopped');
});

const codecs: [string, () => Promise<CodecChoice>][] = [
  ['gzip', () => chooseCodec('gzip')],
  ['the best one here', () => chooseCodec()],
];

test.each(codecs)('buffers that are filled anew reach the file unchanged (%s)', async (name, choose) => {
  const { path, content } = fileOf(6_000_003);
  const { pieces, ended } = await sh(`dd if='${path}' bs=4096 2>/dev/null`);
  const codec = await choose();
  const store = createFolderStore(folder);
  const file = `out/${name.length}.pgp`;
  const seen = createHash('sha256');
  const written = await writeEncrypted({
    source: pieces,
    sourceEnded: ended,
    see: (piece) => void seen.update(piece),
    codec,
    to: { passphrase: 'of this test' },
    store,
    path: file,
    now: Date.now,
  });
  const { clear, verdict } = await readEncrypted({ store, path: file, codec: codec.codec, passphrase: 'of this test', expected: written });
  const back = createHash('sha256');
  for await (const piece of clear) back.update(piece);
  await verdict;
  const whole = sha256(content);
  expect([written.rawBytes, seen.digest('hex'), back.digest('hex')]).toEqual([content.length, whole, whole]);
});
