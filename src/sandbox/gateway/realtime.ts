import type { StackRecord } from '../state.ts';
import { bearerOf, verifyToken } from './jwt.ts';
import { answer, setting, type Upstream } from './upstream.ts';

/** The tenant that the seed creates at every boot. */
export const seededTenant = (stack: StackRecord): string => setting(stack, 'realtime', 'SELF_HOST_TENANT_NAME') || 'realtime-dev';

/** The tenant that a websocket reaches: the first label of the host that the gateway's file sends it to. */
export const routedTenant = (stack: StackRecord): string =>
  /https?:\/\/([\w-]+)[\w.-]*:4000\/socket/.exec(stack.kongYml)?.[1] ?? 'realtime';

/** True if websockets find their tenant; false is the defect of the template. */
export const websocketsWork = (stack: StackRecord): boolean => routedTenant(stack) === seededTenant(stack);

/** Realtime's HTTP side: the health of a tenant. Websockets are answered at the listener. */
export const realtime: Upstream = async ({ stack, path, headers }) => {
  const tenant = /^\/api\/tenants\/([\w-]+)\/health$/.exec(path)?.[1];
  if (tenant === undefined) return answer(404, { message: 'not found' });
  const verdict = await verifyToken(bearerOf(headers) ?? '', setting(stack, 'realtime', 'API_JWT_SECRET'));
  if (!verdict.ok) return answer(401, { message: 'Unauthorized' });
  if (tenant !== seededTenant(stack)) return answer(404, { error: 'not found' });
  return answer(200, { data: { healthy: true, db_connected: true, connected_cluster: 0 } });
};
