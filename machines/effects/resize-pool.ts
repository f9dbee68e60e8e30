import { z } from 'zod';
import { changePlan, planInput, planning } from './change.ts';
import { defineEffect } from './contract.ts';

export const resizeFields = {
  poolSize: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .describe('Connections that the pooler holds to the database for each role and mode (POOLER_DEFAULT_POOL_SIZE)'),
  maxClients: z.number().int().min(1).max(100_000).optional().describe('Clients that the pooler lets in at once (POOLER_MAX_CLIENT_CONN)'),
};

/** What is left out stays as the row has it. */
export const resizeRequest = z.strictObject(resizeFields);

/** Reads the pooler's tenant and plans its row and the variables together. */
export const planResize = defineEffect({
  name: 'resizePool.planChange@1',
  title: 'Plan the new size of the pool',
  ...planning,
  input: planInput.extend({ request: resizeRequest }),
  output: changePlan,
});
