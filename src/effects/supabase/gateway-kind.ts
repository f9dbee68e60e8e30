/** Which gateway answers for an instance, told by one request without a key that every gateway of Supabase refuses in its own words. */
import type { Reach } from '../handler.ts';
import { createHttp, type HttpAnswer } from '../http/http.ts';

export type GatewayKind = 'kong' | 'envoy' | 'cloud' | 'unknown';
export type Told<T> = { value: T; because: string };

/** Pure: the reading of that answer. */
export function gatewayOf({ status, headers, text }: Pick<HttpAnswer, 'status' | 'headers' | 'text'>): Told<GatewayKind> {
  const server = headers['server'] ?? '';
  if (headers['sb-project-ref'] !== undefined || headers['sb-gateway-version'] !== undefined)
    return { value: 'cloud', because: 'it answers with headers of the cloud (sb-…)' };
  if (/kong/i.test(server) || /kong/i.test(headers['via'] ?? '')) return { value: 'kong', because: 'it names itself Kong' };
  if (/envoy/i.test(server) || headers['x-envoy-upstream-service-time'] !== undefined)
    return { value: 'envoy', because: 'it names itself Envoy' };
  if (/No API key found in request/.test(text)) return { value: 'kong', because: 'it refuses a missing key in Kong’s words' };
  if (/RBAC: access denied/.test(text)) return { value: 'envoy', because: 'it refuses a missing key in Envoy’s words' };
  return { value: 'unknown', because: `its answer (status ${status}) is of no known gateway` };
}

/** Sends no key. Throws the codes of http/failure.ts. */
export async function askGateway(baseUrl: string, reach: Reach, signal?: AbortSignal): Promise<Told<GatewayKind>> {
  const http = createHttp(reach, { timeoutMs: 10_000, ...(signal ? { signal } : {}) });
  return gatewayOf(await http.request({ method: 'GET', url: `${baseUrl}/rest/v1/`, maxBytes: 64 * 1024 }));
}
