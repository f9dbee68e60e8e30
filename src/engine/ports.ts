import type { ErrorRecord } from '../errors.ts';

/** What the engine asks of the world. Ports take and give plain data, never functions of the engine's (C, design §9). */

export type RunPhase = 'active' | 'rolling_back' | 'done' | 'failed' | 'cancelled';

export type RunRow = {
  id: string;
  workflow: string;
  definitionHash: string;
  /** What a person types to approve (A2): the name given at start, else workflow and a short id. */
  name: string;
  phase: RunPhase;
  /** Sequence of the run's last event; start is 1 and it never goes back (P4). */
  version: number;
  /** State value as text, such as `review` or `deploying.waiting`. */
  state: string;
  snapshot: unknown;
  output: unknown;
  error: ErrorRecord | null;
  held: boolean;
  attention: ErrorRecord | null;
  rollback: RollbackRecord | null;
  principal: string;
  traceId: string;
  /** The run and the effect that this run is a part of (E12). */
  parentId: string | null;
  parentKey: string | null;
  createdAt: number;
  updatedAt: number;
};

export type RollbackRecord = {
  /** Sequence of the checkpoint to go back to; 0 is the start. */
  to: number;
  stage: 'draining' | 'undoing' | 'abandoned';
  /** Effect keys shown when it was approved; a frozen list that is no subset asks again (B2). */
  approved: string[];
  principal: string;
  requestedAt: number;
};

export type EventSource = 'principal' | 'effect' | 'timer' | 'engine';

export type EventRow = {
  runId: string;
  seq: number;
  type: string;
  payload: unknown;
  source: EventSource;
  principal: string | null;
  effectKey: string | null;
  /** False for an outcome that the machine could not take (C5). */
  delivered: boolean;
  state: string;
  at: number;
};

export type EffectStatus = 'intent' | 'running' | 'cancelling' | 'done' | 'failed' | 'cancelled' | 'undone';

/** What is known about the outside: `maybe` is doubt (E2); `absent` is proven. */
export type Outside = 'untouched' | 'maybe' | 'applied' | 'absent' | 'undone';

export type EffectRow = {
  /** `run:entry:invoke` (P4), or `undo:` and the key that is undone. */
  key: string;
  runId: string;
  /** Of its run: one trace through a run, its effects and its child runs (L3). */
  traceId: string;
  kind: 'do' | 'undo';
  undoOf: string | null;
  /** Sequence of the entry event; for an undo the place in the frozen list, 1 is first. */
  entrySeq: number;
  invokeId: string;
  contract: string;
  input: unknown;
  output: unknown;
  error: ErrorRecord | null;
  status: EffectStatus;
  outside: Outside;
  /** Set when attempts are used up or refused while in doubt: probe once more, then fail with this (E2). */
  failing: ErrorRecord | null;
  attention: ErrorRecord | null;
  hasBefore: boolean;
  attempt: number;
  probes: number;
  worker: string | null;
  token: string | null;
  /** Last sign of life of an attempt that could change the outside (E3). */
  lastSignAt: number | null;
  notBefore: number;
  progress: { say: string; percent?: number; at: number } | null;
  createdAt: number;
  startedAt: number | null;
  settledAt: number | null;
  /** Order of settlement within the run; rollback undoes the highest first (B2). */
  settledSeq: number | null;
};

export type TimerRow = { runId: string; timerId: string; dueAt: number; armedSeq: number; event: { type: string } };

export type CheckpointRow = {
  runId: string;
  seq: number;
  name: string;
  state: string;
  definitionHash: string;
  snapshot: unknown;
  /** Timers with the time that was left, re-armed by a rollback (T2). */
  timers: { timerId: string; leftMs: number; event: { type: string } }[];
  at: number;
  voided: boolean;
};

/** How a person's yes was proven (A2), weakest first: an agent's word proves none; `page` is the run's name typed into the approval page. */
export type ApprovalLevel = 'agent-vouched' | 'client-vouched' | 'page' | 'terminal' | 'sealed' | 'rule';

export type ApprovalRow = {
  id: string;
  runId: string;
  kind: 'advance' | 'rollback' | 'cancel';
  /** Version of the run that it was asked at; another version makes it stale (A1). */
  version: number;
  event: string;
  payload: unknown;
  payloadHash: string;
  definitionHash: string;
  /** Hash of the plan artifact or of the undo list. */
  planHash: string;
  /** What the person is told, made by us alone. */
  statement: string;
  requestedBy: string;
  /** The request key of whoever asked, so that asking again answers with the view (C6). */
  requestKey: string | null;
  status: 'requested' | 'granted' | 'consumed' | 'void';
  level: ApprovalLevel | null;
  grantedBy: string | null;
  signature: string | null;
  expiresAt: number;
  createdAt: number;
};

export type StagedSecret = { id: string; scope: string; name: string; keyId: string; nonce: Uint8Array; ciphertext: Uint8Array };
export type StagedArtifact = { id: string; role: string; media: string; keyId: string; bytes: number };
export type StagedTarget = { name: string; kind: string; tags: string[]; record: unknown };

/** One row of the backup index; `manifest` is the one that lies with the backup. */
export type BackupRow = {
  id: string;
  target: string;
  store: string;
  kind: string;
  keyId: string;
  bytes: number;
  manifestSha256: string;
  manifest: unknown;
  /** When it was made, and when it was last found whole; ms. */
  madeAt: number;
  verifiedAt: number | null;
};
/** A passphrase that backups are encrypted with; the highest version is used, the older ones still open what they wrote. */
export type BackupKeyRow = { keyId: string; version: number; secret: string };
export type StagedBackup = { put: BackupRow } | { forget: string } | { verified: string; at: number } | { key: BackupKeyRow };

/** Writes to our own store that belong to the commit of an outcome (E2 local, S3). */
export type LocalWrites = {
  secrets: StagedSecret[];
  artifacts: StagedArtifact[];
  targets: StagedTarget[];
  backups?: StagedBackup[];
  /** Names of targets that leave the list. */
  forgotten?: string[];
};

export type NewEffect = Pick<EffectRow, 'key' | 'kind' | 'undoOf' | 'entrySeq' | 'invokeId' | 'contract' | 'input'> & {
  /** Names that exclude other runs; all of a run's open ones are taken together, before the first is claimed (E10). */
  locks?: string[];
  /** A child run carries it out: running, without a worker (E12). */
  child?: true;
  /** Born running, owned by the committer (C4). */
  claim?: { worker: string; token: string };
};

export type Closing = {
  key: string;
  /** The fence: another token means the row is somebody else's now (C1). */
  token: string;
  status: 'done' | 'failed' | 'cancelled';
  outside: Outside;
  output?: unknown;
  error?: ErrorRecord;
  writes?: LocalWrites;
};

/** One step of one run: everything or nothing (C1). */
export type Change = {
  runId: string;
  /** Expected version; `new` inserts the run. */
  expect: number | 'new';
  at: number;
  create?: Pick<RunRow, 'workflow' | 'definitionHash' | 'name' | 'principal' | 'traceId'> & Partial<Pick<RunRow, 'parentId' | 'parentKey'>>;
  close?: Closing;
  /** Appended with seq = expect + 1. */
  event?: Omit<EventRow, 'runId' | 'seq' | 'at' | 'state'>;
  run?: Partial<Pick<RunRow, 'phase' | 'state' | 'snapshot' | 'output' | 'error' | 'attention' | 'rollback' | 'held'>>;
  /** Invoke ids whose open effect is stopped; `*` stops every open `do` effect (B2a, B5). */
  stop?: string[] | '*';
  open?: NewEffect[];
  disarm?: string[] | '*';
  arm?: { timerId: string; dueAt: number; event: { type: string } }[];
  /** This very timer row fires in this commit (T1). */
  fired?: { timerId: string; armedSeq: number };
  /** Written if no effect of the run is open after this commit, once per version (T2). */
  checkpoint?: Pick<CheckpointRow, 'name' | 'state' | 'snapshot' | 'definitionHash'>;
  /** The run's locks end with this commit if nothing of it is open then (E10). */
  releases?: true;
  /** Rollback ended: void checkpoints and approvals after this sequence and retire the secrets made since (B3, S5). */
  voidAfter?: number;
  /** Marks these effects as undone together with their undo row. */
  undone?: string[];
  /** Settles still open undo rows of the run as cancelled (B4 abandon). */
  dropUndo?: boolean;
  consume?: { approvalId: string };
  request?: { principal: string; key: string; payloadHash: string };
  /** Changes of other runs that stand or fall with this one: children begun, the parent's outcome (E12). */
  also?: Change[];
  writes?: LocalWrites;
};

export type Conflict = 'version' | 'token' | 'timer' | 'approval' | 'request' | 'exists';
/** Who cares about a commit: only the process that goes on with the run, whoever waits for the run anywhere, or every worker too. */
export type Audience = 'here' | 'watchers' | 'workers';
export type Committed =
  | { ok: true; version: number; claimed: EffectRow[]; audience: Audience }
  | { ok: false; conflict: Conflict; runId: string };

export type RequestRow = { principal: string; key: string; payloadHash: string; runId: string; seq: number };

/** Newest first by creation; `before` is a run id to page on. */
export type RunFilter = { workflow?: string | undefined; limit: number; before?: string | undefined };
export type OpenCounts = { open: number; draining: number; attentionCount: number };
export type RunSummary = Omit<RunRow, 'snapshot'> & OpenCounts;
/** As much of a run as tells whether somebody who waits must look again. */
export type RunGlance = Pick<RunRow, 'version' | 'phase' | 'held' | 'attention'> & OpenCounts & { progressAt: number | null };

export interface Store {
  registerDefinition(row: { workflow: string; hash: string; config: unknown; revision: number }): Promise<void>;
  load(runId: string): Promise<{ run: RunRow; open: EffectRow[]; timers: TimerRow[] } | undefined>;
  /** Cheap enough to be asked at every wake; undefined for a run that is not there. */
  glance(runId: string): Promise<RunGlance | undefined>;
  /** A run id, or a unique prefix of at least 6 characters of it, or a run's name. */
  findRun(reference: string): Promise<string[]>;
  commit(change: Change): Promise<Committed>;
  findRequest(principal: string, key: string): Promise<RequestRow | undefined>;

  /** Due effects of runs whose exact definition this process has (V2), oldest first; undo rows one at a time in order. */
  claimDue(options: {
    worker: string;
    now: number;
    horizonMs: number;
    limit: number;
    definitions: string[];
    token: () => string;
  }): Promise<EffectRow[]>;
  /** Doubt begins: stores the before-image once per key. `count` adds an attempt (a claim in doubt adds none). False when the token no longer fits (E1). */
  launch(key: string, token: string, at: number, options: { count: boolean; before?: Uint8Array }): Promise<boolean>;
  before(key: string): Promise<Uint8Array | undefined>;
  /** When the ledger of this run was found to be older than what it had launched; undefined when never. */
  wentBackAt(runId: string): Promise<number | undefined>;
  /** Progress and sign of life; tells whether a stop was asked. `lost` when the token no longer fits (E5). */
  beat(key: string, token: string, at: number, progress: { say: string; percent?: number } | undefined): Promise<'go' | 'stop' | 'lost'>;
  /** Gives an owned effect back: due again at `notBefore`, or waiting for a person. */
  release(
    key: string,
    token: string,
    row: Partial<Pick<EffectRow, 'outside' | 'failing' | 'attention' | 'notBefore' | 'error' | 'lastSignAt'>> & { probed?: boolean },
  ): Promise<boolean>;
  /** Effects owned by dead workers become claimable again; returns how many (E4). */
  takeOver(deadWorkers: string[]): Promise<number>;
  owners(): Promise<string[]>;
  effect(key: string): Promise<EffectRow | undefined>;
  effects(runId: string): Promise<EffectRow[]>;
  /** Its effects and those of its child runs; these carry the `entrySeq` of the effect that began them here (B2c). */
  effectsOfTree(runId: string): Promise<EffectRow[]>;
  /** The child run that carries out this effect. */
  childOf(effectKey: string): Promise<string | undefined>;
  attempts(runId: string): Promise<{ key: string; n: number; step: string; result: string; at: number }[]>;
  noteAttempt(row: { key: string; n: number; step: 'run' | 'probe' | 'undo'; result: string; at: number }): Promise<void>;
  /** A person's word on an effect that needs attention (B6). */
  resolveEffect(key: string, row: { outside?: Outside; failing?: ErrorRecord | null }): Promise<boolean>;

  events(runId: string, options: { after: number; limit: number }): Promise<EventRow[]>;
  checkpoints(runId: string): Promise<CheckpointRow[]>;
  /** Of runs whose exact definition this process has (V2). */
  dueTimers(now: number, limit: number, definitions: string[]): Promise<TimerRow[]>;
  /** Runs that roll back and have nothing open: their next rollback step is due. */
  rollbacksDue(): Promise<string[]>;
  /** Earliest instant at which something becomes due for a process that has these definitions. */
  nextDue(definitions?: string[], options?: { timersOnly: boolean }): Promise<number | undefined>;
  runs(filter: RunFilter): Promise<RunSummary[]>;
  openCount(): Promise<number>;
  /** Which other runs hold locks that an open effect of this run waits for (E10). */
  blockers(runId: string): Promise<{ lock: string; runId: string; name: string }[]>;
  /** The first effect of another run that took place under one of these locks after this instant (E10). */
  laterUnderLocks(runId: string, locks: string[], after: number): Promise<{ runId: string; name: string; lock: string } | undefined>;

  approvals(runId: string): Promise<ApprovalRow[]>;
  approval(id: string): Promise<ApprovalRow | undefined>;
  saveApproval(row: ApprovalRow): Promise<void>;
  audit(row: {
    at: number;
    principal: string;
    door: string;
    level: string | null;
    action: string;
    runId: string | null;
    outcome: string;
  }): Promise<void>;
}

/** Secrets and artifacts as the engine needs them; the keys stay on the other side of this port (S1). */
export interface Vault {
  readonly keyId: string;
  /** Encrypts JSON bound to a scope; used for before-images (S3). */
  seal(scope: string, value: unknown): Promise<Uint8Array>;
  unseal(scope: string, bytes: Uint8Array): Promise<unknown>;
  /** `env:NAME`, `file:PATH` or `secret:<id>` to a staged secret or the same reference (S2). */
  handOver(reference: string, scope: string, name: string): Promise<{ reference: string; staged?: StagedSecret; fingerprint: string }>;
  /** `id` where the reference was given out before the value came. */
  stageSecret(scope: string, name: string, value: string, id?: string): StagedSecret;
  reveal(reference: string, staged?: readonly StagedSecret[]): Promise<string>;
  stageArtifact(role: string, media: string, text: string): Promise<StagedArtifact>;
  readArtifact(reference: string): Promise<string>;
}

export interface Crypto {
  /** SHA-256 of canonical JSON, hex. */
  hash(value: unknown): string;
  /** Keyed with the home key (A1). */
  sign(text: string): string;
  verify(text: string, signature: string): boolean;
  newId(): string;
  newToken(): string;
}

export interface Clock {
  now(): number;
  /** Resolves early when the signal fires. */
  wait(ms: number, signal?: AbortSignal): Promise<void>;
  /** In [0, 1). */
  random(): number;
}

/** Wakes between processes (D4). */
export interface Wakes {
  /** After a commit. Default: workers too. */
  touch(runId: string, audience?: Audience): void;
  /** The listener gets the run, or undefined when another process (or its echo) woke us. */
  subscribe(listener: (runId: string | undefined, audience: Audience) => void): () => void;
}

/** Whether anybody carries out work on this home (L3). */
export interface Presence {
  /** True when any process works now. */
  someoneWorks(): boolean;
}

/** Ownership by an operating-system lock (E4). */
export interface Ownership {
  readonly id: string;
  /** Ids among these whose lock is free. */
  dead(ids: string[]): Promise<string[]>;
}

export interface Log {
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}
