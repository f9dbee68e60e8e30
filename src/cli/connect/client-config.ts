/** A client's file on disk: read, changed in one rename, never half written, never followed by a broken one. */

import { randomUUID } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { AppError } from '../../errors.ts';
import type { ClientFile } from './clients.ts';
import { readJsonEntry, withJsonEntry } from './json-entries.ts';
import { readTomlEntry, withTomlEntry } from './toml-entries.ts';

type Place = Pick<ClientFile, 'path' | 'format' | 'key'>;

/** The entry of this name, or undefined. Throws CLIENT_FILE_BROKEN. */
export function entryIn({ path, format, key }: Place, name: string): unknown {
  const text = textOf(path);
  return format === 'json' ? readJsonEntry(text, key, name) : readTomlEntry(text, key, name);
}

/** Puts the entry in, or takes it out. Returns false when nothing had to be written. Throws CLIENT_FILE_BROKEN, CLIENT_FILE_UNWRITABLE. */
export function writeEntry({ path, format, key }: Place, name: string, entry: Record<string, unknown> | undefined): boolean {
  const before = textOf(path);
  const after = format === 'json' ? withJsonEntry(before, key, name, entry) : withTomlEntry(before, key, name, entry);
  if (after === before) return false;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const real = existsSync(path) ? realpathSync(path) : path; // dotfiles are often links; the link stays
    const aside = `${real}.${randomUUID().slice(0, 8)}`;
    writeFileSync(aside, after, { flag: 'wx', mode: 0o600 });
    if (existsSync(real)) chmodSync(aside, statSync(real).mode & 0o777);
    renameSync(aside, real);
  } catch (cause) {
    throw new AppError('CLIENT_FILE_UNWRITABLE', {
      message: `The file ${path} cannot be written.`,
      fix: 'Change its permissions, or put the entry in by hand: --print shows it.',
      cause,
    });
  }
  return true;
}

function textOf(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
