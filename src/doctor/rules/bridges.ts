/** Relays beside the instance that nobody uses any more, or that nobody here knows. */
import type { BridgeFacts } from '../facts.ts';
import { docs, type Finding } from '../findings.ts';
import type { Look, Rule } from '../look.ts';

export const bridgeRules: readonly Rule[] = [bridges];

function bridges({ facts }: Look): Finding[] {
  return (facts.bridges ?? []).flatMap((bridge) => {
    if (bridge.whose === 'left over') return [leftOver(bridge)];
    return bridge.whose === 'foreign' ? [foreign(bridge)] : [];
  });
}

const said = ({ service, why }: BridgeFacts) => ({ at: `service ${service}`, current: why, docs: docs.compose });

function leftOver(bridge: BridgeFacts): Finding {
  return {
    ...said(bridge),
    code: 'BRIDGE_LEFT_OVER',
    severity: 'warning',
    say: 'A bridge of this installation stands beside the instance although its use is over: one door to the database too many.',
    expected: 'No bridge, or one that a run has in use',
    fix: 'Delete the service in Dokploy.',
  };
}

function foreign(bridge: BridgeFacts): Finding {
  return {
    ...said(bridge),
    code: 'BRIDGE_FOREIGN',
    severity: 'info',
    say: 'A bridge of another installation stands beside the instance: whoever holds its key can speak to the database.',
    expected: 'Only bridges that somebody uses',
    fix: 'Ask whoever installed it; it is removed there, or by deleting the service in Dokploy.',
  };
}
