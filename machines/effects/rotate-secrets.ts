import { z } from 'zod';
import { changePlan, planInput, planning } from './change.ts';
import { defineEffect } from './contract.ts';

export const rotateRequest = z.strictObject({
  secret: z.literal('jwt').describe('jwt: JWT_SECRET with both keys, JWT_KEYS, JWT_JWKS and the secret that the database keeps'),
});

/** Makes a new JWT secret and everything that embeds it, although nothing is wrong with the old one. */
export const planRotation = defineEffect({
  name: 'rotateSecrets.planChange@1',
  title: 'Plan the new secret and all that embeds it',
  ...planning,
  input: planInput.extend({ request: rotateRequest }),
  output: changePlan,
});
