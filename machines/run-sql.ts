/**
 * One SQL statement that may change something. Invariants:
 * 1. A person approves exactly this statement: its text and values lie in the plan, its classes stand in the question.
 * 2. It runs once: a note with the key of the effect is written in the same transaction.
 * 3. What it changed cannot be taken back by a rollback; the plan and the preview say so.
 */
import { assign, setup } from 'xstate';
import { z } from 'zod';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import { targetName } from './effects/shapes.ts';
import { type planStatement, type runStatement, statement } from './effects/sql.ts';
import { need, type RunError, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const input = z.strictObject({
  target: targetName,
  sql: statement.shape.sql.describe('Exactly one statement'),
  parameters: statement.shape.parameters.optional().describe('Values for $1, $2 and so on'),
  timeoutMs: statement.shape.timeoutMs.optional().describe('Default 30000'),
});

type Context = z.infer<typeof statement> & {
  plan: z.infer<(typeof planStatement)['output']> | null;
  /** What an approval is bound to (A1). */
  planHash: string | null;
  /** Stands in the question to the person. */
  approvalNote: string | null;
  ran: z.infer<(typeof runStatement)['output']> | null;
  error: RunError | null;
};

const events = {
  approve: {
    title: 'Run the statement',
    payload: noPayload,
    confirm: 'Run this SQL statement; what it changes cannot be taken back by a rollback.',
  },
  giveUp: { title: 'Do not run it', payload: noPayload },
} as const;

const machine = setup({
  types: {
    input: {} as z.infer<typeof input>, // type carriers: XState reads their types, never their values
    context: {} as Context,
    events: {} as { type: 'approve' } | { type: 'giveUp' },
    meta: {} as StateMeta,
  },
  actors: {
    'sql.planStatement@1': actorOf(contracts['sql.planStatement@1']),
    'sql.runStatement@1': actorOf(contracts['sql.runStatement@1']),
  },
}).createMachine({
  id: 'run-sql',
  context: ({ input: { target, sql, parameters, timeoutMs } }) => ({
    target,
    sql,
    parameters: parameters ?? [],
    timeoutMs: timeoutMs ?? 30_000,
    plan: null,
    planHash: null,
    approvalNote: null,
    ran: null,
    error: null,
  }),
  initial: 'planning',
  output: ({ context }) => ({
    target: context.target,
    classes: context.plan?.classes ?? [],
    ran: context.ran,
    error: context.error,
  }),
  states: {
    planning: {
      meta: { title: 'Judging the statement', step: 1 },
      invoke: {
        id: 'plan',
        src: 'sql.planStatement@1',
        input: ({ context: { target, sql, parameters, timeoutMs } }) => ({ target, sql, parameters, timeoutMs }),
        onDone: {
          target: 'review',
          actions: assign(({ context, event: { output } }) => ({
            plan: output,
            planHash: output.planHash,
            approvalNote: noteOf(context.target, output),
          })),
        },
        onError: { target: 'refused', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    review: {
      meta: { title: 'Run this statement?', step: 2, checkpoint: 'review', releases: true, events },
      on: { approve: { target: 'running' }, giveUp: { target: 'refused' } },
    },
    running: {
      meta: { title: 'Running the statement', step: 3 },
      invoke: {
        id: 'run',
        src: 'sql.runStatement@1',
        input: ({ context: { target, plan } }) => {
          const { plan: reference, planHash } = need(plan, 'plan');
          return { target, plan: reference, planHash };
        },
        onDone: { target: 'done', actions: assign(({ event }) => ({ ran: event.output })) },
        onError: { target: 'refused', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    done: { type: 'final', meta: { title: 'The statement ran', step: 3, outcome: 'done' } },
    refused: { type: 'final', meta: { title: 'The statement did not run', step: 3, outcome: 'failed' } },
  },
});

/** Names in the classes are plain words: the effect that judged the statement made them so. */
function noteOf(target: string, { classes, role, makesNotes }: z.infer<(typeof planStatement)['output']>): string {
  const notes = makesNotes ? ' The first time, a schema named capstan is made there for a note of it.' : '';
  return `On ${target} as ${role}: ${classes.join(', ')}.${notes}`;
}

export const runSql = {
  name: 'run-sql',
  title: 'Run one SQL statement',
  description:
    'Runs exactly one SQL statement that may change data or schema, in one transaction, after a person approved it; execute_sql with write: true starts it. Never as a superuser. Risk: what it changes cannot be taken back by a rollback. Usual duration: seconds.',
  aliases: ['execute_sql_write'],
  revision: 1,
  machine,
  input,
  steps: [
    'plan: the statement is judged, the way to the database found; nothing runs',
    'review: the classes of the statement, role and target; needs approval',
    'run: one transaction with a note of it, so that it runs once',
  ],
  show: ['target', 'plan', 'ran'],
} as const satisfies WorkflowDefinition;
