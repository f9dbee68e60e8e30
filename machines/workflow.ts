import type { AnyStateMachine } from 'xstate';
import type { z } from 'zod';

/** A workflow as it is registered (engine.md V1): the machine and what people and agents are told about it. */
export type WorkflowDefinition = {
  name: string;
  title: string;
  /** What it does, what can go wrong, how long it usually takes. */
  description: string;
  /** Other names under which it may be started. */
  aliases: readonly string[];
  /** Raised by hand when the meaning changes in a way that the hash cannot see. */
  revision: number;
  machine: AnyStateMachine;
  input: z.ZodType;
  /** One line per step, in order. */
  steps: readonly string[];
  /** Context keys that doors may show. */
  show: readonly string[];
  /** What a cancel does with what is outside already: it is listed and stays (default), or it is taken back as by a rollback to the start. */
  cancel?: 'leave' | 'takeBack';
};
