import { type Document, isMap, isSeq, parseDocument, type YAMLMap } from 'yaml';
import { ApiFailure } from './procedure.ts';
import type { ComposeRow, DomainRow } from './rows.ts';

/** The labels that make Traefik route a host to a service. */
function labels(appName: string, domain: DomainRow): string[] {
  const router = (entry: string) => `traefik.http.routers.${appName}-${domain.uniqueConfigKey}-${entry}`;
  const path = domain.path === '/' || domain.path === null ? '' : ` && PathPrefix(\`${domain.path}\`)`;
  const lines = (entry: 'web' | 'websecure') => [
    `${router(entry)}.rule=Host(\`${domain.host}\`)${path}`,
    `${router(entry)}.entrypoints=${entry}`,
    `${router(entry).replace('.routers.', '.services.')}.loadbalancer.server.port=${domain.port}`,
    `${router(entry)}.service=${appName}-${domain.uniqueConfigKey}-${entry}`,
  ];
  if (!domain.https) return lines('web');
  const resolver = domain.certificateType === 'letsencrypt' ? [`${router('websecure')}.tls.certresolver=letsencrypt`] : [];
  return [...lines('web'), `${router('web')}.middlewares=redirect-to-https@file`, ...lines('websecure'), ...resolver];
}

function append(service: YAMLMap, key: string, values: string[], document: Document): void {
  const existing = service.get(key, true);
  if (isSeq(existing)) for (const value of values) existing.add(document.createNode(value));
  else if (isMap(existing)) for (const value of values) existing.set(value.split('=')[0], value.slice(value.indexOf('=') + 1));
  else service.set(key, document.createNode(values));
}

/** The compose text as it would be deployed: with Traefik's labels and Dokploy's networks. Throws on an unknown service. */
export function convertCompose(compose: ComposeRow, domains: DomainRow[]): string {
  const enabled = domains.filter((domain) => domain.enabled);
  if (enabled.length === 0) return compose.composeFile;
  const document = parseDocument(compose.composeFile);
  const network = compose.isolatedDeployment ? compose.appName : 'dokploy-network';
  for (const domain of enabled) {
    const service = document.getIn(['services', domain.serviceName]);
    if (!isMap(service)) {
      const message = `Domain "${domain.host}" is attached to service "${domain.serviceName}" which does not exist in the compose`;
      throw new ApiFailure('INTERNAL_SERVER_ERROR', message);
    }
    append(service, 'labels', [`traefik.docker.network=${network}`, ...labels(compose.appName, domain), 'traefik.enable=true'], document);
    append(service, 'networks', compose.isolatedDeployment ? [network] : [network, 'default'], document);
  }
  const own = compose.isolatedDeployment ? { name: network, external: true } : { external: true };
  document.setIn(['networks', network], document.createNode(own));
  return document.toString();
}
