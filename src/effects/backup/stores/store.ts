/** Where backups lie. Paths are relative, with forward slashes. */
import type { Readable } from 'node:stream';
import { AppError } from '../../../errors.ts';

export type Stored = { path: string; bytes: number };

export type BackupStore = {
  /** For people: `folder /srv/backups`, `s3://bucket/prefix`. */
  place: string;
  /** Throws when the place does not answer within seconds, or refuses; writes nothing. */
  reach(signal: AbortSignal): Promise<void>;
  /** Under a name that nobody sees before all of it is there and synced. `expect` is a guess of its size. */
  put(path: string, body: Readable, options: { signal?: AbortSignal; expect?: number }): Promise<void>;
  /** Throws BACKUP_FILE_MISSING. */
  open(path: string, signal?: AbortSignal): Promise<Readable>;
  stat(path: string): Promise<Stored | undefined>;
  /** Whole files below a folder, without what is unfinished. */
  list(folder: string): Promise<Stored[]>;
  /** A missing file is no error. */
  remove(path: string): Promise<void>;
  /** Removes what an interrupted `put` left below a folder; returns how many. */
  sweep(folder: string): Promise<number>;
  /** Removes the folder itself where there is such a thing and it is empty. */
  removeFolder(folder: string): Promise<void>;
  /** Free bytes; undefined where nobody can tell. */
  free(): Promise<number | undefined>;
};

/** Backup files never leave their place: no absolute path, no way up. Throws a TypeError. */
export function checkedPath(path: string): string {
  if (
    path === '' ||
    path.startsWith('/') ||
    path.includes('\\') ||
    path.split('/').some((part) => part === '' || part === '..' || part === '.')
  )
    throw new TypeError(`not a path inside a backup store: ${JSON.stringify(path.slice(0, 80))}`);
  return path;
}

export function missingFile(place: string, path: string, cause?: unknown): AppError {
  return new AppError('BACKUP_FILE_MISSING', {
    message: `The file ${path} is not in ${place}.`,
    fix: 'Put the file back, or use another backup; nothing was applied.',
    details: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}
