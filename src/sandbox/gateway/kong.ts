/**
 * The gateway of a stack, with Kong's contract.
 * 1. `apikey` is compared as text with the two configured keys: a fresh token with the right signature is refused.
 * 2. The admin route is open to the service key only.
 * 3. Authorization is passed on as it came; without one the key itself becomes the bearer.
 */

import type { Database } from '../postgres/database.ts';
import { accessLine, logTo } from '../stack/container-logs.ts';
import { gatewayKeys } from '../stack/stacks.ts';
import type { StackRecord } from '../state.ts';
import { auth } from './auth.ts';
import { meta } from './meta.ts';
import { realtime } from './realtime.ts';
import { rest } from './rest.ts';
import { storage } from './storage.ts';
import { answer, setting, type Upstream } from './upstream.ts';

type Access = 'open' | 'key' | 'admin' | 'closed';
type Route = { prefix: string; access: Access; strip: string; upstream: Upstream };

const functions: Upstream = async ({ path }) =>
  path === '/hello' ? answer(200, 'Hello from Edge Functions!') : answer(404, { msg: 'the sandbox has no such function' });
const notServed: Upstream = async () => answer(404, { message: 'the sandbox does not serve this' });

/** The first prefix that fits wins. */
const routes: Route[] = [
  ...['verify', 'callback', 'authorize', '.well-known/jwks.json'].map(
    (name): Route => ({
      prefix: `/auth/v1/${name}`,
      access: 'open',
      strip: '/auth/v1',
      upstream: auth,
    }),
  ),
  { prefix: '/auth/v1/', access: 'key', strip: '/auth/v1', upstream: auth },
  { prefix: '/rest/v1/', access: 'key', strip: '/rest/v1', upstream: rest },
  { prefix: '/graphql/v1', access: 'key', strip: '/graphql/v1', upstream: notServed },
  { prefix: '/realtime/v1/', access: 'key', strip: '/realtime/v1', upstream: realtime },
  { prefix: '/storage/v1/', access: 'open', strip: '/storage/v1', upstream: storage },
  { prefix: '/functions/v1/', access: 'open', strip: '/functions/v1', upstream: functions },
  { prefix: '/pg/', access: 'admin', strip: '/pg', upstream: meta },
  { prefix: '/api/mcp', access: 'closed', strip: '', upstream: notServed },
  { prefix: '/mcp', access: 'closed', strip: '', upstream: notServed },
];

const own = (status: number, message: string, headers: Record<string, string> = {}): Response =>
  answer(status, { message }, { server: 'kong/3.9.1', ...headers });

/** Kong's refusal, or undefined when the key may pass. */
export function refuseKey(stack: StackRecord, access: Access, given: string | null): Response | undefined {
  if (access === 'open') return undefined;
  if (access === 'closed') return own(403, 'Access denied');
  if (given === null || given === '') return own(401, 'No API key found in request', { 'www-authenticate': 'Key' });
  const { anon, service } = gatewayKeys(stack);
  if (given === service) return undefined;
  if (given !== anon) return own(401, 'Invalid authentication credentials', { 'www-authenticate': 'Key' });
  return access === 'admin' ? own(403, 'You cannot consume this service') : undefined;
}

function studio(stack: StackRecord, headers: Headers): Response {
  const pair = `${setting(stack, 'kong', 'DASHBOARD_USERNAME')}:${setting(stack, 'kong', 'DASHBOARD_PASSWORD')}`;
  if (headers.get('authorization') !== `Basic ${Buffer.from(pair).toString('base64')}`) {
    return own(401, 'Unauthorized', { 'www-authenticate': 'Basic realm="service"' });
  }
  return new Response('<!doctype html><title>Supabase</title><p>The sandbox has no Studio.</p>', {
    headers: { 'content-type': 'text/html' },
  });
}

/** Answers a request to a stack's host, and writes its line into the gateway's log. */
export async function kong(stack: StackRecord, database: Database, request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const response = await pass(stack, database, request);
  logTo(stack, 'kong', accessLine(request.method, `${pathname}${search}`, response.status));
  return response;
}

async function pass(stack: StackRecord, database: Database, request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url);
  const route = routes.find(({ prefix }) => pathname.startsWith(prefix));
  if (route === undefined) return studio(stack, request.headers);
  const given = request.headers.get('apikey') ?? searchParams.get('apikey');
  const refused = refuseKey(stack, route.access, given);
  if (refused !== undefined) return refused;
  const headers = new Headers(request.headers);
  if (!headers.has('authorization') && given !== null && route.access !== 'open') headers.set('authorization', `Bearer ${given}`);
  searchParams.delete('apikey');
  const path = pathname.slice(route.strip.length) || '/';
  const response = await route.upstream({
    stack,
    database,
    method: request.method,
    path,
    query: searchParams,
    headers,
    body: await request.text(),
  });
  response.headers.set('via', '1.1 kong/3.9.1');
  return response;
}
