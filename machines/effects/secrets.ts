import { z } from 'zod';
import { defineEffect } from './contract.ts';

/** Makes every secret of a new instance and proves the two API keys at once; the run keeps references only (S5). */
export const generateSupabaseSecrets = defineEffect({
  name: 'secrets.generateSupabase@1',
  title: 'Generate and check the secrets',
  local: true,
  timeoutMs: 20_000,
  deadlineMs: 60_000,
  input: z.object({ name: z.string() }),
  output: z.object({
    /** Environment variable to `secret:<id>`. */
    references: z.record(z.string(), z.string()),
    /** Supavisor's tenant; part of the pooler's user names, not a secret. */
    poolerTenantId: z.string(),
    keysIssuedAt: z.string(),
    keysExpireAt: z.string(),
  }),
});
