/** The ledger's tables (design §3). Times are integers in ms; JSON columns are text. Columns that later issues fill are here from migration 0 on. */
import { sql } from 'drizzle-orm';
import { blob, index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';
import type {
  ApprovalLevel,
  ApprovalRow,
  CheckpointRow,
  EffectRow,
  EffectStatus,
  EventSource,
  Outside,
  RollbackRecord,
  RunPhase,
} from '../../engine/ports.ts';
import type { ErrorRecord } from '../../errors.ts';

const json = <T>(name: string) => text(name, { mode: 'json' }).$type<T>();
const flag = (name: string) => integer(name, { mode: 'boolean' });

export const meta = sqliteTable('meta', { key: text('key').primaryKey(), value: text('value').notNull() });

export const definitions = sqliteTable(
  'definitions',
  {
    workflow: text('workflow').notNull(),
    hash: text('hash').notNull(),
    revision: integer('revision').notNull(),
    config: json<unknown>('config').notNull(),
    registeredAt: integer('registered_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.workflow, t.hash] })],
);

export const runs = sqliteTable(
  'runs',
  {
    id: text('id').primaryKey(),
    workflow: text('workflow').notNull(),
    definitionHash: text('definition_hash').notNull(),
    name: text('name').notNull(),
    phase: text('phase').$type<RunPhase>().notNull(),
    version: integer('version').notNull(),
    state: text('state').notNull(),
    snapshot: json<unknown>('snapshot').notNull(),
    output: json<unknown>('output'),
    error: json<ErrorRecord>('error'),
    held: flag('held').notNull().default(false),
    attention: json<ErrorRecord>('attention'),
    rollback: json<RollbackRecord>('rollback'),
    principal: text('principal').notNull(),
    traceId: text('trace_id').notNull(),
    /** E12. */
    parentId: text('parent_id'),
    parentKey: text('parent_key'),
    settledCount: integer('settled_count').notNull().default(0),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (t) => [index('runs_phase').on(t.phase, t.updatedAt), index('runs_name').on(t.name), index('runs_parent').on(t.parentId)],
);

export const events = sqliteTable(
  'events',
  {
    runId: text('run_id')
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    seq: integer('seq').notNull(),
    type: text('type').notNull(),
    payload: json<unknown>('payload'),
    source: text('source').$type<EventSource>().notNull(),
    principal: text('principal'),
    effectKey: text('effect_key'),
    delivered: flag('delivered').notNull(),
    state: text('state').notNull(),
    at: integer('at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.runId, t.seq] })],
);

export const effects = sqliteTable(
  'effects',
  {
    key: text('key').primaryKey(),
    runId: text('run_id')
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    kind: text('kind').$type<EffectRow['kind']>().notNull(),
    undoOf: text('undo_of'),
    entrySeq: integer('entry_seq').notNull(),
    invokeId: text('invoke_id').notNull(),
    contract: text('contract').notNull(),
    input: json<unknown>('input'),
    output: json<unknown>('output'),
    error: json<ErrorRecord>('error'),
    status: text('status').$type<EffectStatus>().notNull(),
    outside: text('outside').$type<Outside>().notNull(),
    failing: json<ErrorRecord>('failing'),
    attention: json<ErrorRecord>('attention'),
    /** Encrypted (S3). */
    before: blob('before', { mode: 'buffer' }),
    attempt: integer('attempt').notNull().default(0),
    probes: integer('probes').notNull().default(0),
    worker: text('worker'),
    token: text('token'),
    lastSignAt: integer('last_sign_at'),
    notBefore: integer('not_before').notNull().default(0),
    progress: json<EffectRow['progress']>('progress'),
    /** E10. */
    locks: json<string[]>('locks'),
    createdAt: integer('created_at').notNull(),
    startedAt: integer('started_at'),
    settledAt: integer('settled_at'),
    settledSeq: integer('settled_seq'),
  },
  (t) => [
    index('effects_run').on(t.runId, t.entrySeq),
    index('effects_due').on(t.notBefore).where(sql`status in ('intent', 'cancelling') and worker is null and attention is null`),
    index('effects_owned').on(t.worker).where(sql`worker is not null`),
    index('effects_open').on(t.runId).where(sql`status in ('intent', 'running', 'cancelling')`),
  ],
);

export const attempts = sqliteTable(
  'attempts',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    key: text('key')
      .notNull()
      .references(() => effects.key, { onDelete: 'cascade' }),
    n: integer('n').notNull(),
    step: text('step').notNull(),
    result: text('result').notNull(),
    at: integer('at').notNull(),
  },
  (t) => [index('attempts_key').on(t.key)],
);

export const timers = sqliteTable(
  'timers',
  {
    runId: text('run_id')
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    timerId: text('timer_id').notNull(),
    dueAt: integer('due_at').notNull(),
    armedSeq: integer('armed_seq').notNull(),
    event: json<{ type: string }>('event').notNull(),
  },
  (t) => [primaryKey({ columns: [t.runId, t.timerId] }), index('timers_due').on(t.dueAt)],
);

export const checkpoints = sqliteTable(
  'checkpoints',
  {
    runId: text('run_id')
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    seq: integer('seq').notNull(),
    name: text('name').notNull(),
    state: text('state').notNull(),
    definitionHash: text('definition_hash').notNull(),
    snapshot: json<unknown>('snapshot').notNull(),
    timers: json<CheckpointRow['timers']>('timers').notNull(),
    at: integer('at').notNull(),
    voided: flag('voided').notNull().default(false),
  },
  (t) => [primaryKey({ columns: [t.runId, t.seq] })],
);

export const approvals = sqliteTable(
  'approvals',
  {
    id: text('id').primaryKey(),
    runId: text('run_id')
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    kind: text('kind').$type<ApprovalRow['kind']>().notNull(),
    version: integer('version').notNull(),
    event: text('event').notNull(),
    payload: json<unknown>('payload'),
    payloadHash: text('payload_hash').notNull(),
    definitionHash: text('definition_hash').notNull(),
    planHash: text('plan_hash').notNull(),
    statement: text('statement').notNull(),
    requestedBy: text('requested_by').notNull(),
    requestKey: text('request_key'),
    status: text('status').$type<ApprovalRow['status']>().notNull(),
    level: text('level').$type<ApprovalLevel>(),
    grantedBy: text('granted_by'),
    signature: text('signature'),
    expiresAt: integer('expires_at').notNull(),
    createdAt: integer('created_at').notNull(),
    consumedSeq: integer('consumed_seq'),
  },
  (t) => [index('approvals_run').on(t.runId, t.createdAt)],
);

export const requests = sqliteTable(
  'requests',
  {
    principal: text('principal').notNull(),
    key: text('key').notNull(),
    payloadHash: text('payload_hash').notNull(),
    runId: text('run_id')
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    seq: integer('seq').notNull(),
    at: integer('at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.principal, t.key] })],
);

export const secrets = sqliteTable(
  'secrets',
  {
    id: text('id').primaryKey(),
    scope: text('scope').notNull(),
    name: text('name').notNull(),
    keyId: text('key_id').notNull(),
    nonce: blob('nonce', { mode: 'buffer' }).notNull(),
    ciphertext: blob('ciphertext', { mode: 'buffer' }).notNull(),
    /** Which effect made it; a rollback past it retires it (S5). */
    runId: text('run_id'),
    madeSeq: integer('made_seq'),
    createdAt: integer('created_at').notNull(),
    retiredAt: integer('retired_at'),
  },
  (t) => [index('secrets_scope').on(t.scope, t.name), index('secrets_run').on(t.runId, t.madeSeq)],
);

export const artifacts = sqliteTable('artifacts', {
  id: text('id').primaryKey(),
  role: text('role').notNull(),
  media: text('media').notNull(),
  keyId: text('key_id').notNull(),
  bytes: integer('bytes').notNull(),
  status: text('status').$type<'pending' | 'stored'>().notNull(),
  runId: text('run_id'),
  createdAt: integer('created_at').notNull(),
});

export const dokploys = sqliteTable('dokploys', {
  name: text('name').primaryKey(),
  url: text('url').notNull(),
  keySecret: text('key_secret').notNull(),
  options: json<unknown>('options').notNull(),
  createdAt: integer('created_at').notNull(),
});

export const targets = sqliteTable('targets', {
  name: text('name').primaryKey(),
  kind: text('kind').notNull(),
  tags: json<string[]>('tags').notNull(),
  record: json<unknown>('record').notNull(),
  createdAt: integer('created_at').notNull(),
});

export const audit = sqliteTable(
  'audit',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    at: integer('at').notNull(),
    principal: text('principal').notNull(),
    door: text('door').notNull(),
    level: text('level'),
    action: text('action').notNull(),
    runId: text('run_id'),
    outcome: text('outcome').notNull(),
  },
  (t) => [index('audit_at').on(t.at)],
);

/** E10: taken in the commit of the first mutating intent. */
export const locks = sqliteTable('locks', {
  name: text('name').primaryKey(),
  runId: text('run_id').notNull(),
  takenAt: integer('taken_at').notNull(),
});

/** E11: token buckets shared by all processes. */
export const rates = sqliteTable('rates', {
  name: text('name').primaryKey(),
  tokens: real('tokens').notNull(),
  at: integer('at').notNull(),
});

/** Bearer tokens of the HTTP door, each by the hash of its secret half; the name is the principal `token:<name>` (design §5). */
export const tokens = sqliteTable('tokens', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  hash: text('hash').notNull(),
  role: text('role').notNull(),
  /** Null: all. */
  targets: json<string[] | null>('targets'),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at'),
  revokedAt: integer('revoked_at'),
});

/** A run belongs to the principal that started it, and to those with whom it is shared; `*` is everybody (design §5). */
export const runShares = sqliteTable(
  'run_shares',
  {
    runId: text('run_id')
      .notNull()
      .references(() => runs.id, { onDelete: 'cascade' }),
    principal: text('principal').notNull(),
  },
  (t) => [primaryKey({ columns: [t.runId, t.principal] })],
);

/** Where backups lie, by name; `record` holds the place, its secrets as references. */
export const backupStores = sqliteTable('backup_stores', {
  name: text('name').primaryKey(),
  record: json<unknown>('record').notNull(),
  createdAt: integer('created_at').notNull(),
});

/** Passphrases of backups, each by its number; the secret is a reference. Confirmed: a person has shown the recovery sheet. */
export const backupKeys = sqliteTable(
  'backup_keys',
  {
    keyId: text('key_id').primaryKey(),
    version: integer('version').notNull(),
    secret: text('secret').notNull(),
    confirmedAt: integer('confirmed_at'),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [uniqueIndex('backup_keys_version').on(t.version)],
);

/** Public keys that open every backup from now on. */
export const backupRecipients = sqliteTable('backup_recipients', {
  fingerprint: text('fingerprint').primaryKey(),
  user: text('user').notNull(),
  armored: text('armored').notNull(),
  createdAt: integer('created_at').notNull(),
});

/** The index of backups; it belongs to the target, not to a run (design §4). */
export const backups = sqliteTable(
  'backups',
  {
    id: text('id').primaryKey(),
    target: text('target').notNull(),
    store: text('store').notNull(),
    kind: text('kind').notNull(),
    keyId: text('key_id').notNull(),
    bytes: integer('bytes').notNull(),
    manifestSha256: text('manifest_sha256').notNull(),
    manifest: json<unknown>('manifest').notNull(),
    runId: text('run_id'),
    madeAt: integer('made_at').notNull(),
    verifiedAt: integer('verified_at'),
  },
  (t) => [index('backups_target').on(t.target, t.madeAt)],
);

/** Backups that a worker starts by the clock; `dueAt` moves on in the commit that takes one. */
export const backupSchedules = sqliteTable('backup_schedules', {
  name: text('name').primaryKey(),
  record: json<unknown>('record').notNull(),
  dueAt: integer('due_at').notNull(),
  last: json<unknown>('last'),
  createdAt: integer('created_at').notNull(),
});
