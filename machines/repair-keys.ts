import { assign } from 'xstate';
import { z } from 'zod';
import { beginChange, changeOutput, plannedFor } from './change-context.ts';
import { change, requestOf } from './change-setup.ts';
import { applyStates, changeShow, changeSteps, endStates, lookStates } from './change-states.ts';
import { targetName } from './effects/change.ts';
import { repairRequest } from './effects/repair-keys.ts';
import { toRunError } from './run-context.ts';
import type { WorkflowDefinition } from './workflow.ts';

const repairInput = z.strictObject({ target: targetName, ...repairRequest.shape });

export const repairKeysMachine = change.createMachine({
  id: 'repair-keys',
  context: ({ input: { target, ...request } }) => beginChange(target, request),
  initial: 'looking',
  output: ({ context }) => changeOutput(context),
  states: {
    ...lookStates,
    planning: {
      meta: { title: 'Finding the wrong keys', step: 2 },
      invoke: {
        id: 'plan',
        src: 'repairKeys.planChange@1',
        input: ({ context }) => ({ ...plannedFor(context), request: requestOf(repairRequest, context) }),
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
