/**
 * What lies in a Postgres data folder, but for the files that a server makes and drops by itself while nobody changes anything. What is left out
 * is left out by its documented name, never by its folder, so that a file which a statement wrote stands out wherever it was put.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { expect, vi } from 'vitest';

/** Postgres, "Database File Layout", and "Backing Up the Data Directory" for what a backup may leave out. */
const ownOfTheServer: readonly RegExp[] = [
  // The relation cache, written by the next session after a change of a catalog that it holds.
  /^(global|base\/\d+)\/pg_internal\.init(\.\d+)?$/,
  // Segments of the write-ahead log, recycled under other names.
  /^pg_wal\/([0-9A-F]{24}|xlogtemp\.\d+|archive_status\/[0-9A-F]{24}\.(ready|done))$/,
  // Segments of transaction status, which every transaction id fills.
  /^(pg_xact|pg_subtrans|pg_commit_ts|pg_notify|pg_serial|pg_multixact\/(members|offsets))\/[0-9A-F]{4,15}$/,
  // Snapshots and mappings of logical decoding: a checkpoint writes and removes them.
  /^pg_logical\/(snapshots\/[0-9A-F]+-[0-9A-F]+\.snap|mappings\/map-[0-9a-f-]+|replorigin_checkpoint(\.tmp)?)$/,
];

/** Name and, for what people write there, a hash of the content. A file of a running statement is here too: wait until it has ended. */
export function dataFolder(folder: string): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const name = join(entry.parentPath, entry.name).slice(folder.length + 1);
    if (name === 'postmaster.pid' || ownOfTheServer.some((pattern) => pattern.test(name))) continue;
    files[name] = /\.(conf|opts|txt)$/.test(name)
      ? createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex')
      : '';
  }
  return files;
}

/** Autovacuum makes and grows the forks of tables (`_vm`, `_fsm`) whenever it likes: a cluster whose files are compared does without. */
export async function withoutAutovacuum(admin: pg.Client): Promise<void> {
  await admin.query('alter system set autovacuum = off');
  await admin.query('select pg_reload_conf()');
  const atWork = "select count(*)::int as n from pg_stat_activity where backend_type like 'autovacuum%'";
  await vi.waitFor(async () => expect((await admin.query(atWork)).rows).toEqual([{ n: 0 }]), { timeout: 30_000 });
}
