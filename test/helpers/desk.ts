import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Desk, openDesk } from '../../src/desk.ts';
import type { Clock, Store } from '../../src/engine/ports.ts';
import type { WorkflowLike } from '../../src/engine/registration.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';
import { relay, relayContracts, relayHands, toJsonSchema } from './relay.ts';

export function temporaryHome(): { home: string; remove: () => void } {
  const home = mkdtempSync(join(tmpdir(), 'capstan-test-'));
  return { home, remove: () => rmSync(home, { recursive: true, force: true }) };
}

/** A desk with the relay workflow over a world, or with another one of its contracts. */
export function openRelayDesk(
  home: string,
  worldUrl: string,
  wrapStore?: (store: Store) => Store,
  clock?: Clock,
  sealedTags?: readonly string[],
  approvalTokens = false,
  workflow: WorkflowLike = relay,
): Promise<Desk> {
  const scrubber = createScrubber();
  return openDesk({
    home,
    workflows: [workflow],
    contracts: relayContracts,
    hands: relayHands(worldUrl),
    toJsonSchema,
    log: createLog({ level: process.env['CAPSTAN_TEST_LOG'] ?? 'silent', scrubber }),
    scrubber,
    readVariable: (name) => process.env[name],
    ...(wrapStore ? { wrapStore } : {}),
    ...(clock ? { clock } : {}),
    ...(sealedTags ? { sealedTags } : {}),
    approvalTokens,
  });
}
