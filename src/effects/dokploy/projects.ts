/** Questions about projects and permissions, answered from rows that were read. Pure. */
import type { EnvironmentRow, ProjectRow } from './schemas.ts';

/** How many services a project holds, of every kind, also kinds that a newer Dokploy adds: each list of objects in an environment counts. */
export function countServices(project: ProjectRow): number {
  return project.environments.reduce((sum, environment) => sum + servicesIn(environment), 0);
}

function servicesIn(environment: EnvironmentRow): number {
  const lists = Object.values(environment).filter((value): value is unknown[] => Array.isArray(value));
  return lists.reduce((sum, list) => sum + list.filter((each) => typeof each === 'object' && each !== null).length, 0);
}

export type Permissions = { state: 'known'; areas: Record<string, Record<string, boolean>> } | { state: 'unknown'; say: string };

const NEEDED: Record<string, string[]> = {
  project: ['create', 'delete'],
  service: ['create', 'read', 'delete'],
  envVars: ['read', 'write'],
  domain: ['read', 'create'],
  deployment: ['read', 'create'],
  docker: ['read'],
};

/**
 * The permissions that the wizard needs and the key's owner lacks, such as `docker.read`.
 * An area that the server does not name at all is unknown to that version and not listed; a call into it may still be refused.
 */
export function missingPermissions(areas: Record<string, Record<string, boolean>>): string[] {
  return Object.entries(NEEDED).flatMap(([area, actions]) =>
    areas[area] === undefined ? [] : actions.filter((action) => areas[area]?.[action] !== true).map((action) => `${area}.${action}`),
  );
}
