import { z } from 'zod';
import { beginChange, changeOutput } from './change-context.ts';
import { databaseStates, databaseSteps } from './change-database-states.ts';
import { change } from './change-setup.ts';
import { applyStates, changeShow, endStates, lookStates, planningState } from './change-states.ts';
import { targetName } from './effects/change.ts';
import { rotateRequest } from './effects/rotate-secrets.ts';
import type { WorkflowDefinition } from './workflow.ts';

const rotateInput = z.strictObject({ target: targetName, ...rotateRequest.shape });

export const rotateSecretsMachine = change.createMachine({
  id: 'rotate-secrets',
  context: ({ input: { target, ...request } }) => beginChange(target, request),
  initial: 'looking',
  output: ({ context }) => changeOutput(context),
  states: {
    ...lookStates,
    planning: planningState('Making the new secrets', 'rotateSecrets.planChange@1', rotateRequest),
    ...applyStates,
    ...endStates,
    ...databaseStates,
  },
});

export const rotateSecrets = {
  name: 'rotate-secrets',
  title: 'Replace the JWT secret, the database password or an encryption key of an instance',
  description:
    'Makes a new JWT_SECRET with everything that embeds it (ANON_KEY, SERVICE_ROLE_KEY, JWT_KEYS and JWT_JWKS where they are set, the secret that the database keeps), or a new POSTGRES_PASSWORD for every role that has it, in one transaction and as verifiers computed here, with the pooler’s tenant and every URL that embeds it; or both; or a new encryption key, with which what was sealed is sealed anew. Then deploys and proves it by live requests. Refused where psql inside the database container needs a password. Risks: with a new JWT secret every session ends, and clients that hold an old key must get the new one; with a new password the database restarts, and whoever connects with the old one is refused. Usual duration: 1 to 5 minutes after the approval.',
  aliases: ['rotate_secrets', 'dokploy_rotate_secrets'],
  revision: 1,
  machine: rotateSecretsMachine,
  input: rotateInput,
  steps: databaseSteps(
    'new secrets and all that embeds them are made and checked; a way to the database without any password is proven open',
  ),
  show: [...changeShow],
} as const satisfies WorkflowDefinition;
