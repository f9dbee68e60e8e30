/** A folder on this machine: temporary name, fsync, rename, fsync of the folder. */
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdir, open, readdir, rename, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../../errors.ts';
import { type BackupStore, checkedPath, missingFile, type Stored } from './store.ts';

const unfinished = '.unfinished';

export function createFolderStore(root: string): BackupStore {
  const at = (path: string) => join(root, ...checkedPath(path).split('/'));
  const place = `folder ${root}`;
  return {
    place,
    reach: async () => undefined, // the first write tells, and it costs no dump
    async put(path, body, { signal }) {
      const target = at(path);
      const aside = `${target}${unfinished}`;
      try {
        await mkdir(dirname(target), { recursive: true, mode: 0o700 });
        await chmod(dirname(target), 0o700);
        // `flush` syncs the file before it is closed.
        const file = createWriteStream(aside, { mode: 0o600, flush: true, highWaterMark: 64 * 1024 });
        await pipeline(body, file, { ...(signal ? { signal } : {}) });
        await rename(aside, target);
        await syncFolder(dirname(target));
      } catch (error) {
        body.destroy();
        await rm(aside, { force: true }).catch(() => undefined);
        throw diskFailure(error, root);
      }
    },
    async open(path) {
      const file = at(path);
      if (!(await stat(file).catch(() => undefined))) throw missingFile(place, path);
      return createReadStream(file);
    },
    async stat(path) {
      const found = await stat(at(path)).catch(() => undefined);
      return found?.isFile() ? { path, bytes: found.size } : undefined;
    },
    async list(folder) {
      const names = await filesBelow(at(folder), folder);
      return names.filter(({ path }) => !path.endsWith(unfinished));
    },
    remove: (path) => rm(at(path), { force: true }),
    async sweep(folder) {
      const left = (await filesBelow(at(folder), folder)).filter(({ path }) => path.endsWith(unfinished));
      for (const { path } of left) await rm(at(path), { force: true });
      return left.length;
    },
    async removeFolder(folder) {
      await rmdir(at(folder)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT' && error.code !== 'ENOTEMPTY') throw error;
      });
    },
    async free() {
      for (let folder = root; ; folder = dirname(folder)) {
        const found = await statfs(folder).catch(() => undefined);
        if (found) return found.bavail * found.bsize;
        if (folder === dirname(folder)) return undefined;
      }
    },
  };
}

async function filesBelow(folder: string, path: string): Promise<Stored[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found: Stored[] = [];
  for (const entry of entries) {
    const inner = posix.join(path, entry.name);
    if (entry.isDirectory()) found.push(...(await filesBelow(join(folder, entry.name), inner)));
    else if (entry.isFile()) found.push({ path: inner, bytes: (await stat(join(folder, entry.name))).size });
  }
  return found;
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // folders cannot be synced there
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function diskFailure(error: unknown, root: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new AppError('DISK_FULL', {
      message: `The disk of ${root} is full; the unfinished file was removed.`,
      fix: 'Make room there or choose another backup store, then retry.',
      cause: error,
    });
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR')
    return new AppError('STORE_UNWRITABLE', {
      message: `Nothing can be written to the backup folder ${root} (${code}).`,
      fix: 'Give this user the right to write there, or choose another backup store.',
      cause: error,
    });
  return error;
}
