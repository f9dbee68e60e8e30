import { z } from 'zod';
import { changePlan, planInput, planning } from './change.ts';
import { defineEffect } from './contract.ts';

export const repairRequest = z.strictObject({
  newSecret: z
    .boolean()
    .optional()
    .describe('Replace JWT_SECRET although it is neither weak nor public; it ends all sessions. Default: false'),
});

/** Finds the wrong keys and makes new ones: only what is wrong, and JWT_SECRET only where it is weak, public or given away. */
export const planRepair = defineEffect({
  name: 'repairKeys.planChange@1',
  title: 'Plan the repair of the keys',
  ...planning,
  input: planInput.extend({ request: repairRequest }),
  output: changePlan,
});
