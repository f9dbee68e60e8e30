/** What is known here of backups: where they lie, the keys that open them, the index, the schedules. */
import { and, asc, desc, eq, isNull, lte } from 'drizzle-orm';
import type { BackupKeyRow, BackupRow, StagedSecret } from '../engine/ports.ts';
import { AppError } from '../errors.ts';
import type { Connection } from './sqlite/database.ts';
import { backupKeys, backupRecipients, backupSchedules, backupStores, backups, secrets } from './sqlite/schema.ts';

/** A folder of this machine, or a bucket of an S3-compatible store; both secrets are references. */
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
export type StoreRow = { name: string; record: StoreRecord };
export type KeyRow = BackupKeyRow & { confirmedAt: number | null; createdAt: number };
export type RecipientRow = { fingerprint: string; user: string; armored: string; createdAt: number };
export type ScheduleRecord = { cron: string; timezone: string; workflow: string; input: Record<string, unknown> };
export type ScheduleRow = { name: string; record: ScheduleRecord; dueAt: number; last: unknown; createdAt: number };

export type BackupBook = {
  stores(): Promise<StoreRow[]>;
  /** Throws STORE_UNKNOWN naming the known ones. */
  store(name: string): Promise<StoreRow>;
  /** Throws STORE_EXISTS. */
  addStore(row: StoreRow, staged: StagedSecret[]): Promise<void>;
  /** Throws STORE_IN_USE while the index names it. */
  removeStore(name: string): Promise<void>;
  /** Newest version first. */
  keys(): Promise<KeyRow[]>;
  /** The number is the next free one; the same key twice is one. Returns it. */
  addKey(key: { keyId: string; secret: string; version?: number }, staged: StagedSecret[]): Promise<KeyRow>;
  confirmKeys(keyIds: readonly string[]): Promise<void>;
  recipients(): Promise<RecipientRow[]>;
  addRecipient(row: Omit<RecipientRow, 'createdAt'>): Promise<void>;
  removeRecipient(fingerprint: string): Promise<boolean>;
  /** Newest first. */
  backups(target?: string): Promise<BackupRow[]>;
  /** Throws BACKUP_UNKNOWN. */
  backup(id: string): Promise<BackupRow>;
  /** Takes a backup into the index that was made elsewhere. */
  adopt(row: BackupRow): Promise<void>;
  schedules(): Promise<ScheduleRow[]>;
  saveSchedule(row: Omit<ScheduleRow, 'createdAt' | 'last'>): Promise<void>;
  removeSchedule(name: string): Promise<boolean>;
  /** Of several processes one gets it: moves `dueAt` on when it still is what was seen. */
  takeSchedule(name: string, seenDueAt: number, nextDueAt: number): Promise<boolean>;
  noteSchedule(name: string, last: unknown): Promise<void>;
  schedulesDue(at: number): Promise<ScheduleRow[]>;
};

/** `localFolder` is the store `local`, which every home has. */
export function createBackupBook({ read, write }: Connection, now: () => number, localFolder: string): BackupBook {
  const local: StoreRow = { name: 'local', record: { kind: 'folder', folder: localFolder } };
  const stored = (): Promise<StoreRow[]> => read((db) => db.select().from(backupStores).orderBy(asc(backupStores.name)).all().map(toStore));
  const allStores = async () => [local, ...(await stored())];
  return {
    stores: allStores,
    async store(name) {
      const all = await allStores();
      const found = all.find((row) => row.name === name);
      if (found) return found;
      throw new AppError('STORE_UNKNOWN', {
        message: `There is no backup store named ${JSON.stringify(name.slice(0, 60))}.`,
        fix: `Known are: ${all.map((row) => row.name).join(', ')}. The owner adds one at a terminal: capstan backups store-add NAME.`,
      });
    },
    addStore: (row, staged) =>
      write((db) => {
        if (row.name === local.name || db.select().from(backupStores).where(eq(backupStores.name, row.name)).get())
          throw new AppError('STORE_EXISTS', {
            message: `There is a backup store named ${row.name} already.`,
            fix: `Take another name, or remove it first: capstan backups store-remove ${row.name}.`,
          });
        keepSecrets(db, staged, now());
        db.insert(backupStores)
          .values({ ...row, createdAt: now() })
          .run();
      }),
    async removeStore(name) {
      await this.store(name);
      await write((db) => {
        const used = db.select({ id: backups.id }).from(backups).where(eq(backups.store, name)).all().length;
        if (used > 0)
          throw new AppError('STORE_IN_USE', {
            message: `The store ${name} holds ${used} backups of the index.`,
            fix: 'Remove these backups first by the workflow cleanup-backups, or keep the store.',
          });
        db.delete(backupStores).where(eq(backupStores.name, name)).run();
      });
    },
    keys: () => read((db) => db.select().from(backupKeys).orderBy(desc(backupKeys.version)).all()),
    addKey: (key, staged) =>
      write((db) => {
        const rows = db.select().from(backupKeys).all();
        const known = rows.find((row) => row.keyId === key.keyId);
        if (known) return known;
        keepSecrets(db, staged, now());
        const taken = rows.some((row) => row.version === key.version);
        const version = key.version !== undefined && !taken ? key.version : Math.max(0, ...rows.map((row) => row.version)) + 1;
        const row = { keyId: key.keyId, version, secret: key.secret, confirmedAt: null, createdAt: now() };
        db.insert(backupKeys).values(row).run();
        return row;
      }),
    async confirmKeys(keyIds) {
      await write((db) => {
        for (const keyId of keyIds)
          db.update(backupKeys)
            .set({ confirmedAt: now() })
            .where(and(eq(backupKeys.keyId, keyId), isNull(backupKeys.confirmedAt)))
            .run();
      });
    },
    recipients: () => read((db) => db.select().from(backupRecipients).orderBy(asc(backupRecipients.createdAt)).all()),
    async addRecipient(row) {
      await write((db) =>
        db
          .insert(backupRecipients)
          .values({ ...row, createdAt: now() })
          .onConflictDoUpdate({ target: backupRecipients.fingerprint, set: row })
          .run(),
      );
    },
    removeRecipient: (fingerprint) =>
      write((db) => db.delete(backupRecipients).where(eq(backupRecipients.fingerprint, fingerprint)).run().changes > 0),
    backups: (target) =>
      read((db) =>
        db
          .select()
          .from(backups)
          .where(target === undefined ? undefined : eq(backups.target, target))
          .orderBy(desc(backups.madeAt), desc(backups.id))
          .all()
          .map(toBackup),
      ),
    async backup(id) {
      const row = await read((db) => db.select().from(backups).where(eq(backups.id, id)).get());
      if (row) return toBackup(row);
      throw new AppError('BACKUP_UNKNOWN', {
        message: `There is no backup ${JSON.stringify(id.slice(0, 80))} in the index.`,
        fix: 'List them: capstan backups list, or the tool list_backups (serve --toolsets backups). Those of a target that were made elsewhere are taken in by: capstan backups adopt --target TARGET --store STORE.',
      });
    },
    async adopt(row) {
      await write((db) => db.insert(backups).values(row).onConflictDoUpdate({ target: backups.id, set: row }).run());
    },
    schedules: () => read((db) => db.select().from(backupSchedules).orderBy(asc(backupSchedules.name)).all().map(toSchedule)),
    async saveSchedule(row) {
      await write((db) =>
        db
          .insert(backupSchedules)
          .values({ ...row, createdAt: now() })
          .onConflictDoUpdate({ target: backupSchedules.name, set: row })
          .run(),
      );
    },
    removeSchedule: (name) => write((db) => db.delete(backupSchedules).where(eq(backupSchedules.name, name)).run().changes > 0),
    takeSchedule: (name, seenDueAt, nextDueAt) =>
      write(
        (db) =>
          db
            .update(backupSchedules)
            .set({ dueAt: nextDueAt })
            .where(and(eq(backupSchedules.name, name), eq(backupSchedules.dueAt, seenDueAt)))
            .run().changes > 0,
      ),
    async noteSchedule(name, last) {
      await write((db) => db.update(backupSchedules).set({ last }).where(eq(backupSchedules.name, name)).run());
    },
    schedulesDue: (at) => read((db) => db.select().from(backupSchedules).where(lte(backupSchedules.dueAt, at)).all().map(toSchedule)),
  };
}

type Db = Parameters<Parameters<Connection['write']>[0]>[0];

function keepSecrets(db: Db, staged: readonly StagedSecret[], at: number): void {
  for (const { nonce, ciphertext, ...secret } of staged)
    db.insert(secrets)
      .values({ ...secret, nonce: Buffer.from(nonce), ciphertext: Buffer.from(ciphertext), createdAt: at })
      .run();
}

function toStore({ name, record }: typeof backupStores.$inferSelect): StoreRow {
  return { name, record: record as StoreRecord }; // written by addStore alone
}

function toSchedule(row: typeof backupSchedules.$inferSelect): ScheduleRow {
  return { ...row, record: row.record as ScheduleRecord }; // written by saveSchedule alone
}

function toBackup({ runId: _, ...row }: typeof backups.$inferSelect): BackupRow {
  return row;
}
