/**
 * May a service be deleted with its volumes? Invariants:
 * 1. Refused when the database holds anything of a user; "nobody could ask" is a refusal too, never a yes.
 * 2. Never deployed means that nothing can be lost: no deployment row, no job in the queue.
 * 3. What never came up holds nothing: every deployment failed, no gateway answers, and the database is down or unhealthy.
 * 4. The service key is sent over the plan's own address only, and over https only on a trusted connection (http.ts).
 */
import { AppError } from '../../errors.ts';
import type { EffectContext, MayUndo, Reach } from '../handler.ts';
import type { PlanDocument } from '../supabase/plan-document.ts';
import type { UserData } from '../supabase/sql.ts';
import type { DokployClient } from './client.ts';
import type { ComposeOne } from './schemas.ts';

export async function mayRemoveService(
  ctx: EffectContext,
  client: DokployClient,
  service: ComposeOne,
  plan: PlanDocument,
  reach: Reach,
): Promise<MayUndo> {
  const deployments = await client.deployments(service.composeId);
  const queued = (await client.queue()).some((job) => job.data.composeId === service.composeId);
  if (deployments.length === 0 && !queued) return { ok: true };
  const { userData } = await import('../supabase/sql.ts');
  try {
    const serviceKey = await ctx.secrets.reveal(plan.keys.serviceRole);
    return judgeUserData(plan.name, await userData({ baseUrl: plan.url, serviceKey, reach, signal: ctx.signal, timeoutMs: 20_000 }));
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'ABORTED') throw error;
    const counted = await countInside(ctx, client, service.composeId);
    if (counted) return judgeUserData(plan.name, counted);
    const neverUp = !queued && deployments.every((row) => row.status === 'error' || row.status === 'cancelled');
    if (neverUp && !(await databaseLives(client, service, plan)) && (await nothingAnswered(ctx, error, plan.url, reach)))
      return { ok: true };
    return {
      ok: false,
      code: 'UNDO_STATE_UNKNOWN',
      message: `The service of "${plan.name}" was deployed, and its database cannot be asked whether it holds user data, neither through the gateway nor in its container. ${error.message}`,
      fix: 'Make the instance reachable and roll back again; or look into it yourself, remove the service in Dokploy, and roll back then.',
    };
  }
}

/** The second way to ask; undefined when it does not answer either. */
async function countInside(ctx: EffectContext, client: DokployClient, composeId: string): Promise<UserData | undefined> {
  const { userDataByExec } = await import('./exec-user-data.ts');
  try {
    return await userDataByExec(ctx, client, composeId);
  } catch (error) {
    if (error instanceof AppError && error.code !== 'ABORTED') return undefined;
    throw error;
  }
}

/** Refused as soon as one table, user or object of a user exists. */
export function judgeUserData(name: string, { tables, users, objects }: UserData): MayUndo {
  if (tables === 0 && users === 0 && objects === 0) return { ok: true };
  return {
    ok: false,
    code: 'USER_DATA_EXISTS',
    message: `The database of "${name}" holds user data: ${tables} table(s), ${users} user(s), ${objects} stored object(s). Removing it would destroy them.`,
    fix: 'Back them up and remove them first, or hand the instance over and keep it.',
  };
}

/** True when a container of the database runs and is not known to be unhealthy: something may live in it. */
async function databaseLives(client: DokployClient, service: ComposeOne, plan: PlanDocument): Promise<boolean> {
  const containers = await client.containers(service.appName, plan.serverId);
  return (
    containers.state === 'known' &&
    containers.rows.some((row) => row.service === 'db' && row.state === 'running' && row.health !== 'unhealthy')
  );
}

const unreachable = new Set(['HOST_NOT_FOUND', 'CONNECTION_REFUSED', 'HOST_UNREACHABLE', 'CONNECTION_TIMEOUT']);

/** True when no gateway stands behind the address: no connection, or only the proxy's own "no such route" and "no backend". */
async function nothingAnswered(ctx: EffectContext, error: AppError, url: string, reach: Reach): Promise<boolean> {
  if (unreachable.has(error.code)) return true;
  const { createHttp } = await import('../http/http.ts');
  try {
    const answer = await createHttp(reach, { signal: ctx.signal, timeoutMs: 10_000 }).request({
      method: 'GET',
      url: `${url}/storage/v1/status`,
    });
    return [404, 502, 503, 504].includes(answer.status);
  } catch (failure) {
    return failure instanceof AppError && unreachable.has(failure.code);
  }
}
