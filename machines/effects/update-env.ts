import { z } from 'zod';
import { changePlan, planInput, planning } from './change.ts';
import { defineEffect } from './contract.ts';
import { isSecretVariable } from './secret-names.ts';

export const variableName = z
  .string()
  .max(120)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'a variable name has letters, digits and underscores, and starts with no digit');

const plainName = variableName.refine((name) => !isSecretVariable(name), {
  error: 'this variable holds a secret: send it with setSecret, as env:NAME or file:PATH',
});

/** What is changed; all of it in one plan. */
export const editFields = {
  set: z.record(plainName, z.string().max(8_000)).optional().describe('Variables to set, by name; secrets by setSecret only'),
  unset: z.array(variableName).max(200).optional().describe('Variables to take out'),
  https: z.boolean().optional().describe('Turn http into https in every address of the instance that its route serves over https'),
  force: z
    .boolean()
    .optional()
    .describe('Also change variables that a running instance reads only at its first start, or that another workflow changes properly'),
};

export const updateRequest = z.strictObject({
  ...editFields,
  /** Variable to `secret:<id>`. */
  secrets: z.record(variableName, z.string()).optional(),
});

/** Edits the text, looks at the result with the doctor, and refuses what would make it worse. */
export const planUpdate = defineEffect({
  name: 'updateEnv.planChange@1',
  title: 'Plan the new environment',
  ...planning,
  input: planInput.extend({ request: updateRequest }),
  output: changePlan,
});
