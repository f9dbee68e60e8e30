/** One backup stream and its restore in a process of its own, so that its memory is its own; prints one JSON line. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createArchiveTap } from '../../src/effects/backup/archive-tap.ts';
import { startChild, startReading } from '../../src/effects/backup/child.ts';
import { chooseCodec } from '../../src/effects/backup/codec.ts';
import { libpqOf, parseDatabaseUrl } from '../../src/effects/backup/connection.ts';
import { readEncrypted, writeEncrypted } from '../../src/effects/backup/pipeline.ts';
import { pgClientFor } from '../../src/effects/backup/programs.ts';
import { createFolderStore } from '../../src/effects/backup/stores/folder.ts';
import { holdYoungSpace } from '../../src/young-space.ts';

holdYoungSpace(); // as main.ts does
const store = createFolderStore(join(process.argv[2] ?? '', 'ours'));
const began = performance.now();
const cpuBefore = process.cpuUsage();
const place = parseDatabaseUrl(process.env['CAPSTAN_TEST_BENCH_URL'] ?? '');
const { dbname, ...libpq } = libpqOf(place, 'capstan bench');
const dump = await startReading({ file: (await pgClientFor('pg_dump', 15)).file, args: ['-Fc', '-Z0', `--dbname=${dbname}`], ...libpq });
const tap = createArchiveTap();
const codec = await chooseCodec();
const written = await writeEncrypted({
  source: dump.pieces,
  see: tap.see,
  sourceEnded: dump.ended,
  codec,
  to: { passphrase: 'bench passphrase of ours' },
  store,
  path: 'a/db.dump.pgp',
  now: () => performance.now(),
});
const ms = performance.now() - began;
const cpu = process.cpuUsage(cpuBefore);
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
const verifyMs = performance.now() - verifying;
const backupPeak = peakMb();
const restoring = performance.now();
const target = { ...place, database: 'bench_ours' };
const { dbname: into, ...restoreEnv } = libpqOf(target, 'capstan bench');
const restore = startChild({
  file: (await pgClientFor('pg_restore', 15)).file,
  args: ['--exit-on-error', `--dbname=${into}`],
  ...restoreEnv,
});
restore.stdout.resume();
const again = await readEncrypted({
  store,
  path: 'a/db.dump.pgp',
  codec: codec.codec,
  passphrase: 'bench passphrase of ours',
  expected: written,
});
await pipeline(again.clear, restore.stdin);
await again.verdict;
await restore.ended;
const restoreMs = performance.now() - restoring;
console.log(
  JSON.stringify({
    ms,
    cpuMs: (cpu.user + cpu.system) / 1_000,
    firstByteMs: Math.round(written.firstByteMs),
    bytes: written.bytes,
    rawBytes: written.rawBytes,
    peakRssMb: backupPeak,
    verifyMs,
    restoreMs,
    restorePeakRssMb: peakMb(),
  }),
);

/** Of this process so far. */
function peakMb(): number {
  return process.platform === 'linux'
    ? Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024
    : process.memoryUsage().rss / 1_048_576;
}
