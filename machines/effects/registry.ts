import { grantRights, noteReadLogin, planGrants, planReadLogin, proveReadLogin, setReadLogin } from './access.ts';
import { discardBackup, planBackup, prepareKey, publishBackup, verifyBackup, writePart } from './backup.ts';
import { installRelay, noteBridge, planBridgeRemoval, planInstallation, proveBridge, removeBridges, removeRelay } from './bridge.ts';
import {
  changeDatabase,
  noteChange,
  proveTarget,
  redeploy,
  returnConfiguration,
  storeJwtSecret,
  takeSnapshot,
  writeConfiguration,
} from './change.ts';
import { planCleanup, removeBackups } from './cleanup.ts';
import type { Contract } from './contract.ts';
import { checkDomain } from './dns.ts';
import {
  awaitHealth,
  checkConnection,
  checkName,
  configureDomain,
  createCompose,
  createProject,
  deployCompose,
  importTemplate,
  saveEnvironment,
} from './dokploy.ts';
import { planDomain, recheckDomain } from './manage-domain.ts';
import { planRebuild } from './rebuild.ts';
import { forgetTarget, planRemoval, removeEmptyProject, removeService } from './remove.ts';
import { planRepair } from './repair-keys.ts';
import { planResize } from './resize-pool.ts';
import { planRestart, restartContainers } from './restart.ts';
import {
  applyDatabase,
  applyRoles,
  closeGateway,
  finishRestore,
  giveBack,
  openGateway,
  planRestore,
  proveRestore,
  putFunctions,
  putObjects,
  safetyBackup,
  swapDatabase,
  withdrawDatabase,
} from './restore.ts';
import { listSnapshots, planConfigReturn } from './restore-config.ts';
import { dropCopy, planSchema, replaceSchema } from './restore-schema.ts';
import { planRotation } from './rotate-secrets.ts';
import { generateSupabaseSecrets } from './secrets.ts';
import { applySeed, planSeed } from './seed.ts';
import { verifySmtp } from './smtp.ts';
import { planStatement, runStatement } from './sql.ts';
import { planChange, verifyInstance } from './supabase.ts';
import { registerTarget } from './target.ts';
import { awaitTargetHealth, proveLive } from './target-live.ts';
import { fetchTemplate } from './template.ts';
import { awaitCertificate } from './tls.ts';
import { planUpdate } from './update-env.ts';

/** Every effect that a workflow may ask for, by its contract's name. */
export const contracts = {
  'dokploy.checkConnection@1': checkConnection,
  'dokploy.checkName@1': checkName,
  'dokploy.createProject@1': createProject,
  'dokploy.createCompose@1': createCompose,
  'dokploy.importTemplate@1': importTemplate,
  'dokploy.saveEnvironment@1': saveEnvironment,
  'dokploy.configureDomain@1': configureDomain,
  'dokploy.deployCompose@1': deployCompose,
  'dokploy.awaitHealth@1': awaitHealth,
  'template.fetch@1': fetchTemplate,
  'secrets.generateSupabase@1': generateSupabaseSecrets,
  'smtp.verify@1': verifySmtp,
  'dns.checkDomain@1': checkDomain,
  'supabase.planChange@1': planChange,
  'supabase.verifyInstance@1': verifyInstance,
  'tls.awaitCertificate@1': awaitCertificate,
  'target.register@1': registerTarget,
  'target.proveLive@1': proveLive,
  'target.awaitHealth@1': awaitTargetHealth,
  'dokploy.planRestart@1': planRestart,
  'dokploy.restartContainers@1': restartContainers,
  'postgres.planSeed@1': planSeed,
  'postgres.applySeed@1': applySeed,
  'target.takeSnapshot@1': takeSnapshot,
  'target.prove@1': proveTarget,
  'repairKeys.planChange@1': planRepair,
  'resizePool.planChange@1': planResize,
  'rotateSecrets.planChange@1': planRotation,
  'updateEnv.planChange@1': planUpdate,
  'target.listSnapshots@1': listSnapshots,
  'restoreConfig.planChange@1': planConfigReturn,
  'rebuild.planChange@1': planRebuild,
  'manageDomain.planChange@1': planDomain,
  'manageDomain.recheck@1': recheckDomain,
  'dokploy.writeConfiguration@1': writeConfiguration,
  'dokploy.redeploy@1': redeploy,
  'dokploy.returnConfiguration@1': returnConfiguration,
  'supabase.changeDatabase@1': changeDatabase,
  'supabase.storeJwtSecret@1': storeJwtSecret,
  'target.noteChange@1': noteChange,
  'backup.prepareKey@1': prepareKey,
  'backup.planBackup@1': planBackup,
  'backup.writePart@1': writePart,
  'backup.publish@1': publishBackup,
  'backup.verify@1': verifyBackup,
  'backup.discard@1': discardBackup,
  'backup.planCleanup@1': planCleanup,
  'backup.removeBackups@1': removeBackups,
  'restore.planRestore@1': planRestore,
  'restore.applyRoles@1': applyRoles,
  'restore.applyDatabase@1': applyDatabase,
  'restore.prove@1': proveRestore,
  'restore.closeGateway@1': closeGateway,
  'restore.withdrawDatabase@1': withdrawDatabase,
  'restore.safetyBackup@1': safetyBackup,
  'restore.swapDatabase@1': swapDatabase,
  'restore.giveBack@1': giveBack,
  'restore.openGateway@1': openGateway,
  'restore.putObjects@1': putObjects,
  'restore.putFunctions@1': putFunctions,
  'restore.finish@1': finishRestore,
  'restore.planSchema@1': planSchema,
  'restore.replaceSchema@1': replaceSchema,
  'restore.dropCopy@1': dropCopy,
  'sql.planStatement@1': planStatement,
  'sql.runStatement@1': runStatement,
  'bridge.planInstallation@1': planInstallation,
  'bridge.installRelay@1': installRelay,
  'target.noteBridge@1': noteBridge,
  'bridge.prove@1': proveBridge,
  'bridge.removeRelay@1': removeRelay,
  'bridge.planRemoval@1': planBridgeRemoval,
  'bridge.removeBridges@1': removeBridges,
  'postgres.planGrants@1': planGrants,
  'postgres.grantRights@1': grantRights,
  'postgres.planReadLogin@1': planReadLogin,
  'postgres.setReadLogin@1': setReadLogin,
  'target.noteReadLogin@1': noteReadLogin,
  'postgres.proveReadLogin@1': proveReadLogin,
  'removal.planChange@1': planRemoval,
  'dokploy.removeService@1': removeService,
  'dokploy.removeEmptyProject@1': removeEmptyProject,
  'target.forget@1': forgetTarget,
} as const satisfies { [N in string]: Contract<N> };

export type Contracts = typeof contracts;
export type ContractName = keyof Contracts;
