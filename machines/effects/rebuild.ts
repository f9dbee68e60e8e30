import { z } from 'zod';
import { changePlan, planInput, planning } from './change.ts';
import { defineEffect } from './contract.ts';

/** Compares what is stored with what the containers run with: a rebuild deploys what is stored, whatever that is. */
export const planRebuild = defineEffect({
  name: 'rebuild.planChange@1',
  title: 'Look what a rebuild would change',
  ...planning,
  input: planInput.extend({ request: z.strictObject({}) }),
  output: changePlan,
});
