/**
 * Is a backup whole and ours? Manifest against index and signature, every file against its hash, decrypted to nothing,
 * each dump read by pg_restore and counted again. Nothing is applied anywhere.
 */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { verifyBackup as contract } from '../../../machines/effects/backup.ts';
import { AppError } from '../../errors.ts';
import { type BackupRow, defineHandler, type EffectContext } from '../handler.ts';
import { createArchiveTap } from './archive-tap.ts';
import { openStore, passphraseOf, sha256Of } from './book.ts';
import { startChild } from './child.ts';
import { type DatabaseContents, databaseContents } from './database-contents.ts';
import type { BackupDeps } from './deps.ts';
import { checkManifest, folderOf, type Manifest, type ManifestFile, manifestPath, readManifest } from './manifest.ts';
import { createProgress } from './meter.ts';
import { type ReadOptions, readDocument, readEncrypted, readText } from './pipeline.ts';
import { pgClientFor } from './programs.ts';
import { missingFile } from './stores/store.ts';

/** What reading a backup needs of an effect's context. */
export type ReadingContext = Pick<EffectContext, 'secrets' | 'signal' | 'now' | 'progress'>;

export type OpenedBackup = { manifest: Manifest; read(file: ManifestFile, onBytes?: (bytes: number) => void): ReadOptions };

/** The manifest, compared with the index and its own signature, and how its files are read. Throws MANIFEST_DAMAGED, BACKUP_FILE_MISSING, BACKUP_KEY_UNKNOWN. */
export async function openBackup(
  deps: Pick<BackupDeps, 'backups'>,
  ctx: ReadingContext,
  row: Pick<BackupRow, 'id' | 'target' | 'store' | 'manifestSha256'>,
): Promise<OpenedBackup> {
  const store = await openStore(deps.backups, ctx.secrets.reveal, row.store);
  const path = manifestPath(row.target, row.id);
  const text = await readText(store, path);
  if (text === undefined) throw missingFile(store.place, path);
  const manifest = readManifest(text);
  const passphrase = await passphraseOf(deps.backups, ctx.secrets.reveal, manifest.encryption.keyId);
  await checkManifest(manifest, passphrase, row.id);
  if (sha256Of(text) !== row.manifestSha256)
    throw new AppError('MANIFEST_DAMAGED', {
      message: 'The manifest in the store is not the one of the index.',
      fix: 'Use another backup; nothing was applied.',
    });
  return {
    manifest,
    read: (file, onBytes) => ({
      store,
      path: `${folderOf(row.target, row.id)}/${file.path}`,
      codec: manifest.codec,
      passphrase,
      expected: file,
      signal: ctx.signal,
      ...(onBytes ? { onBytes } : {}),
    }),
  };
}

export function verifyBackup(deps: BackupDeps) {
  return defineHandler(contract, {
    async run(ctx, { id }) {
      const began = ctx.now();
      const row = await deps.backups.backup(id);
      const opened = await openBackup(deps, ctx, row);
      const { tables, rows } = await verifyFiles(ctx, opened);
      ctx.saveBackup({ verified: id, at: ctx.now() });
      return { files: opened.manifest.files.length, bytes: row.bytes, tables, rows, tookMs: ctx.now() - began };
    },
  });
}

/** Throws at the first file that is not as it was written. */
export async function verifyFiles(ctx: ReadingContext, { manifest, read }: OpenedBackup): Promise<{ tables: number; rows: number }> {
  const total = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  const progress = createProgress('Verifying', total, ctx.now, ctx.progress);
  let before = 0;
  let tables = 0;
  let rows = 0;
  for (const file of manifest.files) {
    const onBytes = (bytes: number) => progress(before + bytes);
    if (file.kind === 'database' && file.role === 'data') {
      const contents = await contentsOf({ manifest, read }, file);
      const figures = await readDump(ctx, read(file, onBytes), manifest.server.major);
      requireSame(contents, figures, file);
      tables += figures.tables.length;
      rows += figures.tables.reduce((sum, table) => sum + table.rows, 0);
    } else if (file.kind === 'storage' && file.role === 'data') {
      const { verifyObjects } = await import('./unpack-objects.ts');
      await verifyObjects({ manifest, read }, file, onBytes);
    } else if (file.kind === 'functions' && file.role === 'data') {
      const { readFunctions } = await import('./functions-part.ts');
      await readFunctions({ manifest, read }, file, undefined, onBytes);
    } else {
      const { clear, verdict } = await readEncrypted(read(file, onBytes));
      clear.resume();
      await verdict;
    }
    before += file.bytes;
  }
  return { tables, rows };
}

/** What was noted of the database of this dump. Throws BACKUP_DAMAGED. */
export async function contentsOf({ manifest, read }: OpenedBackup, file: ManifestFile): Promise<DatabaseContents> {
  const beside = manifest.files.find((each) => each.part === file.part && each.role === 'contents');
  if (!beside)
    throw new AppError('BACKUP_DAMAGED', { message: `The backup has nothing noted of ${file.part}.`, fix: 'Use another backup.' });
  return databaseContents.parse(await readDocument(read(beside)));
}

/** The dump goes through the same counter as when it was written, and its head through pg_restore, which must be able to read it. */
async function readDump(ctx: ReadingContext, options: ReadOptions, major: number) {
  const { file } = await pgClientFor('pg_restore', major);
  const child = startChild({ file, args: ['--list'], signal: ctx.signal });
  child.stdout.resume();
  let open = true;
  const closed = child.ended.then(
    () => {
      open = false;
    },
    () => {
      open = false;
    },
  );
  const tap = createArchiveTap();
  const { clear, verdict } = await readEncrypted(options);
  try {
    await pipeline(clear, async (source: AsyncIterable<Buffer>) => {
      for await (const piece of source) {
        tap.see(piece);
        if (open && !child.stdin.write(piece)) await Promise.race([drained(child.stdin), closed]);
      }
    });
    child.stdin.end();
    await verdict;
  } catch (error) {
    child.stop();
    await verdict; // a damaged file is the better reason
    throw error;
  }
  await child.ended.catch((cause: unknown) => {
    throw new AppError('BACKUP_DAMAGED', {
      message: 'pg_restore cannot read the dump.',
      fix: 'Use another backup; nothing was applied.',
      cause,
    });
  });
  return tap.figures();
}

function requireSame(
  contents: DatabaseContents,
  figures: ReturnType<ReturnType<typeof createArchiveTap>['figures']>,
  file: ManifestFile,
): void {
  if (JSON.stringify(contents.figures) === JSON.stringify(figures)) return;
  throw new AppError('BACKUP_DAMAGED', {
    message: `The dump of ${file.part} does not hold the rows that were noted of it.`,
    fix: 'Use another backup; nothing was applied.',
  });
}

/** A program that has read enough closes its input: that is no failure. */
function drained(stdin: Writable): Promise<unknown> {
  return once(stdin, 'drain').catch(() => undefined);
}
