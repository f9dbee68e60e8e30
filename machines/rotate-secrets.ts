import { assign } from 'xstate';
import { z } from 'zod';
import { beginChange, changeOutput, plannedFor } from './change-context.ts';
import { change, requestOf } from './change-setup.ts';
import { applyStates, changeShow, changeSteps, endStates, lookStates } from './change-states.ts';
import { targetName } from './effects/change.ts';
import { rotateRequest } from './effects/rotate-secrets.ts';
import { toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const rotateInput = z.strictObject({ target: targetName, ...rotateRequest.shape });

export const rotateSecretsMachine = change.createMachine({
  id: 'rotate-secrets',
  context: ({ input: { target, ...request } }) => beginChange(target, request),
  initial: 'looking',
  output: ({ context }) => changeOutput(context),
  states: {
    ...lookStates,
    planning: {
      meta: { title: 'Making the new secret', step: 2 },
      invoke: {
        id: 'plan',
        src: 'rotateSecrets.planChange@1',
        input: ({ context }) => ({ ...plannedFor(context), request: requestOf(rotateRequest, context) }),
        onDone: {
          target: 'deciding',
          actions: assign(({ event }) => ({ plan: event.output, planHash: event.output.planHash, warnings: event.output.warnings })),
        },
        onError: { target: 'planFailed', actions: assign(({ event }) => ({ error: toRunError(event.error) })) },
      },
    },
    ...applyStates,
    ...endStates,
  },
});

export const rotateSecrets = {
  name: 'rotate-secrets',
  title: 'Replace the JWT secret of an instance',
  description:
    'Makes a new JWT_SECRET and everything that embeds it: ANON_KEY, SERVICE_ROLE_KEY, JWT_KEYS and JWT_JWKS where they are set, and the secret that the database keeps; then deploys and proves by live requests that the new keys are accepted. Risks: every session ends and every user signs in again; clients that hold an old key must get the new one; the named containers restart. The database password is not among them. Usual duration: 1 to 5 minutes after the approval.',
  aliases: ['rotate_secrets', 'dokploy_rotate_secrets'],
  revision: 1,
  machine: rotateSecretsMachine,
  input: rotateInput,
  steps: changeSteps('a new secret and all that embeds it are made and checked'),
  show: [...changeShow],
} as const satisfies WorkflowDefinition;
