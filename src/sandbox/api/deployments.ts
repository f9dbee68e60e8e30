import { z } from 'zod';
import { tailOf } from '../deploy-log.ts';
import { ApiFailure, mutation, nothing, number, orNotFound, type Procedure, query, text } from '../procedure.ts';
import type { DeploymentRow } from '../rows.ts';
import type { World } from '../world.ts';
import { findCompose } from './compose.ts';

const newestFirst = (rows: DeploymentRow[]): DeploymentRow[] => [...rows].reverse();

const findDeployment = (world: World, id: string) =>
  orNotFound(
    world.state.rows.deployments.find((row) => row.deploymentId === id),
    'Deployment',
  );

function servicePath(world: World, composeId: string) {
  const { composes, environments } = world.state.rows;
  const compose = composes.find((row) => row.composeId === composeId);
  const environment = environments.find((row) => row.environmentId === compose?.environmentId);
  const project = `/dashboard/project/${environment?.projectId}/environment/${environment?.environmentId}`;
  return { href: `${project}/services/compose/${composeId}`, label: 'Compose' };
}

/** Router deployment. */
export const deployments: Record<string, Procedure> = {
  'deployment.allByCompose': query(z.object({ composeId: text.min(1) }), ({ composeId }, { world }) => {
    findCompose(world, composeId);
    return newestFirst(world.state.rows.deployments.filter((row) => row.composeId === composeId));
  }),
  'deployment.allByType': query(
    z.object({ id: text, type: z.enum(['application', 'compose', 'server', 'schedule', 'previewDeployment', 'backup', 'volumeBackup']) }),
    ({ id, type }, { world }) => {
      const key = type === 'compose' ? 'composeId' : type === 'schedule' ? 'scheduleId' : undefined;
      const rows = key === undefined ? [] : world.state.rows.deployments.filter((row) => row[key] === id);
      return newestFirst(rows).map((row) => ({ ...row, rollback: null }));
    },
    '0.22.0',
  ),
  // For applications only: a compose id finds nothing.
  'deployment.all': query(z.object({ applicationId: text }), () => []),
  'deployment.queueList': query(
    nothing,
    (_input, { world }) => world.queue.list().map((job) => ({ ...job, servicePath: servicePath(world, job.data.composeId) })),
    '0.28.3',
  ),
  'deployment.readLogs': query(
    z.object({ deploymentId: text.min(1), tail: number.min(1).max(10_000).default(100) }),
    ({ deploymentId, tail }, { world }) => {
      findDeployment(world, deploymentId);
      return tailOf(world.state.rows.deploymentLogs[deploymentId] ?? '', tail);
    },
    '0.29.5',
  ),
  // Compose deployments have no process id, so this never works for them.
  'deployment.killProcess': mutation(z.object({ deploymentId: text }), ({ deploymentId }, { world }) => {
    findDeployment(world, deploymentId);
    throw new ApiFailure('BAD_REQUEST', 'Deployment is not running');
  }),
  'deployment.removeDeployment': mutation(
    z.object({ deploymentId: text }),
    ({ deploymentId }, { world, applied }) => {
      const row = findDeployment(world, deploymentId);
      world.state.rows.deployments = world.state.rows.deployments.filter((one) => one !== row);
      delete world.state.rows.deploymentLogs[deploymentId];
      applied({ deploymentId });
      return row;
    },
    '0.27.1',
  ),
};
