import { z } from 'zod';
import { defineEffect } from './contract.ts';
import { quickRead, warning } from './shapes.ts';

/** Contracts of making, proving and removing backups. Passphrases and connection strings are never in here, only the names of keys, stores and targets. */

export const backupKinds = z.enum(['full', 'schema', 'data']);
export const partKinds = z.enum(['roles', 'database', 'storage', 'functions', 'environment', 'vault-key']);
export const codecs = z.enum(['zstd', 'gzip']);

export const targetName = z.string().min(1).max(64).describe('Name of a registered target (list_targets)');
export const storeName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'give the name of a backup store')
  .describe('Name of a backup store (capstan backups stores); left out: local, a folder of this home');
export const backupId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$/, 'give the id of a backup')
  .describe('Id of a backup (list_backups)');

/** One file of a backup to be, and what it is made from. */
export const plannedPart = z.object({
  part: z.string(),
  kind: partKinds,
  database: z.string().nullable(),
  file: z.string(),
  /** Guess of the uncompressed bytes; null where nobody can tell. */
  expectBytes: z.number().int().min(0).nullable(),
});
export type PlannedPart = z.infer<typeof plannedPart>;

export const writtenFile = z.object({
  path: z.string(),
  role: z.enum(['data', 'contents']),
  bytes: z.number().int(),
  rawBytes: z.number().int(),
  sha256: z.string(),
});

export const missingPart = z.object({ part: z.string(), why: z.string() });

export const writtenPart = z.object({
  part: z.string(),
  kind: partKinds,
  database: z.string().nullable(),
  files: z.array(writtenFile),
  tables: z.number().int().nullable(),
  rows: z.number().int().nullable(),
  /** What of the part could not be read. */
  missing: z.array(missingPart),
  firstByteMs: z.number().int(),
  tookMs: z.number().int(),
});

export const backupPlan = z.object({
  id: z.string(),
  target: z.string(),
  store: z.string(),
  kind: backupKinds,
  codec: codecs,
  keyId: z.string(),
  server: z.object({ version: z.string(), major: z.number().int(), superuser: z.boolean() }),
  parts: z.array(plannedPart).min(1),
  missing: z.array(missingPart),
  /** Image by service, as the compose text and the environment say; empty where there is no Dokploy to ask. */
  services: z.record(z.string(), z.string()),
  expectBytes: z.number().int(),
  pointInTime: z.object({ archiving: z.boolean(), missing: z.array(z.string()) }),
  warnings: z.array(warning),
});

/** One backup at a time per target, and none while a restore works on it (engine.md E10). */
const targetLock = (input: { target: string }): string[] => [`target:${input.target}`];

/** Long streams; what follows a lost answer is settled once the last connection can have ended. */
export const longStream = {
  timeoutMs: 12 * 60 * 60_000,
  deadlineMs: 24 * 60 * 60_000,
  settleMs: 30_000,
  retry: { attempts: 4, baseMs: 2_000, maxMs: 60_000 },
};

/** Makes the first passphrase of this home, once. */
export const prepareKey = defineEffect({
  name: 'backup.prepareKey@1',
  title: 'Prepare the key of the backups',
  local: true,
  timeoutMs: 30_000,
  deadlineMs: 60_000,
  input: z.object({}),
  output: z.object({ keyId: z.string(), version: z.number().int(), made: z.boolean(), warnings: z.array(warning) }),
});

export const planBackup = defineEffect({
  name: 'backup.planBackup@1',
  title: 'Look what there is to back up',
  readOnly: true,
  ...quickRead,
  timeoutMs: 60_000,
  deadlineMs: 180_000,
  input: z.object({
    target: z.string(),
    store: z.string(),
    kind: backupKinds,
    parts: z.array(partKinds).nullable(),
    keyId: z.string(),
  }),
  output: backupPlan,
});

export const writePart = defineEffect({
  name: 'backup.writePart@1',
  title: 'Write a part of the backup',
  ...longStream,
  onPartial: 'rerun',
  locks: targetLock,
  input: backupPlan.pick({ id: true, target: true, store: true, kind: true, codec: true, keyId: true }).extend({ part: plannedPart }),
  output: writtenPart,
});

/** The manifest in the store and the row in the index: from here on it is a backup. */
export const publishBackup = defineEffect({
  name: 'backup.publish@1',
  title: 'Enter the backup in the index',
  timeoutMs: 60_000,
  deadlineMs: 30 * 60_000,
  settleMs: 30_000,
  retry: { attempts: 6, baseMs: 1_000, maxMs: 20_000 },
  locks: targetLock,
  input: backupPlan.omit({ expectBytes: true, warnings: true, parts: true }).extend({ written: z.array(writtenPart) }),
  output: z.object({ id: z.string(), bytes: z.number().int(), files: z.number().int(), manifestSha256: z.string(), place: z.string() }),
});

/** Hash, decryption to nothing, `pg_restore -l`: every file of a backup, applied nowhere. */
export const verifyBackup = defineEffect({
  name: 'backup.verify@1',
  title: 'Verify the backup',
  readOnly: true,
  timeoutMs: 12 * 60 * 60_000,
  deadlineMs: 24 * 60 * 60_000,
  retry: { attempts: 3, baseMs: 2_000, maxMs: 60_000 },
  input: z.object({ id: z.string() }),
  output: z.object({
    files: z.number().int(),
    bytes: z.number().int(),
    tables: z.number().int(),
    rows: z.number().int(),
    tookMs: z.number().int(),
  }),
});

/** Removes what was written of a backup that is not finished. */
export const discardBackup = defineEffect({
  name: 'backup.discard@1',
  title: 'Remove the unfinished backup',
  timeoutMs: 120_000,
  deadlineMs: 30 * 60_000,
  settleMs: 30_000,
  retry: { attempts: 6, baseMs: 1_000, maxMs: 20_000 },
  onPartial: 'rerun',
  locks: targetLock,
  leaves: 'What was removed of the unfinished backup is not brought back.',
  input: z.object({ id: z.string(), target: z.string(), store: z.string() }),
  output: z.object({ removed: z.number().int() }),
});
