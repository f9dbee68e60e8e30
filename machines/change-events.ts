import { z } from 'zod';
import { noPayload, secretReference } from './effects/meta.ts';
import { snapshotChoice } from './effects/restore-config.ts';
import { editFields, variableName } from './effects/update-env.ts';

export const changeRetryPayload = z.strictObject({
  redeploy: z.boolean().optional().describe('Queue the deployment again instead of only looking again. Default: false'),
});

export const editPayload = z.strictObject(editFields);
export const setSecretPayload = z.strictObject({ variable: variableName, value: secretReference });

export type ChangeEvent =
  | ({ type: 'edit' } & z.infer<typeof editPayload>)
  | ({ type: 'setSecret' } & z.infer<typeof setSecretPayload>)
  | ({ type: 'choose' } & z.infer<typeof snapshotChoice>)
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

/** Of update-env: what shall change. */
export const editEvents = {
  edit: { title: 'Set and unset variables, or turn http into https', payload: editPayload },
  setSecret: { title: 'Set a variable that holds a secret', payload: setSecretPayload, secret: ['value'] },
} as const;

/** Of restore-config: which snapshot. */
export const choiceEvents = {
  choose: { title: 'Choose the configuration that shall return', payload: snapshotChoice },
} as const;
