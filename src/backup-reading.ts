/** The plain reads and single-step writes about backups, for every door. */

import { type BackupKeys, createBackupKeys } from './backup-keys.ts';
import type { Desk } from './desk.ts';
import type { EffectContext } from './effects/handler.ts';
import type { Clock, Vault } from './engine/ports.ts';
import type { BackupBook } from './store/backup-book.ts';

export type BackupSummary = {
  id: string;
  target: string;
  store: string;
  kind: string;
  keyId: string;
  bytes: number;
  madeAt: string;
  verifiedAt: string | null;
};
export type BackupVerdict = { id: string; files: number; bytes: number; tables: number; rows: number; tookMs: number };

export type BackupReading = {
  backupKeys: BackupKeys;
  /** True when somebody else than this machine can open the backups to come. */
  keyEscrowed(): Promise<boolean>;
  /** Takes every backup of a target into the index that lies in the store and is signed with a key of this home; returns their ids. */
  adoptBackups(target: string, store: string): Promise<string[]>;
  listBackups(target?: string): Promise<BackupSummary[]>;
  /** Throws at the first file that is not as it was written. */
  verifyBackup(id: string, signal?: AbortSignal, progress?: (say: string, percent?: number) => void): Promise<BackupVerdict>;
};

type Deps = { desk: Pick<Desk, 'backups' | 'vault' | 'registry'>; clock: Pick<Clock, 'now'> };

export function createBackupReading({ desk, clock }: Deps): BackupReading {
  const backupKeys = createBackupKeys({ desk, clock });
  return {
    backupKeys,
    keyEscrowed: async () => (await backupKeys.list()).escrowed,
    async adoptBackups(target, store) {
      const { readForeignBackups } = await import('./effects/backup/adopt.ts');
      const rows = await readForeignBackups({ backups: desk.backups }, (reference) => desk.vault.reveal(reference), target, store);
      for (const row of rows) await desk.backups.adopt(row);
      return rows.map(({ id }) => id);
    },
    async listBackups(target) {
      return (await desk.backups.backups(target)).map(({ manifest: _, manifestSha256: __, madeAt, verifiedAt, ...row }) => ({
        ...row,
        madeAt: new Date(madeAt).toISOString(),
        verifiedAt: verifiedAt === null ? null : new Date(verifiedAt).toISOString(),
      }));
    },
    async verifyBackup(id, signal = new AbortController().signal, progress = () => undefined) {
      const [{ openBackup, verifyFiles }] = await Promise.all([import('./effects/backup/verify.ts')]);
      const began = clock.now();
      const row = await desk.backups.backup(id);
      const ctx = readingContext(desk, clock, signal, progress);
      const opened = await openBackup({ backups: desk.backups }, ctx, row);
      const { tables, rows } = await verifyFiles(ctx, opened);
      await desk.backups.adopt({ ...row, verifiedAt: clock.now() });
      return { id, files: opened.manifest.files.length, bytes: row.bytes, tables, rows, tookMs: clock.now() - began };
    },
  };
}

/** What reading a backup needs of a context; it stages nothing and asks no other system. */
function readingContext(
  desk: { vault: Pick<Vault, 'reveal'>; backups: BackupBook },
  clock: Pick<Clock, 'now'>,
  signal: AbortSignal,
  progress: (say: string, percent?: number) => void,
): Pick<EffectContext, 'secrets' | 'signal' | 'now' | 'progress'> {
  return {
    signal,
    now: clock.now,
    progress,
    secrets: {
      reveal: (reference) => desk.vault.reveal(reference),
      mint() {
        throw new TypeError('reading a backup makes no secret');
      },
    },
  };
}
