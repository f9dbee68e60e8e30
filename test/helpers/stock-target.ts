/** A stock instance of a sandbox as a registered target: without a connection of its own, with the secrets that it is said to have. */
import type { App } from '../../src/app.ts';
import type { Stack } from '../sandbox/client.ts';

const variables = {
  postgresPassword: 'POSTGRES_PASSWORD',
  serviceRoleKey: 'SERVICE_ROLE_KEY',
  pgMetaCryptoKey: 'PG_META_CRYPTO_KEY',
} as const;
type Secret = keyof typeof variables;

/** Its name is `shop`, its Dokploy the one named `home`. */
export async function registerStack(
  { registry, vault }: App,
  stack: Stack,
  names: readonly Secret[],
  facts: Record<string, unknown> = {},
): Promise<void> {
  const staged = names.map((name) => vault.stageSecret('target:shop', name, stack.env[variables[name]] ?? ''));
  const { projectId, environmentId, composeId, appName, host } = stack;
  const record = {
    url: `https://${host}`,
    dokploy: { name: 'home', projectId, environmentId, composeId, appName },
    secrets: Object.fromEntries(staged.map(({ id, name }) => [name, `secret:${id}`])),
    facts,
  };
  await registry.addTarget({ name: 'shop', kind: 'dokploy', tags: [], record }, staged);
}

export const allSecrets = Object.keys(variables) as Secret[]; // the keys of that very object
