/** The handlers of every Dokploy contract, by name. */
import { checkConnection, checkName } from './check-effects.ts';
import { createCompose, createProject } from './create-effects.ts';
import { awaitHealth, deployCompose, type HealthDeps } from './deploy-effects.ts';
import { configureDomain } from './domain-effects.ts';
import { saveEnvironment } from './environment-effects.ts';
import { importTemplate } from './import-effects.ts';
import { createRemoveHandlers, type RemoveDeps } from './remove-effects.ts';
import { createRestartHandlers } from './restart-effects.ts';

export function createDokployHandlers(deps: HealthDeps & RemoveDeps) {
  return {
    'dokploy.checkConnection@1': checkConnection(deps),
    'dokploy.checkName@1': checkName(deps),
    'dokploy.createProject@1': createProject(deps),
    'dokploy.createCompose@1': createCompose(deps),
    'dokploy.importTemplate@1': importTemplate(deps),
    'dokploy.saveEnvironment@1': saveEnvironment(deps),
    'dokploy.configureDomain@1': configureDomain(deps),
    'dokploy.deployCompose@1': deployCompose(deps),
    'dokploy.awaitHealth@1': awaitHealth(deps),
    ...createRestartHandlers(deps),
    ...createRemoveHandlers(deps),
  };
}
