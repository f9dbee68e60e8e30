/** The keys of the backups as their owner handles them: to paper and back, new versions, further readers. */
import { open } from 'node:fs/promises';
import type { Desk } from './desk.ts';
import { makeKeyId, makePassphrase } from './effects/backup/key-effects.ts';
import { confirmationWord, readSheet, type SheetKey, writeSheet } from './effects/backup/recovery-sheet.ts';
import type { Clock } from './engine/ports.ts';
import { AppError } from './errors.ts';

export type KeySummary = { keyId: string; version: number; current: boolean; confirmed: boolean; madeAt: string };

export type BackupKeys = {
  list(): Promise<{ keys: KeySummary[]; recipients: { fingerprint: string; user: string }[]; escrowed: boolean }>;
  /** Writes the sheet into a new file, mode 0600. Throws BACKUP_KEY_MISSING, FILE_EXISTS. */
  exportSheet(file: string): Promise<{ keys: number }>;
  /** Throws CONFIRMATION_WRONG. From here on backups may run by the clock. */
  confirm(word: string): Promise<{ confirmed: number }>;
  /** Takes the keys of a sheet in, as confirmed ones. Throws SHEET_INVALID. */
  importSheet(text: string): Promise<{ imported: string[] }>;
  /** A new version for the backups to come, of its own making or by reference. Throws PASSPHRASE_WEAK. */
  rotate(reference?: string): Promise<{ keyId: string; version: number }>;
  addRecipient(armored: string): Promise<{ fingerprint: string; user: string }>;
  removeRecipient(fingerprint: string): Promise<boolean>;
};

type Deps = { desk: Pick<Desk, 'backups' | 'vault'>; clock: Pick<Clock, 'now'> };

const shortest = 16;

export function createBackupKeys({ desk: { backups, vault }, clock }: Deps): BackupKeys {
  const sheetKeys = async (): Promise<SheetKey[]> =>
    Promise.all(
      (await backups.keys()).map(async ({ keyId, version, secret }) => ({ keyId, version, passphrase: await vault.reveal(secret) })),
    );
  const store = async (keyId: string, passphrase: string, version?: number) => {
    const staged = vault.stageSecret('backup-keys', keyId, passphrase);
    return backups.addKey({ keyId, secret: `secret:${staged.id}`, ...(version === undefined ? {} : { version }) }, [staged]);
  };
  return {
    async list() {
      const [rows, recipients] = [await backups.keys(), await backups.recipients()];
      const keys = rows.map(({ keyId, version, confirmedAt, createdAt }, index) => ({
        keyId,
        version,
        current: index === 0,
        confirmed: confirmedAt !== null,
        madeAt: new Date(createdAt).toISOString(),
      }));
      return {
        keys,
        recipients: recipients.map(({ fingerprint, user }) => ({ fingerprint, user })),
        escrowed: recipients.length > 0 || keys[0]?.confirmed === true,
      };
    },
    async exportSheet(file) {
      if ((await backups.keys()).length === 0) await store(makeKeyId(), makePassphrase());
      const keys = await sheetKeys();
      await writeNew(file, writeSheet(keys, new Date(clock.now()).toISOString()));
      return { keys: keys.length };
    },
    async confirm(word) {
      const keys = await sheetKeys();
      if (keys.length === 0)
        throw new AppError('BACKUP_KEY_MISSING', {
          message: 'There is no key yet.',
          fix: 'Make and print one: capstan key export --to FILE.',
        });
      if (word.trim().toLowerCase() !== confirmationWord(keys))
        throw new AppError('CONFIRMATION_WRONG', {
          message: 'That is not the confirmation word of the newest recovery sheet.',
          fix: 'Read it from the sheet; after a rotation export a new sheet first.',
        });
      await backups.confirmKeys(keys.map(({ keyId }) => keyId));
      return { confirmed: keys.length };
    },
    async importSheet(text) {
      const keys = readSheet(text);
      for (const { keyId, version, passphrase } of keys) await store(keyId, passphrase, version);
      await backups.confirmKeys(keys.map(({ keyId }) => keyId));
      return { imported: keys.map(({ keyId }) => keyId) };
    },
    async rotate(reference) {
      const given = reference === undefined ? undefined : await revealed(vault, reference);
      if (given !== undefined && (given.length < shortest || /[\r\n]/.test(given) || given.trim() !== given))
        throw new AppError('PASSPHRASE_WEAK', {
          message: `A passphrase of one's own has at least ${shortest} characters in one line, without space at its ends.`,
          fix: 'Take a longer one, or leave it out: Capstan makes one of 198 bits.',
        });
      const { keyId, version } = await store(makeKeyId(), given ?? makePassphrase());
      return { keyId, version };
    },
    async addRecipient(armored) {
      const { describeRecipient } = await import('./effects/backup/encryption.ts');
      const found = await describeRecipient(armored);
      await backups.addRecipient({ ...found, armored });
      return found;
    },
    removeRecipient: (fingerprint) => backups.removeRecipient(fingerprint),
  };
}

async function revealed(vault: Deps['desk']['vault'], reference: string): Promise<string> {
  const { reference: kept, staged } = await vault.handOver(reference, 'backup-keys', 'passphrase');
  return vault.reveal(kept, staged ? [staged] : []);
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    const exists = cause instanceof Error && 'code' in cause && cause.code === 'EEXIST';
    throw new AppError(exists ? 'FILE_EXISTS' : 'FILE_UNWRITABLE', {
      message: exists ? `The file ${path} exists already.` : `The file ${path} cannot be written.`,
      fix: 'Name a new file in a folder that you can write to.',
      cause,
    });
  }
}
