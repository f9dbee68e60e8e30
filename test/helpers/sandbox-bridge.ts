/** The product's relay beside a stack of a sandbox, deployed by hand: for tests of what goes through it. */
import { createHash } from 'node:crypto';
import { relayCompose, relayPort, relayService } from '../../src/effects/bridge/relay.ts';
import type { Sandbox } from '../../src/sandbox/start.ts';
import { call, deploy, field, type Stack } from '../sandbox/client.ts';

export async function deployBridge(sandbox: Sandbox, { environmentId, appName }: Stack): Promise<{ url: string; token: string }> {
  const token = `token-of-${appName}`;
  const tokenSha256 = createHash('sha256').update(token).digest('hex');
  const composeFile = relayCompose({ network: `${appName}_default`, tokenSha256, until: Date.now() + 3_600_000, databasePort: 5432 });
  const made = await call(sandbox, 'compose.create', { name: 'bridge', appName: 'bridge', environmentId, sourceType: 'raw', composeFile });
  const composeId = field(made, 'body', 'composeId');
  const host = `${appName}-bridge.supabase.test`;
  const route = {
    host,
    https: true,
    certificateType: 'letsencrypt',
    port: relayPort,
    path: '/',
    serviceName: relayService,
    domainType: 'compose',
  };
  await call(sandbox, 'domain.create', { composeId, ...route });
  await deploy(sandbox, composeId, 'the bridge');
  return { url: `https://${host}`, token };
}
