import { z } from 'zod';
import { mutation, orNotFound, type Procedure, query, text } from '../procedure.ts';
import { type MountRow, mountRow, organizationId } from '../rows.ts';
import type { World } from '../world.ts';
import { findCompose } from './compose.ts';

const serviceType = z.enum(['application', 'postgres', 'mysql', 'mariadb', 'mongo', 'redis', 'compose', 'libsql']);
const kind = z.enum(['bind', 'volume', 'file']);

const findMount = (world: World, id: string) =>
  orNotFound(
    world.state.rows.mounts.find((row) => row.mountId === id),
    'Mount',
  );

function withRelations(world: World, row: MountRow) {
  const none = { libsql: null, mariadb: null, mongo: null, mysql: null, postgres: null, redis: null };
  const { serverId, appName } = findCompose(world, row.composeId);
  return { ...row, application: null, compose: { serverId, appName, environment: { project: { organizationId } } }, ...none };
}

/** Router mounts. */
export const mounts: Record<string, Procedure> = {
  'mounts.listByServiceId': query(z.object({ serviceType, serviceId: text.min(1) }), ({ serviceId }, { world }) => {
    findCompose(world, serviceId);
    return world.state.rows.mounts.filter((row) => row.composeId === serviceId);
  }),
  'mounts.one': query(z.object({ mountId: text.min(1) }), ({ mountId }, { world }) => withRelations(world, findMount(world, mountId))),
  'mounts.create': mutation(
    z.object({
      type: kind,
      filePath: text.nullish(),
      content: text.nullish(),
      mountPath: text.min(1),
      hostPath: text.nullish(),
      volumeName: text.nullish(),
      serviceType: serviceType.default('application'),
      serviceId: text.min(1),
    }),
    (input, { world, applied }) => {
      findCompose(world, input.serviceId);
      const row = mountRow({ ...input, composeId: input.serviceId });
      world.state.rows.mounts.push(row);
      applied({ mountId: row.mountId, composeId: row.composeId });
      return row;
    },
  ),
  // The answer is the row as it was before, although the change is stored: read it back with mounts.one.
  'mounts.update': mutation(
    z.object({
      mountId: text.min(1),
      type: kind.optional(),
      filePath: text.nullish(),
      content: text.nullish(),
      mountPath: text.min(1).optional(),
    }),
    ({ mountId, ...changes }, { world, applied }) => {
      const row = findMount(world, mountId);
      const before = structuredClone(withRelations(world, row));
      for (const [name, value] of Object.entries(changes)) if (value !== undefined) Object.assign(row, { [name]: value });
      applied({ mountId, composeId: row.composeId });
      return before;
    },
  ),
  'mounts.remove': mutation(z.object({ mountId: text }), ({ mountId }, { world, applied }) => {
    const row = findMount(world, mountId);
    world.state.rows.mounts = world.state.rows.mounts.filter((one) => one !== row);
    applied({ mountId, composeId: row.composeId });
    return row;
  }),
};
