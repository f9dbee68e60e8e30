/**
 * References to secrets and names of files from afar (design §6): whoever runs Capstan may name what his own user can read; a token may not, or it
 * could have any file of this machine sent to a mail server of its choice. Only files in folders that the owner named are taken.
 */
import { realpathSync } from 'node:fs';
import { isAbsolute, relative } from 'node:path';
import { AppError } from '../errors.ts';
import { type Connection, isLocal, textsIn } from './connection.ts';

/** Throws REFERENCE_REFUSED. A reference to a stored secret (`secret:<id>`) passes: its id cannot be guessed. */
export function requireReferences({ caller, secretFolders = [] }: Connection, args: unknown): void {
  if (isLocal(caller.principal)) return;
  const foreign = textsIn(args).find((text) => /^(?:env|file):/.test(text) && !liesIn(text, secretFolders));
  if (foreign === undefined) return;
  throw new AppError('REFERENCE_REFUSED', {
    message: 'Over the network no environment variable is read, and no file outside the folders that the owner allows.',
    fix:
      secretFolders.length > 0
        ? `Use file:PATH with a file in: ${secretFolders.join(', ')}.`
        : 'The owner allows a folder with serve --http --secrets-from DIR, or enters the secret at a terminal.',
  });
}

/** Throws FILE_REFUSED when an argument `file`, however deep, names what is in no folder of the owner's. */
export function requireFiles({ caller, fileFolders = [] }: Connection, args: unknown): void {
  if (isLocal(caller.principal) || !filesIn(args).some((path) => !leadsInto(path, fileFolders))) return;
  throw new AppError('FILE_REFUSED', {
    message: 'Over the network no file of this machine is named outside the folders that the owner allows.',
    fix:
      fileFolders.length > 0
        ? `Use a file in: ${fileFolders.join(', ')}.`
        : 'The owner allows a folder with serve --http --files-from DIR, or starts the run at a terminal.',
  });
}

function filesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => (key === 'file' && typeof each === 'string' ? [each] : filesIn(each)));
}

function liesIn(reference: string, folders: readonly string[]): boolean {
  return leadsInto(reference.startsWith('file:') ? reference.slice('file:'.length) : '', folders);
}

/** Judged by where the path leads, links followed. */
function leadsInto(path: string, folders: readonly string[]): boolean {
  if (!isAbsolute(path)) return false;
  try {
    const real = realpathSync(path);
    return folders.some((folder) => {
      const way = relative(realpathSync(folder), real);
      return way !== '' && !way.startsWith('..') && !isAbsolute(way);
    });
  } catch {
    return false; // what is not there is told as what may not be read, so that nobody can ask which files there are
  }
}
