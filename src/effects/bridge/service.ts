/** The end of a bridge: its service is deleted and read back, and what its target knew of it is taken out. */
import type { DokployClient } from '../dokploy/client.ts';
import { notTakenBack, orMissing } from '../dokploy/session.ts';
import type { TargetRecord } from '../handler.ts';

/** Name of the private key among the secrets of a target. */
export const keySecret = 'bridgeKey';

export type BridgeImage = Pick<TargetRecord, 'secrets' | 'facts'>;

/** Throws UNDO_NOT_KEPT. */
export async function removeService(client: DokployClient, composeId: string): Promise<void> {
  if (await orMissing(client.composeOne(composeId))) await client.deleteCompose({ composeId, deleteVolumes: true });
  if (await orMissing(client.composeOne(composeId)))
    throw notTakenBack('the bridge', 'Delete the service capstan-bridge in Dokploy, then resolve this step.');
}

export function withoutBridge({ secrets, facts }: BridgeImage): BridgeImage {
  const { [keySecret]: _key, ...otherSecrets } = secrets;
  const { bridge: _bridge, ...otherFacts } = facts;
  return { secrets: otherSecrets, facts: otherFacts };
}
