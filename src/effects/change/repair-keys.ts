/** Planning the repair of keys: the doctor says what is wrong, new ones are minted and checked, the plan holds the whole new text. */
import { planRepair as contract } from '../../../machines/effects/repair-keys.ts';
import { diagnose } from '../../doctor/diagnose.ts';
import type { Facts } from '../../doctor/facts.ts';
import { readToken, textClaim } from '../../doctor/tokens.ts';
import { envVariables, parseEnv, printEnv, setEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import { factsOfTexts, hmacSha256 } from '../doctor/texts.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { assertApiKeys, keyLifetimeSeconds, makeApiKeys } from '../supabase/keys.ts';
import { generateSecrets } from '../supabase/secrets.ts';
import { toCamelCase } from '../target/effects.ts';
import { signingKeysWith, verifyingKeysWith } from './key-sets.ts';
import { planChange, type Wanted } from './plan.ts';
import { liveOf } from './prove-effects.ts';
import { decideRepair, type Repair, sayRepair } from './repair-decision.ts';
import { assertReadable, readSnapshot, type SnapshotDocument } from './snapshot.ts';

export function planRepair() {
  return defineHandler(contract, {
    async run(ctx, input) {
      const snapshot = await readSnapshot(ctx, input.snapshot);
      assertReadable(snapshot);
      const wish = { workflow: 'repair-keys', wantsNewSecret: input.request.newSecret === true };
      return planChange(ctx, snapshot, await wantedKeys(ctx, snapshot, wish));
    },
  });
}

type Wish = { workflow: string; wantsNewSecret: boolean };

/** What shall differ so that the keys are right; with `wantsNewSecret` also where nothing is wrong with the present one. Throws REPAIR_INCOMPLETE. */
export async function wantedKeys(
  ctx: EffectContext,
  snapshot: SnapshotDocument,
  { workflow, wantsNewSecret }: Wish,
): Promise<Wanted & { env: string }> {
  const { reach } = await ctx.dokploy(snapshot.dokploy);
  const { url: _, ...live } = await liveOf(ctx, { env: snapshot.env, routes: snapshot.routes, reach });
  const { findings } = diagnose(factsOf(snapshot, snapshot.env, live), { now: ctx.now(), hmac: hmacSha256 });
  const env = envVariables(parseEnv(snapshot.env));
  const repair = decideRepair({
    env,
    findings,
    live: live.live,
    jwtSecretInDatabase: live.jwtSecretInDatabase,
    serviceKeyGivenAway: isGivenAway(env),
    wantsNewSecret,
  });
  const others = findings.filter(({ severity }) => severity === 'critical' || severity === 'error').map(({ code }) => code);
  const values = await newValues(env, repair, ctx.now());
  const text = printEnv([...values].reduce((written, [name, value]) => setEnv(written, name, value), parseEnv(snapshot.env)));
  if (values.size > 0) await assertRepaired(snapshot, text, ctx.now());
  const minted = mint(ctx, values);
  const secret = repair.storeSecret ? (minted['JWT_SECRET'] ?? ctx.secrets.mint('JWT_SECRET', env.get('JWT_SECRET') ?? '')) : undefined;
  return {
    workflow,
    env: text,
    deploy: repair.deployOnly,
    ...(secret === undefined ? {} : { jwtSecret: secret }),
    note: noteOf(minted, repair, ctx.now()),
    why: repair.why,
    say: sayRepair(repair, [...new Set(others)]),
    warnings:
      live.live === null
        ? [{ code: 'NOT_PROVEN', say: `The keys could not be tried by live requests: ${live.unknown[0] ?? 'nothing answered'}` }]
        : [],
  };
}

function factsOf({ compose, routes }: SnapshotDocument, env: string, more: Partial<Facts> = {}): Facts {
  return { ...factsOfTexts({ env, compose }), domains: routes, ...more };
}

/** A token with the role service_role that this very secret signed, in the variable that browsers get. */
function isGivenAway(env: ReadonlyMap<string, string>): boolean {
  const token = readToken(env.get('ANON_KEY') ?? '');
  return (
    token !== undefined &&
    textClaim(token, 'role') === 'service_role' &&
    hmacSha256(env.get('JWT_SECRET') ?? '', token.signed) === token.signature
  );
}

/** Only what is to be replaced, by variable. */
async function newValues(env: ReadonlyMap<string, string>, repair: Repair, now: number): Promise<Map<string, string>> {
  const values = new Map<string, string>();
  const standing = env.get('JWT_SECRET') ?? '';
  const secret = repair.newSecret ? generateSecrets().JWT_SECRET : standing;
  if (repair.newSecret) values.set('JWT_SECRET', secret);
  if (repair.keys.length > 0) {
    const keys = await makeApiKeys(secret, now);
    const made = { ANON_KEY: keys.anonKey, SERVICE_ROLE_KEY: keys.serviceRoleKey };
    for (const name of repair.keys) values.set(name, made[name]);
    const both = {
      anonKey: values.get('ANON_KEY') ?? env.get('ANON_KEY') ?? '',
      serviceRoleKey: values.get('SERVICE_ROLE_KEY') ?? env.get('SERVICE_ROLE_KEY') ?? '',
    };
    await assertApiKeys(both, secret, now);
  }
  const signing = env.get('JWT_KEYS') ?? '';
  if (repair.keySets.includes('JWT_KEYS')) values.set('JWT_KEYS', signingKeysWith(signing, secret));
  if (repair.keySets.includes('JWT_JWKS')) values.set('JWT_JWKS', verifyingKeysWith(env.get('JWT_JWKS') ?? '', signing, secret));
  return values;
}

const ours = ['JWT_SECRET', 'ANON_KEY', 'SERVICE_ROLE_KEY', 'JWT_KEYS', 'JWT_JWKS'];

/** The doctor must have nothing against the keys of the text that will be written. Throws REPAIR_INCOMPLETE. */
async function assertRepaired(snapshot: SnapshotDocument, text: string, now: number): Promise<void> {
  const { findings } = diagnose(factsOf(snapshot, text), { now, hmac: hmacSha256 });
  const left = findings.filter(({ at, severity }) => ours.includes(at) && (severity === 'critical' || severity === 'error'));
  if (left.length === 0) return;
  throw new AppError('REPAIR_INCOMPLETE', {
    message: `The new keys would not be right either: ${left.map(({ code, at }) => `${code} at ${at}`).join(', ')}.`,
    fix: 'Report it with the code; nothing was written.',
  });
}

/** References to the secrets among the new values. */
function mint(ctx: EffectContext, values: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...values].map(([name, value]) => [name, ctx.secrets.mint(name, value)]));
}

function noteOf(minted: Record<string, string>, { keys }: Repair, now: number) {
  return {
    secrets: Object.fromEntries(Object.entries(minted).map(([name, reference]) => [toCamelCase(name), reference])),
    facts: keys.length === 2 ? { keysExpireAt: new Date((Math.floor(now / 1000) + keyLifetimeSeconds) * 1000).toISOString() } : {},
  };
}
