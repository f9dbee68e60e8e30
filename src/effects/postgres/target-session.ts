/** A SQL session on a registered target, for one effect. */
import { type DokployDeps, openDokploy } from '../dokploy/session.ts';
import type { EffectContext } from '../handler.ts';
import { type OpenOptions, openSession } from './open.ts';
import type { Purpose, SqlSession } from './session.ts';

/** Whoever opens it closes it. Throws TARGET_UNKNOWN and the codes of openSession. */
export async function openTargetSession(
  deps: DokployDeps,
  ctx: EffectContext,
  target: string,
  purpose: Purpose,
  options: OpenOptions = {},
): Promise<SqlSession> {
  const { toSqlTarget } = await import('./sql-target.ts');
  const ways = await toSqlTarget(await ctx.target(target), {
    reveal: ctx.secrets.reveal,
    dokploy: ctx.dokploy,
    client: ({ name }) => openDokploy(deps, ctx, name),
  });
  return openSession(ways, purpose, { signal: ctx.signal, ...options });
}
