/** The handlers of the backup effects. */
import { planCleanup, removeBackups } from './cleanup.ts';
import type { BackupDeps } from './deps.ts';
import { prepareKey } from './key-effects.ts';
import { dropCopy } from './one-schema/copy.ts';
import { planSchema } from './one-schema/plan-schema.ts';
import { replaceSchema } from './one-schema/replace-schema.ts';
import { planBackup } from './plan-backup.ts';
import { discard, publishBackup } from './publish.ts';
import { applyDatabase, applyRoles } from './restore-apply.ts';
import { finishRestore } from './restore-finish.ts';
import { putFunctions } from './restore-functions.ts';
import { closeGateway, openGateway } from './restore-gateway.ts';
import { putObjects } from './restore-objects.ts';
import { planRestore } from './restore-plan.ts';
import { proveRestore } from './restore-prove.ts';
import { safetyBackup } from './restore-safety.ts';
import { giveBack, swapDatabase, withdrawDatabase } from './restore-swap.ts';
import { verifyBackup } from './verify.ts';
import { writePart } from './write-part.ts';

export function createBackupHandlers(deps: BackupDeps) {
  return {
    'backup.prepareKey@1': prepareKey(deps),
    'backup.planBackup@1': planBackup(deps),
    'backup.writePart@1': writePart(deps),
    'backup.publish@1': publishBackup(deps),
    'backup.verify@1': verifyBackup(deps),
    'backup.discard@1': discard(deps),
    'backup.planCleanup@1': planCleanup(deps),
    'backup.removeBackups@1': removeBackups(deps),
    'restore.planRestore@1': planRestore(deps),
    'restore.applyRoles@1': applyRoles(deps),
    'restore.applyDatabase@1': applyDatabase(deps),
    'restore.prove@1': proveRestore(deps),
    'restore.closeGateway@1': closeGateway(deps),
    'restore.withdrawDatabase@1': withdrawDatabase(),
    'restore.safetyBackup@1': safetyBackup(deps),
    'restore.swapDatabase@1': swapDatabase(),
    'restore.giveBack@1': giveBack(),
    'restore.openGateway@1': openGateway(deps),
    'restore.putObjects@1': putObjects(deps),
    'restore.putFunctions@1': putFunctions(deps),
    'restore.finish@1': finishRestore(deps),
    'restore.planSchema@1': planSchema(deps),
    'restore.replaceSchema@1': replaceSchema(deps),
    'restore.dropCopy@1': dropCopy(),
  };
}
