/** Retention: find by policy what may go, show it, ask, remove. Only backups of the index are ever looked at. */
import { assign, setup } from 'xstate';
import type { z } from 'zod';
import { targetName } from './effects/backup.ts';
import type { planCleanup, removeBackups } from './effects/cleanup.ts';
import { retentionPolicy } from './effects/cleanup.ts';
import { actorOf } from './effects/contract.ts';
import { noPayload, type StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';
import { need, type RunError, toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

export const cleanupInput = retentionPolicy.extend({
  target: targetName.optional().describe('Only backups of this target; left out: of all, each by itself'),
});

type CleanupContext = {
  input: z.infer<typeof cleanupInput>;
  plan: z.infer<(typeof planCleanup)['output']> | null;
  planHash: string | null;
  removed: z.infer<(typeof removeBackups)['output']> | null;
  error: RunError | null;
};

export const cleanupMachine = setup({
  types: {
    input: {} as z.infer<typeof cleanupInput>, // type carriers: XState reads their types, never their values
    context: {} as CleanupContext,
    events: {} as { type: 'approve' } | { type: 'retry' },
    meta: {} as StateMeta,
  },
  actors: {
    'backup.planCleanup@1': actorOf(contracts['backup.planCleanup@1']),
    'backup.removeBackups@1': actorOf(contracts['backup.removeBackups@1']),
  },
}).createMachine({
  id: 'cleanup-backups',
  context: ({ input }) => ({ input, plan: null, planHash: null, removed: null, error: null }),
  initial: 'planning',
  output: ({ context }) => ({
    removed: context.removed?.removed ?? [],
    bytes: context.removed?.bytes ?? 0,
    kept: context.plan?.keep ?? null,
    error: context.error,
  }),
  states: {
    planning: {
      meta: { title: 'Finding the backups that may go', step: 1 },
      invoke: {
        id: 'planCleanup',
        src: 'backup.planCleanup@1',
        input: ({ context: { input } }) => {
          const { target, ...policy } = input;
          return { target: target ?? null, policy };
        },
        onDone: [
          {
            guard: ({ event }) => event.output.remove.length === 0,
            target: 'done',
            actions: assign(({ event }) => ({ plan: event.output })),
          },
          { target: 'review', actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash })) },
        ],
        onError: { target: 'failed', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    review: {
      meta: {
        title: 'Review what may go',
        step: 2,
        checkpoint: 'review',
        events: {
          approve: {
            title: 'Remove these backups',
            payload: noPayload,
            confirm: 'Remove the backups of the plan from their stores and from the index. Nothing brings them back.',
          },
        },
      },
      on: { approve: { target: 'removing' } },
    },
    removing: {
      meta: { title: 'Removing backups', step: 3 },
      invoke: {
        id: 'removeBackups',
        src: 'backup.removeBackups@1',
        input: ({ context }) => {
          const { plan, planHash, targets } = need(context.plan, 'plan');
          return { plan, planHash, targets };
        },
        onDone: { target: 'done', actions: assign(({ event }) => ({ removed: event.output })) },
        onError: { target: 'stopped', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    stopped: {
      meta: { title: 'Not all of them could be removed', step: 3, events: { retry: { title: 'Try again', payload: noPayload } } },
      on: { retry: { target: 'removing', actions: assign({ error: null }) } },
    },
    done: { type: 'final', meta: { title: 'Cleaned up', outcome: 'done' } },
    failed: { type: 'final', meta: { title: 'Nothing was removed', outcome: 'failed' } },
  },
});

export const cleanupBackups = {
  name: 'cleanup-backups',
  title: 'Remove old backups by a policy',
  description:
    'Keeps the newest N, the last N days, or the newest per day, week and month, and removes the other backups of the index after approval. The newest one, and the newest verified one, of each target always stay. Files that Capstan did not enter are never touched. Risks: what is removed is gone. Usual duration: seconds.',
  aliases: ['cleanup_backups', 'dokploy_cleanup_backups'],
  revision: 1,
  machine: cleanupMachine,
  input: cleanupInput,
  steps: ['find what may go', 'review: needs approval', 'remove'],
  show: ['input', 'plan', 'removed'],
} as const satisfies WorkflowDefinition;
