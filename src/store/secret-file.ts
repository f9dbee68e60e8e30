import { readFileSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, relative } from 'node:path';
import { AppError } from '../errors.ts';

const maxBytes = 64 * 1024;

/**
 * The text behind a `file:PATH` reference, without its last line break (engine.md S2).
 * An agent may name the path, so CAPSTAN_HOME (the key!), /proc, /sys and /dev are never read. Throws SECRET_UNREADABLE.
 */
export function readSecretFile(path: string, home: string): string {
  const refuse = (why: string, cause?: unknown) =>
    new AppError('SECRET_UNREADABLE', {
      message: `The reference file:${path.slice(0, 200)} ${why}.`,
      fix: 'Write the secret alone into a small file that the user who runs Capstan can read.',
      cause,
    });
  if (!isAbsolute(path)) throw refuse('is not an absolute path');
  try {
    const real = realpathSync(path);
    const closed = ['/proc', '/sys', '/dev', realpathSync(home)].some((folder) => isInside(real, folder));
    if (closed) throw refuse('lies where no secret may be taken from');
    const info = statSync(real);
    if (!info.isFile() || info.size > maxBytes) throw refuse(`is not a file of at most ${maxBytes} bytes`);
    return readFileSync(real, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw error instanceof AppError ? error : refuse('cannot be read', error);
  }
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way === '' || (!way.startsWith('..') && !isAbsolute(way));
}
