/**
 * Answers too large for a door, written to a file that the answer names. Invariants:
 * 1. Readable by the owner only, in a folder of CAPSTAN_HOME; pruning takes it after a day (store/prune.ts).
 * 2. A file that is there is never overwritten.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { AppError } from '../errors.ts';

export type Exported = { path: string; bytes: number };

/** Writes `<home>/exports/<stem>-<random>.<extension>`. Throws EXPORT_FAILED. */
export function exportText(folder: string, stem: string, extension: string, text: string): Exported {
  return writeNew(newPath(folder, stem, extension), text);
}

/** A new file of that name to write piece by piece; the caller closes or removes it. Throws EXPORT_FAILED. */
export function openExport(
  folder: string,
  stem: string,
  extension: string,
): { path: string; write(text: string): void; bytes(): number; close(): void; remove(): void } {
  const path = newPath(folder, stem, extension);
  let bytes = 0;
  let open = true;
  const tried = <T>(act: () => T): T => {
    try {
      return act();
    } catch (cause) {
      throw failed(path, cause);
    }
  };
  const file = tried(() => openSync(path, 'wx', 0o600));
  const close = () => {
    if (open) closeSync(file);
    open = false;
  };
  return {
    path,
    write(text) {
      const buffer = Buffer.from(text);
      for (let at = 0; at < buffer.length; ) at += tried(() => writeSync(file, buffer, at));
      bytes += buffer.length;
    },
    bytes: () => bytes,
    close,
    remove() {
      close();
      rmSync(path, { force: true });
    },
  };
}

function newPath(folder: string, stem: string, extension: string): string {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw failed(folder, cause);
  }
  return join(folder, `${stem.replace(/[^\w.-]/g, '-').slice(0, 80)}-${randomBytes(4).toString('hex')}.${extension}`);
}

/** Writes a new file where the owner says. Throws EXPORT_FAILED, also when it is there already. */
export function writeNew(path: string, text: string): Exported {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    throw failed(path, cause);
  }
  return { path, bytes: Buffer.byteLength(text) };
}

function failed(path: string, cause: unknown): AppError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return new AppError('EXPORT_FAILED', {
    message: `${path} could not be written (${code}).`,
    fix: code === 'EEXIST' ? 'Name a file that is not there yet.' : 'Check the path, its permissions and the free space.',
    cause,
  });
}
