import { z } from 'zod';
import { mutation, type Procedure, query, text } from '../procedure.ts';
import { containersOf, startOf } from '../stack/containers.ts';
import type { World } from '../world.ts';

const container = z.object({ containerId: text.min(1).regex(/^[a-zA-Z0-9.\-_]+$/), serverId: text.optional() });

function findContainer(world: World, containerId: string) {
  for (const stack of world.state.rows.stacks) {
    const found = containersOf(stack, Date.now()).find((one) => one.containerId === containerId || one.name === containerId);
    const service = stack.services.find(({ name }) => found?.name === `${stack.appName}-${name}-1`);
    if (found !== undefined && service !== undefined) return { stack, found, service };
  }
  return undefined;
}

/** `docker stop` and `docker start` of one container; the same nothing is answered whether docker did it or failed. */
function switchTo(to: 'running' | 'exited', procedure: string): Procedure {
  return mutation(
    container,
    async ({ containerId }, { world, applied }) => {
      if (world.faults.take('no-docker', procedure)) return undefined;
      const one = findContainer(world, containerId);
      if (one === undefined) return undefined;
      if (await world.stacks.switchContainer(one.stack.composeId, one.service.name, to))
        applied({ containerId, service: one.service.name });
      return undefined;
    },
    '0.29.0',
  );
}

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
  // docker inspect, with the whole environment of the container in it; nothing when docker fails.
  'docker.getConfig': query(container, ({ containerId }, { world }) => {
    if (world.faults.take('no-docker', 'docker.getConfig')) return undefined;
    const one = findContainer(world, containerId);
    if (one === undefined) return undefined;
    const { stack, found, service } = one;
    const health = /\((?:health: )?(\w+)\)$/.exec(found.status)?.[1];
    return {
      Id: found.containerId,
      Name: `/${found.name}`,
      State: {
        Status: found.state,
        Running: found.state === 'running',
        StartedAt: new Date(startOf(stack, service.name)).toISOString().replace('Z', '000000Z'),
        ...(health === undefined ? {} : { Health: { Status: health } }),
      },
      Config: {
        Image: service.image,
        Env: Object.entries(service.env).map(([name, value]) => `${name}=${value}`),
        Labels: { 'com.docker.compose.project': stack.appName, 'com.docker.compose.service': service.name },
      },
    };
  }),
  // The same nothing is answered whether docker restarted it or failed.
  'docker.restartContainer': mutation(container, async ({ containerId }, { world, applied }) => {
    if (world.faults.take('no-docker', 'docker.restartContainer')) return undefined;
    const one = findContainer(world, containerId);
    if (one === undefined) return undefined;
    applied({ containerId, service: one.service.name });
    await world.stacks.restart(one.stack.composeId, one.service.name);
    return undefined;
  }),
  'docker.stopContainer': switchTo('exited', 'docker.stopContainer'),
  'docker.startContainer': switchTo('running', 'docker.startContainer'),
};
