/**
 * Seeding a database from a file. Invariants:
 * 1. What runs is the text that was approved, byte for byte: it stands in the plan, the file is not read again.
 * 2. All of it and its record, or nothing: one transaction, in which the record is written too.
 * 3. The same file is never run twice on one database; rows cannot be taken back, so nothing rolls back past it.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import type { applySeed, planSeed } from './effects/seed.ts';
import { targetName } from './effects/shapes.ts';
import { need, type RunError, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const input = z.strictObject({
  target: targetName,
  file: z.string().min(1).max(1_000).describe('Absolute path of a .sql file on the machine that runs Capstan'),
  as: z
    .string()
    .regex(/^[\w./-]{1,200}$/, 'letters, digits, dots, hyphens and slashes')
    .optional()
    .describe('Name under which it is recorded; default: the name of the file'),
});

type Context = {
  target: string;
  file: string;
  as: string | null;
  plan: z.infer<(typeof planSeed)['output']> | null;
  /** What an approval is bound to (A1). */
  planHash: string | null;
  result: z.infer<(typeof applySeed)['output']> | null;
  error: RunError | null;
};

const events = {
  approve: {
    title: 'Run the seed as planned',
    payload: noPayload,
    confirm: 'Run every statement of the plan on the database. Rows that it writes or deletes cannot be taken back by Capstan.',
  },
  retry: { title: 'Read the file anew', payload: noPayload },
  giveUp: { title: 'End here as failed', payload: noPayload },
} as const;

const machine = setup({
  types: {
    input: {} as z.infer<typeof input>, // type carriers: XState reads their types, never their values
    context: {} as Context,
    events: {} as { type: 'approve' } | { type: 'retry' } | { type: 'giveUp' },
    meta: {} as StateMeta,
  },
  actors: {
    'postgres.planSeed@1': actorOf(contracts['postgres.planSeed@1']),
    'postgres.applySeed@1': actorOf(contracts['postgres.applySeed@1']),
  },
}).createMachine({
  id: 'seed-database',
  context: ({ input: { target, file, as } }) => ({ target, file, as: as ?? null, plan: null, planHash: null, result: null, error: null }),
  initial: 'planning',
  output: ({ context }) => ({
    target: context.target,
    seeded: context.result !== null,
    recordedAs: context.plan?.recordedAs ?? null,
    sha256: context.plan?.sha256 ?? null,
    statements: context.result?.statements ?? 0,
    error: context.error,
  }),
  states: {
    planning: {
      meta: { title: 'Reading the seed file', step: 1 },
      invoke: {
        id: 'plan',
        src: 'postgres.planSeed@1',
        input: ({ context: { target, file, as } }) => ({ target, file, as }),
        onDone: [
          {
            guard: ({ event }) => event.output.state === 'same',
            target: 'seededBefore',
            actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash })),
          },
          { target: 'review', actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash })) },
        ],
        onError: { target: 'notSeeded', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    review: {
      meta: { title: 'Run this seed?', step: 2, checkpoint: 'review', releases: true, events: { approve: events.approve } },
      on: { approve: { target: 'seeding', actions: assign({ error: null }) } },
    },
    seeding: {
      meta: { title: 'Running the seed in one transaction', step: 3 },
      invoke: {
        id: 'seed',
        src: 'postgres.applySeed@1',
        input: ({ context: { target, plan } }) => {
          const { plan: reference, planHash } = need(plan, 'plan');
          return { target, plan: reference, planHash };
        },
        onDone: { target: 'done', actions: assign(({ event }) => ({ result: event.output })) },
        onError: { target: 'notSeeded', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    notSeeded: {
      meta: { title: 'Nothing was seeded', step: 3, events: { retry: events.retry, giveUp: events.giveUp } },
      on: {
        retry: { target: 'planning', actions: assign({ error: null }) },
        giveUp: { target: 'failed' },
      },
    },
    done: { type: 'final', meta: { title: 'Seeded and recorded', step: 3, outcome: 'done' } },
    seededBefore: { type: 'final', meta: { title: 'This very file was seeded before; nothing was run', step: 3, outcome: 'done' } },
    failed: { type: 'final', meta: { title: 'Not seeded', step: 3, outcome: 'failed' } },
  },
});

export const seedDatabase = {
  name: 'seed-database',
  title: 'Seed a database from a file',
  description:
    'Runs a .sql file on a database in one transaction, as postgres, and records it in supabase_migrations.seed_files, so that the same file never runs twice. Risk: what the file deletes or changes cannot be taken back. Usual duration: seconds; the server ends it after 5 minutes.',
  aliases: ['seed_database', 'database_seeding'],
  revision: 1,
  machine,
  input,
  steps: [
    'plan: read and parse the file; was it seeded before?',
    'review: needs approval',
    'seed: all statements and the record, or nothing',
  ],
  show: ['target', 'file', 'plan', 'result'],
} as const satisfies WorkflowDefinition;
