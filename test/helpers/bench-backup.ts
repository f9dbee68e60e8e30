/** One backup stream in a process of its own, so that its memory is its own; prints one JSON line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createArchiveTap } from '../../src/effects/backup/archive-tap.ts';
import { startChild } from '../../src/effects/backup/child.ts';
import { chooseCodec } from '../../src/effects/backup/codec.ts';
import { libpqOf, parseDatabaseUrl } from '../../src/effects/backup/connection.ts';
import { readEncrypted, writeEncrypted } from '../../src/effects/backup/pipeline.ts';
import { pgClientFor } from '../../src/effects/backup/programs.ts';
import { createFolderStore } from '../../src/effects/backup/stores/folder.ts';

const store = createFolderStore(join(process.argv[2] ?? '', 'ours'));
const began = performance.now();
const { dbname, ...libpq } = libpqOf(parseDatabaseUrl(process.env['CAPSTAN_TEST_BENCH_URL'] ?? ''), 'capstan bench');
const dump = startChild({ file: (await pgClientFor('pg_dump', 15)).file, args: ['-Fc', '-Z0', `--dbname=${dbname}`], ...libpq });
const tap = createArchiveTap();
const codec = await chooseCodec();
const written = await writeEncrypted({
  source: dump.stdout.pipe(tap.stream),
  sourceEnded: dump.ended,
  codec,
  to: { passphrase: 'bench passphrase of ours' },
  store,
  path: 'a/db.dump.pgp',
  now: () => performance.now(),
});
const ms = performance.now() - began;
const verifying = performance.now();
const { clear, verdict } = await readEncrypted({
  store,
  path: 'a/db.dump.pgp',
  codec: codec.codec,
  passphrase: 'bench passphrase of ours',
  expected: written,
});
clear.resume();
await verdict;
const peak =
  process.platform === 'linux'
    ? Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024
    : process.memoryUsage().rss / 1_048_576;
console.log(
  JSON.stringify({
    ms,
    firstByteMs: Math.round(written.firstByteMs),
    bytes: written.bytes,
    rawBytes: written.rawBytes,
    peakRssMb: peak,
    verifyMs: performance.now() - verifying,
  }),
);
