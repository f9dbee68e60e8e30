/** Every way into the database of a sandbox's stack but a direct one, as a target without a published port has them. */
import { createDokployClient } from '../../src/effects/dokploy/client.ts';
import { createLimiters } from '../../src/effects/dokploy/rate-limit.ts';
import { runInContainer } from '../../src/effects/dokploy/run-in-container.ts';
import type { SqlTarget } from '../../src/effects/postgres/open.ts';
import type { Sandbox } from '../../src/sandbox/start.ts';
import type { Stack } from '../sandbox/client.ts';
import { deployBridge } from './sandbox-bridge.ts';

/** Also deploys the bridge. */
export async function waysInto(sandbox: Sandbox, stack: Stack): Promise<SqlTarget> {
  const client = createDokployClient(
    { name: 'box', url: sandbox.url, apiKey: sandbox.apiKey, reach: {} },
    { limiter: createLimiters()('box') },
  );
  const password = stack.env['POSTGRES_PASSWORD'] ?? '';
  const logins = [{ role: 'postgres', password }];
  return {
    name: 'lab',
    reach: { ca: sandbox.ca, resolve: sandbox.resolve },
    // The sandbox's stand-in for Supavisor: it asks for `role.tenant`, as that does, and hands the session on byte by byte.
    addresses: [
      {
        host: '127.0.0.1',
        port: sandbox.poolerPort,
        database: 'postgres',
        user: `postgres.${stack.env['POOLER_TENANT_ID']}`,
        role: 'postgres',
        password,
        ssl: 'disable',
        mode: 'session',
      },
    ],
    meta: {
      baseUrl: `https://${stack.host}`,
      serviceKey: stack.env['SERVICE_ROLE_KEY'] ?? '',
      cryptoKey: stack.env['PG_META_CRYPTO_KEY'] ?? '',
      logins,
    },
    exec: { run: (command, timeoutMs) => runInContainer(client, { composeId: stack.composeId, serviceName: 'db' }, command, timeoutMs) },
    bridge: { ...(await deployBridge(sandbox, stack)), logins },
  };
}
