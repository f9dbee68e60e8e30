/** The product's relay beside a stack of a sandbox, deployed by hand: for tests of what goes through it. */
import type { BridgeWay } from '../../src/effects/bridge/open-bridge.ts';
import { relayCompose, relayPort, relayService } from '../../src/effects/bridge/relay.ts';
import { makeBridgeKeys } from '../../src/effects/bridge/token.ts';
import type { Sandbox } from '../../src/sandbox/start.ts';
import { call, deploy, field, type Stack } from '../sandbox/client.ts';

export async function deployBridge(sandbox: Sandbox, { environmentId, appName }: Stack): Promise<BridgeWay> {
  const { privateKey, publicKey } = makeBridgeKeys();
  const host = `${appName}-bridge.supabase.test`;
  const plan = { network: `${appName}_default`, host, publicKey, until: Date.now() + 3_600_000, databasePort: 5432 };
  const composeFile = relayCompose(plan);
  const made = await call(sandbox, 'compose.create', { name: 'bridge', appName: 'bridge', environmentId, sourceType: 'raw', composeFile });
  const composeId = field(made, 'body', 'composeId');
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
  return { url: `https://${host}`, privateKey };
}
