import { z } from 'zod';
import { noPayload } from './effects/meta.ts';

export const changeRetryPayload = z.strictObject({
  redeploy: z.boolean().optional().describe('Queue the deployment again instead of only looking again. Default: false'),
});

export type ChangeEvent =
  | { type: 'approve' }
  | { type: 'lookAgain' }
  | ({ type: 'retry' } & z.infer<typeof changeRetryPayload>)
  | { type: 'acceptWithWarning' };

/** Titles, payloads and confirmations of the events that every change of a running instance has. */
export const changeEvents = {
  approve: {
    title: 'Change it as planned',
    payload: noPayload,
    confirm:
      'Change the running instance exactly as the plan says: its configuration is written and deployed, and the containers that the plan names are made anew.',
  },
  lookAgain: { title: 'Look at the instance again and plan anew', payload: noPayload },
  retry: { title: 'Try again from where it failed', payload: changeRetryPayload },
  acceptWithWarning: {
    title: 'Keep the change although checks failed',
    payload: noPayload,
    confirm: 'Keep the changed configuration although the live checks of this instance did not pass.',
  },
} as const;
