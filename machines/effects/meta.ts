import { z } from 'zod';

/** What a person or agent may send in a state (engine.md P3, R5). */
export type EventMeta = {
  /** What happens, for people: "Deploy as planned". */
  title: string;
  /** Shape of the payload; must convert to JSON Schema. */
  payload: z.ZodType;
  /** Needs a human approval (A1); the text says what it will do. */
  confirm?: string;
  /** Payload fields that carry secret references only (S2). */
  secret?: readonly string[];
};

/** `meta` of a state. */
export type StateMeta = {
  /** What is happening or asked, for people. */
  title?: string;
  /** 1 to 9 in the wizard: which step this state belongs to. */
  step?: number;
  events?: Record<string, EventMeta>;
  /** Name of the checkpoint written when the run rests here (T2). */
  checkpoint?: string;
  /** The run's locks end when it rests here (E10). */
  releases?: true;
  /** Offer a rollback to the named checkpoint (B7). */
  rollback?: { to: string; when: 'offered' };
  /** Root final states: how the run ended (R6). */
  outcome?: 'done' | 'failed';
};

/** Payload of an event that carries nothing. */
export const noPayload = z.strictObject({});

/** `secret:<id>` inside; `env:NAME` and `file:PATH` are accepted at the door and become `secret:<id>` (S2). */
export const secretReference = z
  .string()
  .regex(/^(secret|env|file):.+$/, 'give a reference: env:NAME or file:PATH, never the value itself')
  .describe('A secret reference: env:NAME or file:PATH');
