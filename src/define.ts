/** The public entry of the package: how to bring a workflow of your own (design §7). Every promise here is kept across minor versions. */
import type { AnyStateMachine } from 'xstate';
import type { z } from 'zod';
import { actorOf as actorOfContract, type Contract, defineEffect as defineContract } from '../machines/effects/contract.ts';
import { noPayload as emptyPayload, secretReference as reference, type StateMeta } from '../machines/effects/meta.ts';
import { type EffectContext, type Handler, type MayUndo, type Probe, defineHandler as tieHandler } from './effects/handler.ts';
import { AppError } from './errors.ts';

export type { Contract, EffectContext, Handler, StateMeta };

/** The pure half of an effect: `system.verbNoun@n`, schemas, how it may be repeated and taken back. */
export const defineEffect = defineContract;
/** The impure half, checked by the compiler against its contract. */
export const defineHandler = tieHandler;
/** For `setup({ actors: { [contract.name]: actorOf(contract) } })`. */
export const actorOf = actorOfContract;
/** Payload of an event that carries nothing. */
export const noPayload = emptyPayload;
/** Schema of a field that takes `env:NAME` or `file:PATH`; name it in the event's `secret` list. */
export const secretReference = reference;
/** What a handler throws: `retry: 'later'` is tried again, `applied: 'unknown'` is probed before anything else happens. */
export const WorkflowError = AppError;

/** Marks what `defineWorkflow` made, also across two copies of this package. */
const mark = Symbol.for('capstan.workflow');

/** What `defineHandler` made; it checked input, output and before-image against the contract, `never` is what fits them all. */
export type AnyHandler = {
  prepare?: (ctx: EffectContext, input: never) => Promise<unknown>;
  run: (ctx: EffectContext, input: never, before: never) => Promise<unknown>;
  probe?: (ctx: EffectContext, input: never, before: never) => Promise<Probe<unknown>>;
  undo?: (ctx: EffectContext, input: never, before: never, output?: never) => Promise<void>;
  mayUndo?: (ctx: EffectContext, input: never, before: never, output?: never) => Promise<MayUndo>;
};

export type WorkflowOptions = {
  /** `verb-noun`; no workflow of Capstan or of another file may have it. */
  name: string;
  title: string;
  /** What it does, what can go wrong, how long it usually takes. Default: the title. */
  description?: string;
  /** Pure: only assign, raise and cancel; every outside call is an invoke of a contract. */
  machine: AnyStateMachine;
  /** What `start` takes. */
  input: z.ZodType;
  /** Every contract that the machine invokes, also those of its older versions. */
  contracts: readonly Contract[];
  /** Contract name to handler. */
  handlers: Readonly<Record<string, AnyHandler>>;
  /** Other names under which it may be started. */
  aliases?: readonly string[];
  /** Raised by hand when the meaning changes in a way that the hash cannot see. Default 1. */
  revision?: number;
  /** One line per step, in order. */
  steps?: readonly string[];
  /** Context keys that doors may show. */
  show?: readonly string[];
  /** What a cancel does with what is outside already: it is listed and stays (default), or is taken back as by a rollback to the start. */
  cancel?: 'leave' | 'takeBack';
  /** Earlier versions: their runs go on under them. */
  older?: readonly Pick<WorkflowOptions, 'machine' | 'revision' | 'input'>[];
  /** From the hash of a version that is not bundled: takes a run at rest to this one. */
  migrations?: readonly { from: string; migrate: (snapshot: Record<string, unknown>, context: Record<string, unknown>) => unknown }[];
};

/** A workflow as `--workflows` loads it. */
export type OwnWorkflow = Required<Omit<WorkflowOptions, 'older'>> & {
  older: readonly Required<Omit<WorkflowOptions, 'older' | 'contracts' | 'handlers' | 'migrations'>>[];
};

/**
 * A workflow of your own, loaded with `--workflows DIR` from a named export.
 * It holds to the same rules as Capstan's (R1-R6), which are checked when it is loaded.
 */
export function defineWorkflow(options: WorkflowOptions): OwnWorkflow {
  const { older = [], migrations = [], contracts, handlers, ...rest } = options;
  const about = { description: rest.title, aliases: [], revision: 1, steps: [], show: [], cancel: 'leave' as const, ...rest };
  const versions = older.map((version) => ({ ...about, revision: 1, ...version, aliases: [] }));
  const made: OwnWorkflow = { ...about, older: versions, migrations, contracts, handlers };
  return Object.defineProperty(made, mark, { value: true });
}

/** True for what `defineWorkflow` made. */
export function isOwnWorkflow(value: unknown): value is OwnWorkflow {
  return typeof value === 'object' && value !== null && mark in value;
}
