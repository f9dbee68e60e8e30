/**
 * The hands without their code (design §11): the desk asks at start which parts a handler has (engine.md R4), and only a call needs more.
 * Invariants: 1. The list is complete, by its type. 2. It is true: a test compares it with the handlers.
 */
import type { ContractName } from '../../machines/effects/registry.ts';
import type { Handlers } from './handlers.ts';

type Part = 'prepare' | 'probe' | 'undo' | 'mayUndo';

const runs: readonly Part[] = [];
const once: readonly Part[] = ['prepare', 'probe'];
const undoes: readonly Part[] = ['prepare', 'probe', 'undo'];
const asksFirst: readonly Part[] = ['prepare', 'probe', 'undo', 'mayUndo'];

/** What each handler has beside `run`. */
export const abilities = {
  'dokploy.checkConnection@1': runs,
  'dokploy.checkName@1': runs,
  'dokploy.createProject@1': undoes,
  'dokploy.createCompose@1': asksFirst,
  'dokploy.importTemplate@1': undoes,
  'dokploy.saveEnvironment@1': undoes,
  'dokploy.configureDomain@1': undoes,
  'dokploy.deployCompose@1': undoes,
  'dokploy.awaitHealth@1': runs,
  'dokploy.planRestart@1': runs,
  'dokploy.restartContainers@1': once,
  'removal.planChange@1': runs,
  'dokploy.removeService@1': once,
  'dokploy.removeEmptyProject@1': once,
  'target.forget@1': runs,
  'template.fetch@1': runs,
  'supabase.planChange@1': runs,
  'secrets.generateSupabase@1': runs,
  'supabase.verifyInstance@1': runs,
  'postgres.planSeed@1': runs,
  'postgres.applySeed@1': once,
  'smtp.verify@1': runs,
  'dns.checkDomain@1': runs,
  'tls.awaitCertificate@1': runs,
  'target.register@1': runs,
  'target.proveLive@1': runs,
  'target.awaitHealth@1': runs,
  'target.takeSnapshot@1': runs,
  'target.prove@1': runs,
  'repairKeys.planChange@1': runs,
  'rotateSecrets.planChange@1': runs,
  'resizePool.planChange@1': runs,
  'updateEnv.planChange@1': runs,
  'target.listSnapshots@1': runs,
  'restoreConfig.planChange@1': runs,
  'rebuild.planChange@1': runs,
  'manageDomain.planChange@1': runs,
  'manageDomain.recheck@1': runs,
  'dokploy.writeConfiguration@1': undoes,
  'dokploy.redeploy@1': undoes,
  'dokploy.returnConfiguration@1': undoes,
  'supabase.changeDatabase@1': undoes,
  'supabase.storeJwtSecret@1': undoes,
  'target.noteChange@1': undoes,
  'backup.prepareKey@1': runs,
  'backup.planBackup@1': runs,
  'backup.writePart@1': undoes,
  'backup.publish@1': undoes,
  'backup.verify@1': runs,
  'backup.discard@1': once,
  'backup.planCleanup@1': runs,
  'backup.removeBackups@1': once,
  'restore.planRestore@1': runs,
  'restore.applyRoles@1': undoes,
  'restore.applyDatabase@1': undoes,
  'restore.prove@1': runs,
  'restore.closeGateway@1': undoes,
  'restore.withdrawDatabase@1': undoes,
  'restore.safetyBackup@1': once,
  'restore.swapDatabase@1': undoes,
  'restore.giveBack@1': once,
  'restore.openGateway@1': undoes,
  'restore.putObjects@1': once,
  'restore.putFunctions@1': undoes,
  'restore.finish@1': undoes,
  'restore.planSchema@1': runs,
  'restore.replaceSchema@1': asksFirst,
  'restore.dropCopy@1': once,
  'sql.planStatement@1': runs,
  'sql.runStatement@1': once,
  'bridge.planInstallation@1': runs,
  'bridge.installRelay@1': undoes,
  'target.noteBridge@1': undoes,
  'bridge.prove@1': runs,
  'bridge.removeRelay@1': once,
  'bridge.planRemoval@1': runs,
  'bridge.removeBridges@1': once,
  'postgres.planGrants@1': runs,
  'postgres.grantRights@1': undoes,
  'postgres.planReadLogin@1': runs,
  'postgres.setReadLogin@1': undoes,
  'target.noteReadLogin@1': undoes,
  'postgres.proveReadLogin@1': runs,
} satisfies Record<ContractName, readonly Part[]>;

type Any = Record<string, ((...args: never[]) => Promise<unknown>) | undefined>;

/** Handlers that look like those that `load` gives, and load them when the first is called. */
export function lazyHandlers(load: () => Promise<Handlers>): Handlers {
  let loaded: Promise<Handlers> | undefined;
  const all = (): Promise<Handlers> => {
    loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
    return loaded;
  };
  const partOf =
    (name: ContractName, part: Part | 'run') =>
    async (...args: never[]): Promise<unknown> => {
      const handler = (await all())[name] as Any;
      const act = handler[part];
      if (!act) throw new TypeError(`${name} has no ${part}`);
      return act(...args);
    };
  const names = Object.keys(abilities) as ContractName[]; // its keys are its type's
  const entries = names.map((name) => [
    name,
    Object.fromEntries(['run' as const, ...abilities[name]].map((part) => [part, partOf(name, part)])),
  ]);
  // Each part passes on what it is given and gives what it gets, so the shape is that of the loaded ones.
  return Object.fromEntries(entries) as Handlers;
}
