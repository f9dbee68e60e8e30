/** What the backup effects read of our own store; src/store/backup-book.ts fits it. */
import { createHash, createHmac, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { AppError } from '../../errors.ts';
import type { BackupRow, EffectContext } from '../handler.ts';
import { createFolderStore } from './stores/folder.ts';
import { createS3Store } from './stores/s3.ts';
import type { BackupStore } from './stores/store.ts';

export type StoreRecord =
  | { kind: 'folder'; folder: string }
  | {
      kind: 's3';
      endpoint?: string;
      region: string;
      bucket: string;
      prefix: string;
      pathStyle: boolean;
      accessKeyId: string;
      secretAccessKey: string;
      timeoutMs?: number;
      checksums?: boolean;
    };
export type KeyInfo = { keyId: string; version: number; secret: string; confirmedAt: number | null };

export type BackupReads = {
  store(name: string): Promise<{ name: string; record: StoreRecord }>;
  /** Newest version first. */
  keys(): Promise<KeyInfo[]>;
  recipients(): Promise<{ fingerprint: string; armored: string }[]>;
  backups(target?: string): Promise<BackupRow[]>;
  backup(id: string): Promise<BackupRow>;
};

type Reveal = (reference: string) => Promise<string>;

/** A store by name, its keys revealed for this call alone. */
export async function openStore(reads: Pick<BackupReads, 'store'>, reveal: Reveal, name: string): Promise<BackupStore> {
  const { record } = await reads.store(name);
  if (record.kind === 'folder') return createFolderStore(record.folder);
  const { kind: _, accessKeyId, secretAccessKey, ...place } = record;
  return createS3Store({ ...place, accessKeyId: await reveal(accessKeyId), secretAccessKey: await reveal(secretAccessKey) });
}

/** The passphrase of a key. Throws BACKUP_KEY_UNKNOWN, which names the key id that the recovery sheet must bear. */
export async function passphraseOf(reads: Pick<BackupReads, 'keys'>, reveal: Reveal, keyId: string): Promise<string> {
  const found = (await reads.keys()).find((key) => key.keyId === keyId);
  if (found) return reveal(found.secret);
  throw new AppError('BACKUP_KEY_UNKNOWN', {
    message: `The backup was encrypted with the key ${keyId}, which this home does not have.`,
    fix: 'Import the recovery sheet that names this key: capstan key import --file SHEET.',
    details: { keyId },
  });
}

export const revealOf = (ctx: Pick<EffectContext, 'secrets'>): Reveal => ctx.secrets.reveal;

const stretch = promisify(scrypt) as (password: string, salt: string, length: number) => Promise<Buffer>;

/** The key that was stretched last: each time costs 16 MB, which the process does not give back, and a tenth of a second. */
let stretched: { of: string; key: Promise<Buffer> } | undefined;

/** Signs a text so that only who has the passphrase can make or change it. Slow on purpose: a weak passphrase must not be guessed from it. */
export async function signText(passphrase: string, keyId: string, text: string): Promise<string> {
  const of = sha256Of(JSON.stringify([passphrase, keyId]));
  if (stretched?.of !== of) stretched = { of, key: stretch(passphrase, `capstan manifest ${keyId}`, 32) };
  return createHmac('sha256', await stretched.key)
    .update(text)
    .digest('hex');
}

export function sameText(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

export function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
