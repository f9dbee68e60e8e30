import { z } from 'zod';
import { beginChange, changeOutput } from './change-context.ts';
import { databaseStates, databaseSteps } from './change-database-states.ts';
import { change } from './change-setup.ts';
import { applyStates, changeShow, endStates, lookStates, planningState } from './change-states.ts';
import { targetName } from './effects/change.ts';
import { resizeFields, resizeRequest } from './effects/resize-pool.ts';
import type { WorkflowDefinition } from './workflow.ts';

const resizeInput = z.strictObject({ target: targetName, ...resizeFields });

export const resizePoolMachine = change.createMachine({
  id: 'resize-pool',
  context: ({ input: { target, ...request } }) => beginChange(target, request),
  initial: 'looking',
  output: ({ context }) => changeOutput(context),
  states: {
    ...lookStates,
    planning: planningState('Reading the pooler’s tenant', 'resizePool.planChange@1', resizeRequest),
    ...applyStates,
    ...endStates,
    ...databaseStates,
  },
});

export const resizePool = {
  name: 'resize-pool',
  title: 'Resize the connection pool of an instance',
  description:
    'Changes the size of the pool (poolSize) and the number of clients (maxClients) of Supavisor where it really reads them: the row of its tenant and POOLER_DEFAULT_POOL_SIZE and POOLER_MAX_CLIENT_CONN together, read back. The variable alone changes nothing, since the tenant is made once. Without a size the variables are set to what the row says. A size that the database cannot carry is refused. Risks: the pooler starts anew, and connections through it break once; the database does not restart. Usual duration: 1 to 3 minutes after the approval.',
  aliases: ['resize_pool', 'dokploy_resize_pool'],
  revision: 1,
  machine: resizePoolMachine,
  input: resizeInput,
  steps: databaseSteps('the tenant’s row is read, and the new sizes are compared with what the database can carry'),
  show: [...changeShow],
} as const satisfies WorkflowDefinition;
