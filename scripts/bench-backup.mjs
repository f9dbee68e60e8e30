// The stream of a backup beside `pg_dump -Fc -Z0 | zstd -3 | gpg -c`, and of its restore beside `gpg -d | zstd -d | pg_restore`, on the
// same data in the same run: `npm run bench -- backup [MB …]`.
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findPostgres, reachableBinaries } from '../dist-test/src/sandbox/postgres/binaries.js';
import { initCluster, startCluster } from '../dist-test/src/sandbox/postgres/cluster.js';

// Never the waiting forms: the log of the server goes through this process, and a full pipe would stop its checkpointer.
const run = promisify(execFile);
const child = fileURLToPath(new URL('../dist-test/test/helpers/bench-backup.js', import.meta.url));
const round = (value) => Math.round(value * 10) / 10;
const hundredth = (value) => Math.round(value * 100) / 100;

/** Rows as tables have them: numbers, times, words, and a part that does not compress. */
const fill = (mb) => `
  create table public.bench as
  select g as id, now() - g * interval '1 second' as at, 'customer ' || (g % 5000) as name, md5(g::text) || md5((g * 7)::text) as token,
    repeat('lorem ipsum dolor sit amet ', 8) || g as body
  from generate_series(1, ${Math.round((mb * 1_000_000) / 340)}) g`;

async function measure(mb) {
  const folder = mkdtempSync(join(tmpdir(), 'capstan-bench-backup-'));
  chmodSync(folder, 0o755);
  const binaries = await reachableBinaries(await findPostgres(['npm', 'system', 'path']), join(folder, 'native'));
  const password = await initCluster(binaries, join(folder, 'data'));
  const cluster = await startCluster(binaries, join(folder, 'data'));
  const url = `postgres://supabase_admin:${password}@127.0.0.1:${cluster.port}/postgres`;
  try {
    await run('psql', ['-q', url, '-c', fill(mb)]);
    writeFileSync(join(folder, 'pass'), 'bench passphrase of the reference', { mode: 0o600 });
    mkdirSync(join(folder, 'gpg'), { mode: 0o700 });
    const sh = async (command, ...more) => {
      const began = performance.now();
      await run('/bin/sh', ['-c', command, ...more]);
      return performance.now() - began;
    };
    const empty = async (database) => {
      for (const statement of [`drop database if exists ${database}`, `create database ${database} template template0`])
        await run('psql', ['-q', url, '-c', statement]);
      return url.replace(/postgres$/, database);
    };
    const reference = async () => {
      const out = join(folder, 'reference.pgp');
      const gpg = `gpg --homedir ${folder}/gpg --batch -q --yes --pinentry-mode loopback --passphrase-file ${join(folder, 'pass')}`;
      const ms = await sh(`pg_dump -Fc -Z0 "$0" | zstd -3 -q | ${gpg} --cipher-algo AES256 -z 0 -c -o ${out}`, url);
      const restoreMs = await sh(`${gpg} -d ${out} | zstd -dc | pg_restore --exit-on-error -d "$0"`, await empty('bench_reference'));
      return { ms, bytes: statSync(out).size, restoreMs };
    };
    const ours = async () => {
      await empty('bench_ours');
      const env = { ...process.env, CAPSTAN_TEST_BENCH_URL: url };
      return JSON.parse((await run(process.execPath, [child, folder], { env })).stdout);
    };
    const rows = [];
    for (let i = 0; i < 3; i++) rows.push({ reference: await reference(), ours: await ours() });
    // Of each figure the best of three, on both sides: the rest is what else the machine did.
    const best = (side) =>
      Object.fromEntries(Object.keys(rows[0][side]).map((key) => [key, Math.min(...rows.map((row) => row[side][key]))]));
    const [a, b] = [best('reference'), best('ours')];
    const peak = (key) => round(Math.max(...rows.map((row) => row.ours[key])));
    const raw = b.rawBytes / 1_000_000;
    return {
      rawMb: round(raw),
      storedMb: round(b.bytes / 1_000_000),
      mbPerSecond: round(raw / (b.ms / 1_000)),
      firstByteMs: b.firstByteMs,
      peakRssMb: peak('peakRssMb'),
      verifyMbPerSecond: round(raw / (b.verifyMs / 1_000)),
      restoreMbPerSecond: round(raw / (b.restoreMs / 1_000)),
      restorePeakRssMb: peak('restorePeakRssMb'),
      reference: {
        mbPerSecond: round(raw / (a.ms / 1_000)),
        storedMb: round(a.bytes / 1_000_000),
        restoreMbPerSecond: round(raw / (a.restoreMs / 1_000)),
      },
      ofReference: hundredth(a.ms / b.ms),
      restoreOfReference: hundredth(a.restoreMs / b.restoreMs),
    };
  } finally {
    await cluster.stop();
    await run('gpgconf', ['--homedir', join(folder, 'gpg'), '--kill', 'all']).catch(() => undefined); // gpg leaves an agent behind
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Figures per size; 100 MB and 1 GB where none is asked for. */
export async function backup(sizes = [100, 1_000]) {
  const rows = [];
  for (const mb of sizes) rows.push(await measure(mb));
  return { rows, goals: { firstByteMs: 2_000, peakRssMb: 200, ofReference: 0.9 } };
}
