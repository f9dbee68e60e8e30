import type { z } from 'zod';
import type { Contract } from '../../machines/effects/contract.ts';
import type { AppError } from '../errors.ts';

/** How a Dokploy is reached; the key is already revealed and lives only inside a handler's call. */
export type DokployConnection = {
  name: string;
  /** Base URL without trailing slash, such as `http://203.0.113.7:3000`. */
  url: string;
  apiKey: string;
  reach: Reach;
};

/** How any host of a dokploy or target is reached: stored with its row, inherited by a target made by the wizard. */
export type Reach = {
  /** PEM text of an extra certificate authority. */
  ca?: string;
  /** Extra headers, values revealed. */
  headers?: Record<string, string>;
  /** As in curl `--resolve`: `host:port:address`. */
  resolve?: string[];
};

/** A target as the wizard registers it; secrets are references only. */
export type TargetRecord = {
  name: string;
  kind: 'dokploy' | 'self-hosted' | 'cloud';
  tags: string[];
  url: string;
  dokploy?: { name: string; projectId: string; environmentId: string; composeId: string; appName: string };
  /** Name to secret reference, such as `serviceRoleKey -> secret:…`. */
  secrets: Record<string, string>;
  facts: Record<string, unknown>;
};

/** A row of the backup index or a key of it, as it is staged; the engine's port has the same shape. */
export type StagedBackup =
  | { put: BackupRow }
  | { forget: string }
  | { verified: string; at: number }
  | { key: { keyId: string; version: number; secret: string } };

export type BackupRow = {
  id: string;
  target: string;
  store: string;
  kind: string;
  keyId: string;
  bytes: number;
  manifestSha256: string;
  manifest: unknown;
  madeAt: number;
  verifiedAt: number | null;
};
/** A kept configuration of a target: `artifact:<id>` and when it was kept, in ms. */
export type SnapshotEntry = { reference: string; at: number };

/** Something of this machine that is open as long as one call of a handler. */
export type Held = {
  /** Asked when the call has failed: what broke this, where that is the reason. */
  whyBroken(): Promise<AppError | undefined>;
  /** Closing twice does no harm. */
  close(): Promise<void>;
};

/** All that a handler may touch besides its one outside system (design §9). */
export type EffectContext = {
  /** `run:entry:invoke`; goes outward where the other side can carry it (E6). */
  key: string;
  runId: string;
  /** Of the run and its whole family; for logs here and outside (L3). */
  traceId: string;
  attempt: number;
  /** Fires on stop, deadline and shutdown (E5). */
  signal: AbortSignal;
  now(): number;
  /** Rejects with the signal's reason when it fires. */
  sleep(ms: number): Promise<void>;
  /** Shown to people as the effect's progress; at most a short sentence and a percentage; also a sign of life. */
  progress(say: string, percent?: number): void;
  /** Closed when this call ends, however it ends; after an abort it leaves the call five seconds to clear up. */
  hold(thing: Held): void;
  secrets: {
    /** Throws SECRET_UNKNOWN. The value is registered with the scrubber before it is returned. */
    reveal(reference: string): Promise<string>;
    /** Stages a new secret, written in the commit of the outcome; returns `secret:<id>`. */
    mint(name: string, value: string): string;
  };
  artifacts: {
    /** Encrypts and stores; becomes visible with the commit of the outcome (S3). Returns `artifact:<id>`. */
    put(role: string, media: string, text: string): Promise<string>;
    read(reference: string): Promise<string>;
  };
  dokploy(name: string): Promise<DokployConnection>;
  /** A registered target, its secrets as references. Throws TARGET_UNKNOWN. */
  target(name: string): Promise<TargetRecord>;
  /** Stages a change of the backup index, written in the commit of the outcome. */
  saveBackup(staged: StagedBackup): void;
  /** Configuration snapshots of a target, newest first; what they hold are artifacts. */
  snapshots(target: string): Promise<SnapshotEntry[]>;
  /** Stages a target row, written in the commit of the outcome, or of the undo. */
  saveTarget(target: TargetRecord): void;
  /** Stages that a target leaves the list, in the commit of the outcome; local effects only. */
  forgetTarget(name: string): void;
};

export type Probe<O> =
  | { state: 'applied'; output: O }
  | { state: 'absent' }
  | { state: 'partial'; say: string }
  | { state: 'unknown'; say: string };

export type MayUndo = { ok: true } | { ok: false; code: string; message: string; fix: string };

/** The impure half of an effect (engine.md E1). `prepare`, `probe` and `mayUndo` read only; `undo` works without output. */
export type Handler<I, O, B = unknown> = {
  prepare?: (ctx: EffectContext, input: I) => Promise<B>;
  run: (ctx: EffectContext, input: I, before: B) => Promise<O>;
  probe?: (ctx: EffectContext, input: I, before: B) => Promise<Probe<O>>;
  undo?: (ctx: EffectContext, input: I, before: B, output?: O) => Promise<void>;
  mayUndo?: (ctx: EffectContext, input: I, before: B, output?: O) => Promise<MayUndo>;
};

/** Ties a handler to its contract so that the compiler checks what goes in and out. */
export function defineHandler<I extends z.ZodType, O extends z.ZodType, B = unknown>(
  _contract: Contract<string, I, O>,
  handler: Handler<z.infer<I>, z.infer<O>, B>,
): Handler<z.infer<I>, z.infer<O>, B> {
  return handler;
}
