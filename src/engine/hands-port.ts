/** What the engine asks of the effects: contracts as it reads them, handlers as it calls them. */
import type { LocalWrites } from './ports.ts';

/** The pure half of an effect as the engine reads it; machines/effects/contract.ts fits. */
export type ContractLike = {
  name: string;
  title: string;
  input: SchemaLike;
  output: SchemaLike;
  child?: string;
  readOnly?: true;
  local?: true;
  dedupes?: true;
  /** A method, so that a contract typed by its own input fits. */
  locks?(input: unknown): string[];
  settleMs?: number;
  timeoutMs?: number;
  deadlineMs?: number;
  retry?: { attempts: number; baseMs: number; maxMs: number };
  onPartial?: 'rerun' | 'undo_then_run';
  pointOfNoReturn?: true;
  leaves?: string;
};

export type SchemaLike = {
  safeParse(
    value: unknown,
  ): { success: true; data: unknown } | { success: false; error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } };
};

export type ProbeAnswer =
  | { state: 'applied'; output: unknown }
  | { state: 'absent' }
  | { state: 'partial'; say: string }
  | { state: 'unknown'; say: string };
export type MayUndoAnswer = { ok: true } | { ok: false; code: string; message: string; fix: string };

/** A handler with its context already closed over: one call to one outside system. */
export type BoundHandler = {
  prepare?: (input: unknown) => Promise<unknown>;
  run: (input: unknown, before: unknown) => Promise<unknown>;
  probe?: (input: unknown, before: unknown) => Promise<ProbeAnswer>;
  undo?: (input: unknown, before: unknown, output: unknown) => Promise<void>;
  mayUndo?: (input: unknown, before: unknown, output: unknown) => Promise<MayUndoAnswer>;
};

export type CallSite = {
  key: string;
  runId: string;
  traceId: string;
  attempt: number;
  signal: AbortSignal;
  progress(say: string, percent?: number): void;
};

/** The hands as the engine reaches them: contract names to handlers, and what a call staged in our own store. */
export interface Hands {
  has(contract: string): boolean;
  /** Which optional parts the handler has (R4). */
  abilities(contract: string): { prepare: boolean; probe: boolean; undo: boolean; mayUndo: boolean };
  bind(contract: string, site: CallSite): { handler: BoundHandler; staged: () => LocalWrites };
}
