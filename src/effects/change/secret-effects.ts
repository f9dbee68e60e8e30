/**
 * The JWT secret that the database keeps for functions of users (`app.settings.jwt_secret`). Invariants:
 * 1. The value travels as a constant of a SELECT, and a DO block takes it from there: neither log_statement = ddl nor
 *    pg_stat_statements, which keep the text of an ALTER DATABASE, ever hold it.
 * 2. Written only over what was there when it was looked at, taken back only over what was written (E9); compared by hash.
 */
import { createHash } from 'node:crypto';
import { storeJwtSecret as contract } from '../../../machines/effects/change.ts';
import { envVariables, parseEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import { addressOf } from '../doctor/live.ts';
import { changedBySomebodyElse } from '../dokploy/session.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { type MetaAccess, queryThroughMeta } from '../supabase/sql.ts';
import { readChange } from './document.ts';

type Image = { secret: string | null };
type Input = { dokploy: string; plan: string; planHash: string };

export function storeJwtSecret() {
  return defineHandler(contract, {
    async prepare(ctx, input): Promise<Image> {
      return { secret: await storedSecret((await open(ctx, input)).access) };
    },
    async run(ctx, input, before) {
      const { access, secret, target } = await open(ctx, input);
      const found = await storedSecret(access);
      if (found !== secret) {
        if (found !== before.secret) throw edited(target);
        await setStoredSecret(access, secret);
        if ((await storedSecret(access)) !== secret) throw notKept(target);
      }
      return { sha256: hash(secret) };
    },
    async probe(ctx, input, before) {
      const { access, secret } = await open(ctx, input);
      const found = await storedSecret(access);
      if (found === secret) return { state: 'applied', output: { sha256: hash(secret) } };
      if (before === undefined || found === before.secret) return { state: 'absent' };
      return { state: 'partial', say: 'the database keeps a secret that is neither the earlier nor the planned one.' };
    },
    async undo(ctx, input, before) {
      const { access, secret, target } = await open(ctx, input);
      const found = await storedSecret(access);
      if (found === before.secret) return;
      if (found !== secret) throw edited(target);
      await setStoredSecret(access, before.secret);
    },
  });
}

async function open(ctx: EffectContext, input: Input): Promise<{ access: MetaAccess; secret: string; target: string }> {
  const plan = await readChange(ctx, input);
  if (plan.jwtSecret === null) throw new TypeError('this plan stores no secret');
  const env = envVariables(parseEnv(plan.deployed.env));
  const url = addressOf({ env, domains: plan.deployed.routes });
  if (!url) throw noAddress(plan.target);
  const { reach } = await ctx.dokploy(input.dokploy);
  const access = { baseUrl: url.origin, serviceKey: env.get('SERVICE_ROLE_KEY') ?? '', reach, signal: ctx.signal };
  return { access, secret: await ctx.secrets.reveal(plan.jwtSecret), target: plan.target };
}

/** Null when the database keeps none. Throws like queryThroughMeta. */
export async function storedSecret(access: MetaAccess): Promise<string | null> {
  const rows = await queryThroughMeta(access, "select current_setting('app.settings.jwt_secret', true) as secret");
  const secret = rows[0]?.['secret'];
  return typeof secret === 'string' && secret !== '' ? secret : null;
}

/** Invariant 1. Null takes the setting away. */
async function setStoredSecret(access: MetaAccess, secret: string | null): Promise<void> {
  const change =
    secret === null
      ? `execute format('alter database %I reset app.settings.jwt_secret', current_database())`
      : `execute format('alter database %I set app.settings.jwt_secret = %L', current_database(), current_setting('capstan.value'))`;
  await queryThroughMeta(
    access,
    `select set_config('capstan.value', ${literal(secret ?? '')}, true); do $capstan$ begin ${change}; end $capstan$;`,
  );
}

/** With standard_conforming_strings, which Supabase never turns off, only the quote is special; a backslash makes it an E string. */
function literal(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return text.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

function hash(secret: string): string {
  return createHash('sha256').update(secret, 'utf8').digest('hex');
}

function edited(target: string): AppError {
  return changedBySomebodyElse(`The JWT secret that the database of ${target} keeps`, { setting: 'app.settings.jwt_secret' });
}

function notKept(target: string): AppError {
  return new AppError('SECRET_NOT_KEPT', {
    message: `The database of ${target} accepted the JWT secret, but a new session reads another one.`,
    fix: 'A role may have a setting of its own: look in pg_db_role_setting.',
    retry: 'ask',
    applied: 'unknown',
  });
}

function noAddress(target: string): AppError {
  return new AppError('TARGET_ADDRESS_UNKNOWN', {
    message: `No public address of ${target} is known, so its database cannot be told the secret.`,
    fix: 'Give it a domain, then retry.',
  });
}
