/** The S3 store against two servers that are not ours to bend: s3rver, and a fake that checks signatures and fails on order. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import S3rver from 's3rver';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createS3Store, partSizeFor } from '../../src/effects/backup/stores/s3.ts';
import type { BackupStore } from '../../src/effects/backup/stores/store.ts';
import { type FakeS3, startFakeS3 } from '../helpers/fake-s3.ts';

type Keys = { accessKeyId: string; secretAccessKey: string };
const mib = 1024 * 1024;
const big = randomBytes(20 * mib);
const source = (data = big) =>
  Readable.from(
    [...Array(Math.ceil(data.length / 65_536)).keys()].map((i) => data.subarray(i * 65_536, (i + 1) * 65_536)),
    { objectMode: false },
  );
const storeAt = (endpoint: string, keys: Keys, bucket = 'backups') => createS3Store(placeOf(endpoint, keys, bucket));
const placeOf = (endpoint: string, { accessKeyId, secretAccessKey }: Keys, bucket = 'backups') => ({
  ...{ endpoint, region: 'eu-central-1', bucket, prefix: 'home one', pathStyle: true },
  ...{ accessKeyId, secretAccessKey },
});

let fake: FakeS3;
let store: BackupStore;
beforeEach(async () => {
  fake = await startFakeS3();
  store = await storeAt(fake.endpoint, fake);
});
afterEach(() => fake.close());

let folder: string;
let rver: InstanceType<typeof S3rver>;
let rverUrl: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'capstan-s3rver-'));
  rver = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory: folder,
    configureBuckets: [{ name: 'backups', configs: [] }],
  });
  const address = await rver.run();
  rverUrl = `http://127.0.0.1:${address.port}`;
});
afterAll(async () => {
  await rver.close();
  rmSync(folder, { recursive: true, force: true });
});

test('parts grow only where the ten thousand that S3 allows would not do', () => {
  expect([partSizeFor(undefined), partSizeFor(10 * 1024 * mib), partSizeFor(500 * 1024 * mib)]).toEqual([5 * mib, 5 * mib, 77 * mib]);
});

test('a stream of unknown length comes back byte for byte from s3rver and from the fake', async () => {
  const real = await storeAt(rverUrl, { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' });
  for (const each of [real, store]) {
    await each.put('b1/db ü.pgp', source(), {});
    expect((await buffer(await each.open('b1/db ü.pgp'))).equals(big)).toBe(true);
    expect(await each.stat('b1/db ü.pgp')).toEqual({ path: 'b1/db ü.pgp', bytes: big.length });
    expect(await each.list('b1')).toEqual([{ path: 'b1/db ü.pgp', bytes: big.length }]);
    await each.remove('b1/db ü.pgp');
    expect(await each.stat('b1/db ü.pgp')).toBeUndefined();
    await expect(each.open('b1/db ü.pgp')).rejects.toMatchObject({ code: 'BACKUP_FILE_MISSING' });
    await each.put('b1/note.json', Readable.from(['{"ü"', ':1}']), {});
    expect((await buffer(await each.open('b1/note.json'))).toString()).toBe('{"ü":1}');
  }
});

test('a wrong secret and a missing bucket are told apart, and neither is retried for ever', async () => {
  const wrong = await storeAt(fake.endpoint, { ...fake, secretAccessKey: 'not it' });
  await expect(wrong.put('b/x', source(), {})).rejects.toMatchObject({ code: 'STORE_REFUSED', retry: 'never' });
  const nowhere = await storeAt(fake.endpoint, fake, 'elsewhere');
  await expect(nowhere.put('b/x', source(), {})).rejects.toMatchObject({ code: 'STORE_MISSING' });
  expect(fake.objects.size).toBe(0);
});

test('503 and a dropped part are survived; the object is whole', async () => {
  fake.trouble({ method: 'PUT', when: /partNumber=2/, times: 1, as: '503' });
  fake.trouble({ method: 'PUT', when: /partNumber=1/, times: 1, as: 'drop' });
  await store.put('b/x', source(), {});
  expect(fake.objects.get('home one/b/x')?.equals(big)).toBe(true);
  expect(fake.journal.filter((line) => /partNumber=[12]/.test(line)).length).toBe(4);
});

test('a store that does not answer is given up on after its time, and asked again', async () => {
  const impatient = await createS3Store({ ...placeOf(fake.endpoint, fake), timeoutMs: 300 });
  fake.trouble({ method: 'PUT', when: /partNumber=1/, times: 1, as: 'hang' });
  await impatient.put('b/x', source(), {});
  expect(fake.objects.get('home one/b/x')?.equals(big)).toBe(true);
  fake.trouble({ method: 'PUT', when: /partNumber=2/, times: 100, as: 'hang' });
  await expect(impatient.put('b/y', source(), {})).rejects.toMatchObject({ code: 'STORE_UNREACHABLE', retry: 'later' });
  expect([[...fake.objects.keys()], fake.uploads.size]).toEqual([['home one/b/x'], 0]);
});

test('bytes that are damaged on their way are refused by the store by their checksum, and sent again', async () => {
  fake.trouble({ method: 'PUT', when: /partNumber=2/, times: 1, as: 'corrupt' });
  fake.trouble({ method: 'PUT', when: /small/, times: 1, as: 'corrupt' });
  await store.put('b/x', source(), {});
  await store.put('b/small', source(big.subarray(0, 1000)), {});
  expect([fake.objects.get('home one/b/x')?.equals(big), fake.objects.get('home one/b/small')?.equals(big.subarray(0, 1000))]).toEqual([
    true,
    true,
  ]);
  expect(fake.journal.filter((line) => /partNumber=2|PUT.*small/.test(line))).toHaveLength(4);
  fake.trouble({ method: 'PUT', when: /partNumber=2/, times: 100, as: 'corrupt' });
  await expect(store.put('b/y', source(), {})).rejects.toMatchObject({ code: 'STORE_DAMAGES', retry: 'later' });
  expect([fake.objects.has('home one/b/y'), fake.uploads.size]).toEqual([false, 0]);
});

test('what a store damages after it had compared shows in the checksum of the whole; nothing of it stays', async () => {
  fake.trouble({ method: 'PUT', when: /partNumber=2/, times: 1, as: 'corrupt-unseen' });
  await expect(store.put('b/x', source(), {})).rejects.toMatchObject({ code: 'STORE_DAMAGES' });
  fake.trouble({ method: 'PUT', when: /small/, times: 1, as: 'corrupt-unseen' });
  await expect(store.put('b/small', source(big.subarray(0, 1000)), {})).rejects.toMatchObject({ code: 'STORE_DAMAGES' });
  expect([fake.objects.size, fake.uploads.size]).toEqual([0, 0]);
});

test('a store without checksums is asked for the size; one that refuses them is told how it is registered', async () => {
  fake.forgetChecksums();
  await store.put('b/x', source(), {});
  expect(fake.journal.filter((line) => line.startsWith('HEAD'))).toHaveLength(1);
  fake.trouble({ method: 'POST', when: /uploads/, times: 100, as: '501' });
  const refused = store.put('b/y', source(), {});
  await expect(refused).rejects.toMatchObject({ code: 'STORE_LACKS', fix: expect.stringContaining('--without-checksums') });
  fake.heal();
  const plain = await createS3Store({ ...placeOf(fake.endpoint, fake), checksums: false });
  await plain.put('b/y', source(), {});
  expect(fake.objects.get('home one/b/y')?.equals(big)).toBe(true);
});

test('a store that keeps failing leaves neither object nor parts', async () => {
  fake.trouble({ method: 'PUT', when: /partNumber=2/, times: 100, as: '503' });
  await expect(store.put('b/x', source(), {})).rejects.toMatchObject({ code: 'STORE_UNREACHABLE', retry: 'later' });
  expect([fake.objects.size, fake.uploads.size]).toEqual([0, 0]);
});

test('a source that fails or a stop in the middle leaves neither object nor parts', async () => {
  async function* failing() {
    yield big.subarray(0, 12 * mib);
    throw new Error('the program died');
  }
  await expect(store.put('b/x', Readable.from(failing(), { objectMode: false }), {})).rejects.toThrow('the program died');
  const stop = new AbortController();
  async function* endless() {
    for (let i = 0; ; i++) {
      yield big.subarray(0, 1024 * 1024);
      if (i === 12) stop.abort(new Error('stopped'));
    }
  }
  await expect(store.put('b/y', Readable.from(endless(), { objectMode: false }), { signal: stop.signal })).rejects.toThrow('stopped');
  expect([fake.objects.size, fake.uploads.size]).toEqual([0, 0]);
});

test('what a killed process left of an upload is swept, and nobody else’s', async () => {
  fake.uploads.set('left', { key: 'home one/b1/db.pgp', parts: new Map() });
  fake.uploads.set('other', { key: 'home two/b1/db.pgp', parts: new Map() });
  expect(await store.sweep('b1')).toBe(1);
  expect([...fake.uploads.keys()]).toEqual(['other']);
});
