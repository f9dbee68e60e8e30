/** What a request about a domain makes of routes and addresses. Pure. */

import type { DomainRequest } from '../../../machines/effects/manage-domain.ts';
import { isNumericHost } from '../../../machines/effects/shapes.ts';
import { isGateway } from '../../doctor/look.ts';
import { AppError } from '../../errors.ts';
import type { PlannedRoute } from './document.ts';

export type DomainDecision = {
  routes: PlannedRoute[];
  /** The route whose host, https or certificate is new; null for a removal. */
  fresh: PlannedRoute | null;
  /** Whose place in the addresses the new origin takes: hosts of earlier routes; empty when the addresses stay. */
  follows: { from: string[]; origin: string } | null;
};

/** Throws DOMAIN_UNKNOWN, DOMAIN_EXISTS, DOMAIN_LAST and DOMAIN_REQUEST_UNCLEAR. */
export function decideDomain(
  routes: readonly PlannedRoute[],
  gateway: string,
  request: DomainRequest,
  publicHost: string | null,
): DomainDecision {
  switch (request.action) {
    case 'add':
      return add(routes, gateway, request, publicHost);
    case 'change':
      return change(routes, gateway, request);
    case 'remove':
      return remove(routes, request, publicHost);
    default:
      return request.action satisfies never;
  }
}

function add(routes: readonly PlannedRoute[], gateway: string, request: DomainRequest, publicHost: string | null): DomainDecision {
  if (request.newHost !== undefined || request.toGateway !== undefined) throw unclear('newHost and toGateway belong to change.');
  if (isNumericHost(request.host)) throw unclear('A domain is a name, not an IP address.');
  if (routes.some(({ host }) => sameHost(host, request.host))) throw exists(request.host);
  const certificateType = request.certificate ?? 'letsencrypt';
  const fresh: PlannedRoute = {
    domainId: null,
    host: request.host,
    https: certificateType !== 'none',
    certificateType,
    port: 8000,
    path: '/',
    serviceName: gateway,
  };
  // The first domain of an instance is its address.
  const follow = request.urlsFollow ?? routes.length === 0;
  const from = [...routes.filter(({ serviceName }) => isGateway(serviceName)).map(({ host }) => host), ...(publicHost ? [publicHost] : [])];
  return { routes: [...routes, fresh], fresh, follows: follow ? { from, origin: originOf(fresh) } : null };
}

function change(routes: readonly PlannedRoute[], gateway: string, request: DomainRequest): DomainDecision {
  const found = routes.find(({ host }) => sameHost(host, request.host));
  if (!found) throw unknownHost(request.host, routes);
  const host = request.newHost ?? found.host;
  if (!sameHost(host, found.host) && routes.some((route) => sameHost(route.host, host))) throw exists(host);
  const certificateType = request.certificate ?? (found.https ? found.certificateType : 'letsencrypt');
  const place = request.toGateway === true ? { serviceName: gateway, port: 8000, path: '/' } : {};
  const fresh = { ...found, ...place, host, https: certificateType !== 'none', certificateType };
  const all = routes.map((route) => (route === found ? fresh : route));
  const follow = request.urlsFollow ?? true;
  return { routes: all, fresh, follows: follow ? { from: [found.host], origin: originOf(fresh) } : null };
}

function remove(routes: readonly PlannedRoute[], request: DomainRequest, publicHost: string | null): DomainDecision {
  if (request.newHost !== undefined || request.certificate !== undefined || request.toGateway !== undefined)
    throw unclear('A removal takes the host only.');
  const left = routes.filter(({ host }) => !sameHost(host, request.host));
  if (left.length === routes.length) throw unknownHost(request.host, routes);
  const other = left.find(({ serviceName }) => isGateway(serviceName));
  if (!other)
    throw new AppError('DOMAIN_LAST', {
      message: `${request.host} is the last domain of this instance: without it nobody reaches it, and nothing could be proven.`,
      fix: 'Add another domain first, or change this one (action change, newHost).',
    });
  const follow = request.urlsFollow ?? (publicHost !== null && sameHost(publicHost, request.host));
  return { routes: left, fresh: null, follows: follow ? { from: [request.host], origin: originOf(other) } : null };
}

/** Variables that say where the instance is; each element of a comma list follows by itself. */
export const addressVariables = ['SUPABASE_PUBLIC_URL', 'API_EXTERNAL_URL', 'SITE_URL', 'ADDITIONAL_REDIRECT_URLS'] as const;

/** The new values of the addresses, by variable; only those that change. SUPABASE_HOST is a host, the others are addresses. */
export function followingAddresses(
  env: ReadonlyMap<string, string>,
  { from, origin }: { from: string[]; origin: string },
): Map<string, string> {
  const out = new Map<string, string>();
  const put = (name: string, value: string) => {
    if (env.get(name) !== value) out.set(name, value);
  };
  for (const name of addressVariables) {
    const value = env.get(name);
    if (value !== undefined)
      put(
        name,
        value
          .split(',')
          .map((element) => moved(element, from, origin))
          .join(','),
      );
  }
  const host = env.get('SUPABASE_HOST');
  if (host !== undefined && from.some((each) => sameHost(each, host))) put('SUPABASE_HOST', new URL(origin).host);
  return out;
}

/** Scheme and host change, path, wildcard and spaces stay as they were. */
function moved(element: string, from: readonly string[], origin: string): string {
  const match = /^(\s*)(https?:\/\/)([^/\s?#:]+)(:\d+)?(.*)$/s.exec(element);
  if (!match || !from.some((host) => sameHost(host, match[3] ?? ''))) return element;
  return `${match[1]}${origin}${match[5]}`;
}

function originOf({ host, https }: PlannedRoute): string {
  return `${https ? 'https' : 'http'}://${host}`;
}

function sameHost(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

function exists(host: string): AppError {
  return new AppError('DOMAIN_EXISTS', {
    message: `This instance has the domain ${host} already.`,
    fix: 'Use action change to alter it.',
  });
}

function unknownHost(host: string, routes: readonly PlannedRoute[]): AppError {
  return new AppError('DOMAIN_UNKNOWN', {
    message: `This instance has no domain ${host}.`,
    fix: routes.length === 0 ? 'It has none: use action add.' : 'Take one of the hosts in the details.',
    details: { hosts: routes.map((route) => route.host).slice(0, 20) },
  });
}

function unclear(message: string): AppError {
  return new AppError('DOMAIN_REQUEST_UNCLEAR', { message, fix: 'See list_workflows with name manage-domain.' });
}
