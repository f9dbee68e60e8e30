/** The handlers of every contract that changes a running instance, by name. */

import { changeDatabase } from './database/effects.ts';
import { planDomain, recheckDomain } from './manage-domain.ts';
import { noteChange } from './note-effects.ts';
import { type ProveDeps, proveTarget } from './prove-effects.ts';
import { planRebuild } from './rebuild.ts';
import { planRepair } from './repair-keys.ts';
import { planResize } from './resize-pool.ts';
import { listSnapshots, planConfigReturn } from './restore-config.ts';
import { planRotation } from './rotate-secrets.ts';
import { storeJwtSecret } from './secret-effects.ts';
import { takeSnapshot } from './snapshot.ts';
import { planUpdate } from './update-env.ts';
import { type ChangeDeps, redeploy, returnConfiguration, writeConfiguration } from './write-effects.ts';

export function createChangeHandlers(deps: ChangeDeps & ProveDeps) {
  return {
    'target.takeSnapshot@1': takeSnapshot(deps),
    'target.prove@1': proveTarget(deps),
    'repairKeys.planChange@1': planRepair(),
    'rotateSecrets.planChange@1': planRotation(deps),
    'updateEnv.planChange@1': planUpdate(),
    'target.listSnapshots@1': listSnapshots(),
    'restoreConfig.planChange@1': planConfigReturn(),
    'rebuild.planChange@1': planRebuild(deps),
    'manageDomain.planChange@1': planDomain(deps),
    'manageDomain.recheck@1': recheckDomain(deps),
    'dokploy.writeConfiguration@1': writeConfiguration(deps),
    'dokploy.redeploy@1': redeploy(deps),
    'dokploy.returnConfiguration@1': returnConfiguration(deps),
    'resizePool.planChange@1': planResize(deps),
    'supabase.changeDatabase@1': changeDatabase(deps),
    'supabase.storeJwtSecret@1': storeJwtSecret(),
    'target.noteChange@1': noteChange(),
  };
}
