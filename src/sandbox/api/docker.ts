import { z } from 'zod';
import { type Procedure, query, text } from '../procedure.ts';
import { containersOf } from '../stack/containers.ts';

/** Router docker. Every failure of docker is swallowed there: an empty list means "unknown". */
export const docker: Record<string, Procedure> = {
  'docker.getContainersByAppNameMatch': query(
    z.object({ appName: text.min(1), appType: z.enum(['stack', 'docker-compose']).optional(), serverId: text.optional() }),
    ({ appName }, { world }) => {
      if (world.faults.take('no-docker', 'docker.getContainersByAppNameMatch')) return [];
      const stack = world.stacks.byAppName(appName);
      if (stack === undefined) return [];
      return containersOf(stack, Date.now()).map(({ containerId, name, state, status }) => ({ containerId, name, state, status }));
    },
  ),
  'docker.getContainers': query(z.object({ serverId: text.optional() }), (_input, { world }) => {
    if (world.faults.take('no-docker', 'docker.getContainers')) return [];
    const all = world.state.rows.stacks.flatMap((stack) => containersOf(stack, Date.now()));
    // Containers whose names hold "dokploy" are hidden there.
    return all
      .filter((one) => !one.name.includes('dokploy'))
      .map(({ containerId, name, state, status, image }) => ({ containerId, name, image, ports: '', state, status }));
  }),
};
