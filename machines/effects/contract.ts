import { fromPromise } from 'xstate';
import type { z } from 'zod';

/**
 * The pure half of an effect (engine.md E1): what goes out, what comes back, how it may be repeated and taken back.
 * The other half, the handler, lives in src/effects/ and is matched by name.
 */
export type Contract<N extends string = string, I extends z.ZodType = z.ZodType, O extends z.ZodType = z.ZodType> = {
  /** `system.verbNoun@n`; a changed meaning is a new n, old handlers stay for undo (V1). */
  name: N;
  /** What it does, for people: "Create the Dokploy project". */
  title: string;
  input: I;
  output: O;
  /** Runs this workflow as a child: no handler; input and output are the child's (E12). */
  child?: string;
  /** Changes nothing anywhere: runs again freely, is never undone. */
  readOnly?: true;
  /** Writes our own store only, in the commit of its outcome (E2). */
  local?: true;
  /** The other side refuses or folds a key it has seen: may run again with the same key without a probe. */
  dedupes?: true;
  /** Names that exclude other runs, such as `target:x` (E10). */
  locks?: (input: z.infer<I>) => string[];
  /** How long after the owner's last sign of life `absent` may be believed (E3). Default: `timeoutMs` + 5 s. */
  settleMs?: number;
  /** One attempt, in ms. Default 30 s. */
  timeoutMs?: number;
  /** All attempts together, in ms. Default 10 min. */
  deadlineMs?: number;
  retry?: { attempts: number; baseMs: number; maxMs: number };
  onPartial?: 'rerun' | 'undo_then_run';
  /** Cannot be undone: rollback past it is refused before anything moves (B2). */
  pointOfNoReturn?: true;
  /** What stays outside after a rollback, said openly in preview and result (B4). */
  leaves?: string;
};

/** Keeps the literal name and the schema types of a contract. */
export function defineEffect<const N extends string, I extends z.ZodType, O extends z.ZodType>(
  contract: Contract<N, I, O>,
): Contract<N, I, O> {
  return contract;
}

/** A typed placeholder for `setup({ actors })`. The engine runs effects; XState never does. */
export function actorOf<I extends z.ZodType, O extends z.ZodType>(contract: Contract<string, I, O>) {
  return fromPromise<z.infer<O>, z.infer<I>>(() => {
    throw new Error(`effect ${contract.name} was run by XState; only the engine runs effects`);
  });
}
