/** Live proof of a running instance: before a change with what stands there, after it with what was planned. */
import type { z } from 'zod';
import { proveTarget as contract, type proof } from '../../../machines/effects/change.ts';
import { envVariables, parseEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import { gatherLive, type LiveFacts } from '../doctor/live.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { judgeDatabase } from './database/write.ts';
import { type ChangeDocument, type PlannedRoute, readChange } from './document.ts';
import { readSnapshot } from './snapshot.ts';

export type ProveDeps = DokployDeps & {
  /** How long silence is asked again after a change. Default 60 000 ms. */
  verifyPatienceMs?: number;
};

type Proof = z.infer<typeof proof>;

export function proveTarget(deps: ProveDeps) {
  return defineHandler(contract, {
    async run(ctx, input) {
      const { reach } = await ctx.dokploy(input.dokploy);
      const plan = input.plan ? await readChange(ctx, input.plan) : null;
      const asked = plan ? plan.deployed : await readSnapshot(ctx, input.snapshot);
      const until = ctx.now() + (plan ? (deps.verifyPatienceMs ?? 60_000) : 0);
      for (;;) {
        const facts = await liveOf(ctx, { env: asked.env, routes: asked.routes, reach });
        const database = plan?.database ? await asPlanned(deps, ctx, plan) : undefined;
        const result = toProof(facts, { storedSecret: plan?.jwtSecret != null, ...(database === undefined ? {} : { database }) });
        if (result.verdict === 'passed' || ctx.now() >= until || isDefinite(result)) return result;
        ctx.progress(result.say);
        await ctx.sleep(2_500);
      }
    },
  });
}

type Asked = { env: string; routes: readonly PlannedRoute[]; reach: Parameters<typeof gatherLive>[0]['reach'] };

/** What live requests say of an instance with these settings. Throws ABORTED only. */
export function liveOf(ctx: Pick<EffectContext, 'now' | 'signal'>, { env, routes, reach }: Asked): Promise<LiveFacts> {
  return gatherLive({ env: envVariables(parseEnv(env)), domains: routes, reach, now: ctx.now, signal: ctx.signal });
}

/** `database`: whether what was planned inside it reads back; null when it could not be read. */
type Expected = { storedSecret: boolean; database?: boolean | null };

/** Pure: every check must pass; with `storedSecret` the database must know the JWT secret too. */
export function toProof({ live, jwtSecretInDatabase, certificate, unknown, url }: LiveFacts, expected: Expected): Proof {
  if (live === null)
    return {
      verdict: 'unknown',
      url,
      checks: [],
      say: certificate && certificate.state !== 'valid' ? certificate.say : (unknown[0] ?? 'Nothing could be asked.'),
    };
  const checks: Proof['checks'] = live.map(({ name, ok, side, say }) => ({ name, ok, side, say }));
  if (expected.database !== undefined) checks.push(databaseCheck(expected.database));
  if (expected.storedSecret) checks.push(storedSecretCheck(jwtSecretInDatabase));
  const failed = checks.filter(({ ok }) => ok !== true);
  return {
    verdict: failed.length === 0 ? 'passed' : 'failed',
    url,
    checks,
    say:
      failed.length === 0
        ? `all ${checks.length} live checks pass`
        : `${checks.length - failed.length} of ${checks.length} live checks pass: ${failed[0]?.say ?? ''}`,
  };
}

function databaseCheck(ok: boolean | null): Proof['checks'][number] {
  const say = ok === true ? 'The database keeps what was planned.' : 'What was planned inside the database does not read back.';
  return { name: 'database-as-planned', ok, side: ok === true ? 'none' : 'upstream', say };
}

/** Null when nobody could look. Throws ABORTED only. */
async function asPlanned(deps: DokployDeps, ctx: EffectContext, plan: ChangeDocument): Promise<boolean | null> {
  try {
    return (await judgeDatabase(deps, ctx, plan)).every((state) => state === 'after');
  } catch (error) {
    if (error instanceof AppError && error.code !== 'ABORTED') return null;
    throw error;
  }
}

function storedSecretCheck(known: boolean | null): Proof['checks'][number] {
  const name = 'database-knows-secret';
  if (known === true) return { name, ok: true, side: 'none', say: 'The database keeps the JWT secret of the environment.' };
  return {
    name,
    ok: known === false ? false : null,
    side: 'upstream',
    say: 'The database does not keep the JWT secret of the environment.',
  };
}

/** The gateway answers for storage and refuses a key or a signature: time will not mend it. */
function isDefinite({ checks }: Proof): boolean {
  const storage = checks.find(({ name }) => name === 'storage-answers');
  return storage?.ok === true && checks.some(({ ok, side }) => ok === false && (side === 'signature' || side === 'gateway'));
}
