import { z } from 'zod';
import { changePlan, planInput, planning } from './change.ts';
import { defineEffect } from './contract.ts';

export const rotateRequest = z.strictObject({
  secret: z
    .enum(['jwt', 'database-password', 'both', 'vault-key', 'meta-key'])
    .describe(
      'jwt: JWT_SECRET with both keys, JWT_KEYS, JWT_JWKS and the secret that the database keeps; database-password: POSTGRES_PASSWORD with every role that has it and the pooler; both: in one change; vault-key: VAULT_ENC_KEY, and what the pooler keeps is sealed anew; meta-key: PG_META_CRYPTO_KEY',
    ),
});

/** Makes new secrets and everything that embeds them, although nothing is wrong with the old ones. */
export const planRotation = defineEffect({
  name: 'rotateSecrets.planChange@1',
  title: 'Plan the new secrets and all that embeds them',
  ...planning,
  input: planInput.extend({ request: rotateRequest }),
  output: changePlan,
});
