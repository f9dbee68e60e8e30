/** Making the secrets of a new instance: minted, checked at once, and from then on known to the run as references only. */
import { generateSupabaseSecrets as contract } from '../../../machines/effects/secrets.ts';
import { defineHandler } from '../handler.ts';

export function createSecretHandlers() {
  return {
    'secrets.generateSupabase@1': defineHandler(contract, {
      async run(ctx) {
        const [{ generateSecrets, generateTenantId }, { assertApiKeys, makeApiKeys }] = await Promise.all([
          import('./secrets.ts'),
          import('./keys.ts'),
        ]);
        const values = generateSecrets();
        const keys = await makeApiKeys(values.JWT_SECRET, ctx.now());
        await assertApiKeys(keys, values.JWT_SECRET, ctx.now());
        const all = { ...values, ANON_KEY: keys.anonKey, SERVICE_ROLE_KEY: keys.serviceRoleKey };
        return {
          references: Object.fromEntries(Object.entries(all).map(([name, value]) => [name, ctx.secrets.mint(name, value)])),
          poolerTenantId: generateTenantId(),
          keysIssuedAt: new Date(keys.issuedAt * 1000).toISOString(),
          keysExpireAt: new Date(keys.expiresAt * 1000).toISOString(),
        };
      },
    }),
  };
}
