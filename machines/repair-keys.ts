import { z } from 'zod';
import { beginChange, changeOutput } from './change-context.ts';
import { change } from './change-setup.ts';
import { applyStates, changeShow, changeSteps, endStates, lookStates, planningState } from './change-states.ts';
import { targetName } from './effects/change.ts';
import { repairRequest } from './effects/repair-keys.ts';
import type { WorkflowDefinition } from './workflow.ts';

const repairInput = z.strictObject({ target: targetName, ...repairRequest.shape });

export const repairKeysMachine = change.createMachine({
  id: 'repair-keys',
  context: ({ input: { target, ...request } }) => beginChange(target, request),
  initial: 'looking',
  output: ({ context }) => changeOutput(context),
  states: {
    ...lookStates,
    planning: planningState('Finding the wrong keys', 'repairKeys.planChange@1', repairRequest),
    ...applyStates,
    ...endStates,
  },
});

export const repairKeys = {
  name: 'repair-keys',
  title: 'Repair the keys of an instance',
  description:
    'Makes the wrong keys of a running Supabase anew, and only those: ANON_KEY, SERVICE_ROLE_KEY, JWT_KEYS and JWT_JWKS, and the JWT secret that the database keeps. JWT_SECRET itself stays unless it is weak, public or given away; a new one ends all sessions, and the plan says so. A healthy instance gives nothing to do and no write. Risks: clients that hold an old key must get the new one; the named containers restart. Usual duration: 1 to 5 minutes after the approval.',
  aliases: ['regenerate_keys', 'dokploy_regenerate_keys'],
  revision: 1,
  machine: repairKeysMachine,
  input: repairInput,
  steps: changeSteps('the wrong keys are found, new ones made and checked'),
  show: [...changeShow],
} as const satisfies WorkflowDefinition;
