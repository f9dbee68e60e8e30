/**
 * CAPSTAN_HOME and its key (engine.md S1, D5). Invariants:
 * 1. The folder is 0700 and on a local file system; a folder with things of others in it is neither taken nor changed.
 * 2. The key file is written aside, synced and linked: of many first starts exactly one key stays.
 * 3. A database that holds secrets never gets a new key.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError } from '../errors.ts';

export type HomeKey = { id: string; bytes: Buffer };

export type Home = {
  folder: string;
  database: string;
  workers: string;
  artifacts: string;
  /** The backup store `local`. */
  backups: string;
  /** Answers too large for a door (store/exports.ts). */
  exports: string;
  /** Touched when workers have something to do, and when there is only something to see (D4). */
  wake: string;
  news: string;
  /** How many launches the world has seen (store/water-mark.ts). */
  waterMark: string;
  keyFile: string;
  /** The approver key under its passphrase (store/approver.ts). */
  approverFile: string;
  migrationLock: string;
};

/** File systems whose locks or fsync cannot be trusted, by statfs type. */
const refused = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x517b, 'SMB'],
  [0x65735546, 'FUSE'],
]);

/** Makes the folders. Throws HOME_FOREIGN, HOME_UNUSABLE, HOME_ON_NETWORK. */
export function prepareHome(folder: string): Home {
  const home: Home = {
    folder,
    database: join(folder, 'capstan.db'),
    workers: join(folder, 'workers'),
    artifacts: join(folder, 'artifacts'),
    backups: join(folder, 'backups'),
    exports: join(folder, 'exports'),
    wake: join(folder, 'wake'),
    news: join(folder, 'news'),
    waterMark: join(folder, 'launches'),
    keyFile: join(folder, 'key.json'),
    approverFile: join(folder, 'approver.json'),
    migrationLock: join(folder, 'migration.lock'),
  };
  try {
    refuseForeign(folder);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
    mkdirSync(home.workers, { recursive: true });
    mkdirSync(home.artifacts, { recursive: true });
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError('HOME_UNUSABLE', {
      message: `The folder ${folder} cannot be made or changed.`,
      fix: 'Set CAPSTAN_HOME to a folder that this user owns.',
      cause,
    });
  }
  const kind = refused.get(statfsSync(folder).type);
  if (kind)
    throw new AppError('HOME_ON_NETWORK', {
      message: `The folder ${folder} is on ${kind}, where locks and synced writes cannot be trusted.`,
      fix: 'Set CAPSTAN_HOME to a folder on a local disk.',
    });
  return home;
}

/** By any of these a home is known; the owner's `config.json` may be there before us, and so may the sandbox's folder. */
const ours = new Set(['capstan.db', 'key.json', 'config.json', 'workers', 'artifacts', 'backups', 'sandbox', 'approver.json']);
/** What a new volume or a file manager puts into an empty folder. */
const nobodys = new Set(['lost+found', '.DS_Store', 'desktop.ini', '.gitkeep']);

function refuseForeign(folder: string): void {
  if (!existsSync(folder)) return;
  const names = readdirSync(folder).filter((name) => !nobodys.has(name));
  if (names.length === 0 || names.some((name) => ours.has(name))) return;
  throw new AppError('HOME_FOREIGN', {
    message: `The folder ${folder} holds ${names.length} things and none of them is Capstan's, so it was left as it is.`,
    fix: `Set CAPSTAN_HOME to an empty folder or to one that is not there yet, such as ${join(folder, 'capstan')}.`,
  });
}

const keySchema = z.strictObject({ id: z.string().min(1), key: z.string().regex(/^[0-9a-f]{64}$/) });

/** Reads the key, or makes the first one. `known` is the key id that the database was written with, if any. Throws KEY_MISSING, KEY_WRONG, KEY_DAMAGED. */
export function openKey(home: Home, known: string | undefined): HomeKey {
  if (!existsSync(home.keyFile)) {
    if (known !== undefined)
      throw new AppError('KEY_MISSING', {
        message: `The store was encrypted with the key ${known}, but ${home.keyFile} is not there.`,
        fix: 'Put the key file back from your copy; without it the stored secrets cannot be read.',
      });
    createKey(home.keyFile);
  }
  const parsed = keySchema.safeParse(parseKeyFile(home.keyFile));
  if (!parsed.success)
    throw new AppError('KEY_DAMAGED', {
      message: `The key file ${home.keyFile} is not a Capstan key.`,
      fix: 'Put the key file back from your copy.',
    });
  if (known !== undefined && parsed.data.id !== known)
    throw new AppError('KEY_WRONG', {
      message: `The store was encrypted with the key ${known}, but ${home.keyFile} holds ${parsed.data.id}.`,
      fix: 'Put the right key file back; nothing was changed.',
    });
  return { id: parsed.data.id, bytes: Buffer.from(parsed.data.key, 'hex') };
}

function parseKeyFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Writes a private file (0600), synced, in place of what was there. */
export function writeAside(path: string, text: string): void {
  renameSync(writeBeside(path, text), path);
}

function writeBeside(path: string, text: string): string {
  const aside = `${path}.${randomUUID()}`;
  const file = openSync(aside, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return aside;
}

function createKey(path: string): void {
  const aside = writeBeside(path, JSON.stringify({ id: randomUUID().slice(0, 8), key: randomBytes(32).toString('hex') }));
  try {
    linkSync(aside, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error; // another first start was faster: its key stays
  } finally {
    rmSync(aside, { force: true });
  }
}
