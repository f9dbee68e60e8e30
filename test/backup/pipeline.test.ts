/** The stream from a real pg_dump into a file that gpg, zstd and pg_restore read without us. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createArchiveTap } from '../../src/effects/backup/archive-tap.ts';
import { startReading } from '../../src/effects/backup/child.ts';
import { chooseCodec } from '../../src/effects/backup/codec.ts';
import { libpqOf, parseDatabaseUrl } from '../../src/effects/backup/connection.ts';
import { checkHash, readEncrypted, writeEncrypted } from '../../src/effects/backup/pipeline.ts';
import { pgClientFor } from '../../src/effects/backup/programs.ts';
import { createFolderStore } from '../../src/effects/backup/stores/folder.ts';
import { packageFile } from '../../src/package-root.ts';
import { startTestPostgres, type TestPostgres, whyWithout } from '../helpers/backup-postgres.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'gpg', 'zstd');
const passphrase = 'k7w2m-canary-passphrase-9';
let postgres: TestPostgres;
let folder: string;
beforeAll(async () => {
  if (why) return;
  folder = mkdtempSync(join(tmpdir(), 'capstan-pipeline-'));
  postgres = await startTestPostgres();
  await postgres.sql(readFileSync(packageFile('test/fixtures/nasty-schema.sql'), 'utf8'));
}, 60_000);
afterAll(async () => {
  await postgres?.stop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

async function dump(path: string, signal?: AbortSignal) {
  const place = parseDatabaseUrl(postgres.url());
  const { dbname, ...libpq } = libpqOf(place, 'capstan-test');
  const client = await pgClientFor('pg_dump', 15);
  const child = await startReading({
    file: client.file,
    args: ['-Fc', '-Z0', `--dbname=${dbname}`],
    ...libpq,
    ...(signal ? { signal } : {}),
  });
  const tap = createArchiveTap();
  const written = await writeEncrypted({
    source: child.pieces,
    see: tap.see,
    sourceEnded: child.ended,
    codec: await chooseCodec(),
    to: { passphrase },
    store: createFolderStore(folder),
    path,
    now: Date.now,
    ...(signal ? { signal } : {}),
  });
  return { written, figures: tap.figures() };
}

test.skipIf(why)('a dump is read by gpg, zstd and pg_restore alone, and its figures are those of the database', async () => {
  const { written, figures } = await dump('one/db.dump.zst.pgp');
  const file = join(folder, 'one/db.dump.zst.pgp');
  const stored = readFileSync(file);
  expect(createHash('sha256').update(stored).digest('hex')).toBe(written.sha256);
  expect([stored.length, stored.includes('canary')]).toEqual([written.bytes, false]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const home = mkdtempSync(join(tmpdir(), 'capstan-gpg-'));
  const list = execFileSync(
    '/bin/sh',
    ['-c', 'gpg --homedir "$1" --batch -q --pinentry-mode loopback --passphrase-fd 0 -d "$0" | zstd -dc | pg_restore -l', file, home],
    { input: passphrase, encoding: 'utf8' },
  );
  rmSync(home, { recursive: true, force: true });
  expect(list).toContain('Häuser und "Höfe"');
  expect(figures.known).toBe(true);
  expect(figures.server).toMatch(/^15\./);
  const client = new pg.Client({ connectionString: postgres.url(), options: '-c TimeZone=UTC -c extra_float_digits=3' });
  await client.connect();
  for (const { schema, table, rows } of figures.tables) {
    const name = `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(table)}`;
    const counted = await client.query(`select count(*)::int as n from only ${name}`);
    expect([name, rows]).toEqual([name, counted.rows[0].n]);
  }
  await client.end();
  expect(figures.tables.length).toBeGreaterThan(10);
  expect(figures.largeObjects).toMatchObject({ count: 1, bytes: 10_000 });
});

test.skipIf(why)('the same data gives the same checksum by psql, which knows nothing of us', async () => {
  const { figures } = await dump('two/db.dump.zst.pgp');
  const houses = figures.tables.find(({ table }) => table.startsWith('Häuser'));
  const statement = houses?.copy.replace(/ FROM stdin;$/, ' TO stdout') ?? '';
  const text = execFileSync(
    'psql',
    ['-XAtq', postgres.url(), '-c', 'set timezone = utc', '-c', 'set extra_float_digits = 3', '-c', statement],
    {
      maxBuffer: 1e8,
    },
  );
  expect(createHash('sha256').update(text).digest('hex')).toBe(houses?.sha256);
});

test.skipIf(why)('a file that was cut, changed or swapped is refused, before and while it is read', async () => {
  const { written: first } = await dump('three/a.dump.zst.pgp');
  const { written: second } = await dump('three/b.dump.zst.pgp');
  const store = createFolderStore(folder);
  const codec = (await chooseCodec()).codec;
  const read = async (path: string, expected: { bytes: number; sha256: string }, key = passphrase) => {
    const { clear, verdict } = await readEncrypted({ store, path, codec, passphrase: key, expected });
    clear.resume();
    await verdict;
  };
  await read('three/a.dump.zst.pgp', first);
  await expect(read('three/b.dump.zst.pgp', first)).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' });
  await expect(checkHash({ store, path: 'three/b.dump.zst.pgp', expected: first })).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' });
  await expect(read('three/c.dump.zst.pgp', first)).rejects.toMatchObject({ code: 'BACKUP_FILE_MISSING' });
  // About one wrong passphrase in a hundred is found out at the end only.
  const wrong = { code: expect.stringMatching(/^BACKUP_(KEY_WRONG|DAMAGED)$/) };
  await expect(read('three/a.dump.zst.pgp', first, 'another passphrase')).rejects.toMatchObject(wrong);
  const bytes = readFileSync(join(folder, 'three/b.dump.zst.pgp'));
  const flipped = Buffer.from(bytes);
  flipped[bytes.length >> 1] = (flipped[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(join(folder, 'three/b.dump.zst.pgp'), flipped);
  await expect(read('three/b.dump.zst.pgp', second)).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' });
  truncateSync(join(folder, 'three/b.dump.zst.pgp'), bytes.length - 100);
  await expect(read('three/b.dump.zst.pgp', second)).rejects.toMatchObject({ code: 'BACKUP_DAMAGED' });
});

test.skipIf(why)('a dump that fails or is stopped leaves no file', async () => {
  const stop = new AbortController();
  const slow = new Readable({ read() {} });
  slow.push(Buffer.alloc(100_000, 1));
  const writing = writeEncrypted({
    source: slow,
    codec: await chooseCodec(),
    to: { passphrase },
    store: createFolderStore(folder),
    path: 'four/x.pgp',
    now: Date.now,
    signal: stop.signal,
  });
  stop.abort(new Error('stopped'));
  await expect(writing).rejects.toThrow('stopped');
  const place = { ...parseDatabaseUrl(postgres.url()), database: 'not_there' };
  const { dbname, ...libpq } = libpqOf(place, 'capstan-test');
  const child = await startReading({ file: (await pgClientFor('pg_dump', 15)).file, args: ['-Fc', `--dbname=${dbname}`], ...libpq });
  const failing = writeEncrypted({
    source: child.pieces,
    sourceEnded: child.ended,
    codec: await chooseCodec(),
    to: { passphrase },
    store: createFolderStore(folder),
    path: 'four/y.pgp',
    now: Date.now,
  });
  await expect(failing).rejects.toMatchObject({ code: 'PROGRAM_FAILED' });
  expect(readdirSync(join(folder, 'four'))).toEqual([]);
});

test('a client older than the server is refused with the command that installs the right one', async () => {
  await expect(pgClientFor('pg_dump', 99)).rejects.toMatchObject({
    code: expect.stringMatching(/^PG_CLIENT_(TOO_OLD|MISSING)$/),
    fix: expect.stringContaining('postgresql-client-99'),
  });
});
