/** Where a container of the same network finds the database of a stack that a Dokploy runs. Pure. */
import type { KeptAddress } from './sql-target.ts';
import type { DockerName } from './this-database.ts';

export type DockerPlace = KeptAddress & { docker: DockerName };

/**
 * Docker compose names a container by project, service and number, and Dokploy's project is the service's appName, which no other has; `db` is the
 * name of every stack's database. The tenant in the login is the pooler's own, whatever its name.
 */
export function dockerPlaces(appName: string, tenant: string | null): DockerPlace[] {
  const place = { port: 5432, database: 'postgres', ssl: 'disable', role: 'postgres', password: null, dockerInternal: true } as const;
  const named = /^[a-z0-9][\w.-]*$/i.test(appName);
  const direct = (host: string, docker: DockerName): DockerPlace => ({
    ...place,
    host,
    docker,
    user: 'postgres',
    mode: 'direct',
    tenant: null,
  });
  const pooled = (host: string): DockerPlace[] =>
    tenant === null ? [] : [{ ...place, host, docker: 'own', user: `postgres.${tenant}`, mode: 'session', tenant }];
  return [
    ...(named ? [direct(`${appName}-db-1`, 'own')] : []),
    direct('db', 'shared'),
    ...(named ? pooled(`${appName}-supavisor-1`) : []),
    ...pooled('supavisor'),
  ];
}
