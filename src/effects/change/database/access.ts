/** A superuser's session on the database of a changed instance, by the texts of its plan and not by what the target's record knows. */
import { envVariables, parseEnv } from '../../../env-text.ts';
import { AppError } from '../../../errors.ts';
import { addressOf } from '../../doctor/live.ts';
import { runInContainer } from '../../dokploy/run-in-container.ts';
import { type DokployDeps, openDokploy } from '../../dokploy/session.ts';
import type { EffectContext } from '../../handler.ts';
import { superuserRole } from '../../postgres/ladder.ts';
import { openSession, type SqlTarget } from '../../postgres/open.ts';
import type { SqlSession } from '../../postgres/session.ts';
import type { PlannedRoute } from '../document.ts';

/** Which instance, with the texts that it runs with. */
export type Instance = { target: string; dokploy: string; composeId: string; env: string; routes: readonly PlannedRoute[] };

/** Whoever opens it closes it. Throws the codes of openSession, and SUPERUSER_NEEDED. */
export async function openAdmin(deps: DokployDeps, ctx: EffectContext, instance: Instance, database: string): Promise<SqlSession> {
  const { reach } = await ctx.dokploy(instance.dokploy);
  return superuser(
    await openSession({ ...targetOf(deps, ctx, instance), reach }, 'admin', { database, signal: ctx.signal, timeoutMs: 30_000 }),
    instance.target,
  );
}

/**
 * The way that no password opens or closes: psql inside the database container, which trusts its own loopback address. A wrong password is
 * sent along, so that a server that asks for one refuses it. Throws SECOND_WAY_CLOSED with the reason.
 */
export async function openWithoutPassword(
  deps: DokployDeps,
  ctx: EffectContext,
  instance: Instance,
  database: string,
): Promise<SqlSession> {
  const { exec, name } = targetOf(deps, ctx, instance);
  const { reach } = await ctx.dokploy(instance.dokploy);
  try {
    const ways: SqlTarget = { name, reach, addresses: [], exec: { ...exec, withoutPassword: true } };
    const options = { rung: 'exec', database, signal: ctx.signal, timeoutMs: 30_000 } as const;
    return superuser(await openSession(ways, 'admin', options), instance.target);
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'ABORTED' || error.retry === 'later') throw error;
    throw new AppError('SECOND_WAY_CLOSED', {
      message: `psql inside the database container of ${instance.target} does not open as a superuser without a password (${error.code}): if the new password failed there would be no way back in, so nothing is changed.`,
      fix: 'Check that Dokploy is 0.29.14 or later, that the service db runs, and that its pg_hba.conf trusts 127.0.0.1; then look again.',
      cause: error,
    });
  }
}

type Ways = Omit<SqlTarget, 'reach' | 'exec'> & { exec: NonNullable<SqlTarget['exec']> };

function targetOf(deps: DokployDeps, ctx: EffectContext, { target, dokploy, composeId, env, routes }: Instance): Ways {
  const values = envVariables(parseEnv(env));
  const url = addressOf({ env: values, domains: routes });
  const [serviceKey, cryptoKey, password] = ['SERVICE_ROLE_KEY', 'PG_META_CRYPTO_KEY', 'POSTGRES_PASSWORD'].map((name) => values.get(name));
  const place = { composeId, serviceName: 'db' };
  return {
    name: target,
    addresses: [],
    ...(url === undefined || serviceKey === undefined || cryptoKey === undefined
      ? {}
      : { meta: { baseUrl: url.origin, serviceKey, cryptoKey, logins: [{ role: superuserRole, password: password ?? '' }] } }),
    exec: {
      run: async (command, timeoutMs) => runInContainer(await openDokploy(deps, ctx, dokploy), place, command, timeoutMs, ctx.now()),
    },
  };
}

async function superuser(session: SqlSession, target: string): Promise<SqlSession> {
  if (session.superuser) return session;
  await session.close();
  throw new AppError('SUPERUSER_NEEDED', {
    message: `The database of ${target} opens as ${session.role} only, which is no superuser and may not change this.`,
    fix: 'Check that psql inside the database container may log in as supabase_admin.',
  });
}
