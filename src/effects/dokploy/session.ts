/** What every Dokploy effect needs: the client of this call, the sign of our operation, and the one error of E9. */
import { AppError } from '../../errors.ts';
import type { EffectContext } from '../handler.ts';
import type { DokployClient } from './client.ts';
import type { Limiter } from './rate-limit.ts';

export type DokployDeps = {
  /** The limiter of a dokploy, shared by all calls of this process. */
  limiterFor: (name: string) => Limiter;
};

/** Loads the client lazily, so that a start without a call stays fast. */
export async function openDokploy(deps: DokployDeps, ctx: EffectContext, name: string): Promise<DokployClient> {
  const { createDokployClient } = await import('./client.ts');
  return createDokployClient(await ctx.dokploy(name), { limiter: deps.limiterFor(name), signal: ctx.signal });
}

/** The text by which a thing on the other side is known as ours (E6). */
export function signOf(ctx: Pick<EffectContext, 'key'>): string {
  return `capstan ${ctx.key}`;
}

/** True when a description carries the key of this very operation, as a whole word. */
export function isOurs(description: string | null | undefined, ctx: Pick<EffectContext, 'key'>): boolean {
  return (description ?? '').split(/\s+/).includes(ctx.key);
}

/** Undefined in place of DOKPLOY_NOT_FOUND; every other error stays one. */
export async function orMissing<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read;
  } catch (error) {
    if (error instanceof AppError && error.code === 'DOKPLOY_NOT_FOUND') return undefined;
    throw error;
  }
}

/** E9: what stands there is neither what was found before nor what we wrote. Nothing was overwritten. */
export function changedBySomebodyElse(what: string, details: Record<string, unknown>): AppError {
  return new AppError('CHANGED_BY_SOMEBODY_ELSE', {
    message: `${what} was changed by somebody else between the look and the write; nothing was overwritten.`,
    fix: 'Compare the three versions in the details, put right in Dokploy what should stand there, then let the run retry or give up.',
    retry: 'ask',
    details,
  });
}

/** An undo whose result does not read back. */
export function notTakenBack(what: string, fix: string): AppError {
  return new AppError('UNDO_NOT_KEPT', {
    message: `Dokploy accepted the removal of ${what}, but it is still there.`,
    fix,
    retry: 'ask',
    applied: 'unknown',
  });
}
