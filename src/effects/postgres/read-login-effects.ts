/**
 * A login for the reading role. Invariants:
 * 1. The password exists as a secret of the home alone; what goes out is its verifier.
 * 2. Written only over the verifier that was there when it was looked at, taken back only over the one that was written (E9); compared by hash.
 */
import { createHash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import * as contract from '../../../machines/effects/access.ts';
import { AppError } from '../../errors.ts';
import { changedBySomebodyElse, type DokployDeps } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe, type TargetRecord } from '../handler.ts';
import { readDocument, storeDocument } from '../plan-artifact.ts';
import { openFor, withSession } from './effects.ts';
import { readOnlyRole } from './ladder.ts';
import { fitsVerifier, scramVerifier } from './scram.ts';
import type { SqlSession } from './session.ts';
import { openTargetSession } from './target-session.ts';

const loginPlan = z.strictObject({
  version: z.literal(1),
  kind: z.literal('readLogin'),
  target: z.string(),
  /** Reference of the password. */
  secret: z.string(),
  verifier: z.string(),
  /** Hash of the verifier that stood there when it was looked at. */
  found: z.string(),
});

type Row = { login: boolean; superuser: boolean; bypass: boolean; verifier: string | null };
type Image = { login: boolean; verifier: string | null };
type Noted = Pick<TargetRecord, 'secrets'>;

const secretName = 'readOnlyPassword';

export function createReadLoginHandlers(deps: DokployDeps) {
  /** pg_authid, which only a superuser reads. */
  const withSuperuser = <T>(ctx: EffectContext, target: string, work: (session: SqlSession) => Promise<T>) =>
    withSession(
      openTargetSession(deps, ctx, target, 'admin', { superuser: true, applicationName: `capstan ${ctx.key}`.slice(0, 63) }),
      work,
    );
  return {
    'postgres.planReadLogin@1': defineHandler(contract.planReadLogin, {
      run: (ctx, { target, renew }) =>
        withSuperuser(ctx, target, async (session) => {
          const row = await roleOf(session);
          const known = (await ctx.target(target)).secrets[secretName];
          const works =
            known !== undefined && row.verifier !== null && row.login && fitsVerifier(await ctx.secrets.reveal(known), row.verifier);
          const password = randomBytes(24).toString('base64url');
          const document = {
            version: 1,
            kind: 'readLogin',
            target,
            secret: ctx.secrets.mint(secretName, password),
            verifier: scramVerifier(password),
            found: hash(row.verifier),
          } as const;
          return {
            ...(await storeDocument(ctx, loginPlan, document)),
            nothing: works && !renew,
            role: readOnlyRole,
            by: session.role,
            rung: session.rung,
            hadPassword: row.verifier !== null,
            notes: notesOf(row, known !== undefined),
          };
        }),
    }),
    'postgres.setReadLogin@1': defineHandler(contract.setReadLogin, {
      async prepare(ctx, input): Promise<Image> {
        const plan = await readDocument(ctx, loginPlan, input);
        return withSuperuser(ctx, input.target, async (session) => {
          const { login, verifier } = await roleOf(session);
          if (hash(verifier) !== plan.found) throw edited(input.target);
          return { login, verifier };
        });
      },
      async run(ctx, input, before) {
        const plan = await readDocument(ctx, loginPlan, input);
        await withSuperuser(ctx, input.target, async (session) => {
          const { login, verifier } = await roleOf(session);
          if (verifier === plan.verifier && login) return;
          if (verifier !== before.verifier && verifier !== plan.verifier) throw edited(input.target);
          await put(session, { login: true, verifier: plan.verifier });
        });
        return { role: readOnlyRole };
      },
      async probe(ctx, input, before): Promise<Probe<{ role: string }>> {
        const plan = await readDocument(ctx, loginPlan, input);
        const { login, verifier } = await withSuperuser(ctx, input.target, roleOf);
        if (verifier === plan.verifier && login) return { state: 'applied', output: { role: readOnlyRole } };
        if (before === undefined || verifier === before.verifier) return { state: 'absent' };
        return { state: 'partial', say: 'the role has a password that is neither the earlier nor the planned one.' };
      },
      async undo(ctx, input, before) {
        const plan = await readDocument(ctx, loginPlan, input);
        await withSuperuser(ctx, input.target, async (session) => {
          const { login, verifier } = await roleOf(session);
          if (verifier === before.verifier && login === before.login) return;
          if (verifier !== plan.verifier) throw edited(input.target);
          await put(session, before);
        });
      },
    }),
    'target.noteReadLogin@1': defineHandler(contract.noteReadLogin, {
      async prepare(ctx, input): Promise<Noted> {
        const { secrets } = await ctx.target(input.target);
        return { secrets };
      },
      async run(ctx, input) {
        const { secret } = await readDocument(ctx, loginPlan, input);
        const target = await ctx.target(input.target);
        if (target.secrets[secretName] !== secret) ctx.saveTarget({ ...target, secrets: { ...target.secrets, [secretName]: secret } });
        return { secret: secretName };
      },
      // Staged only: it stands there when its outcome was committed, and not before.
      async probe(ctx, input): Promise<Probe<{ secret: string }>> {
        const { secret } = await readDocument(ctx, loginPlan, input);
        const stands = (await ctx.target(input.target)).secrets[secretName] === secret;
        return stands ? { state: 'applied', output: { secret: secretName } } : { state: 'absent' };
      },
      async undo(ctx, input, before) {
        const target = await ctx.target(input.target);
        const { [secretName]: earlier } = before.secrets;
        const { [secretName]: _, ...others } = target.secrets;
        ctx.saveTarget({ ...target, secrets: earlier === undefined ? others : { ...others, [secretName]: earlier } });
      },
    }),
    'postgres.proveReadLogin@1': defineHandler(contract.proveReadLogin, {
      run: (ctx, { target }) =>
        withSession(openFor(deps, ctx, target, 'model-read'), async ({ role, rung, reasons }) => {
          if (role === readOnlyRole) return { rung, role };
          throw new AppError('READ_LOGIN_UNUSED', {
            message: `The role has its password, but reading SQL still goes as ${role}: ${reasons.join(' ')}`.slice(0, 1_000),
            fix: 'On /pg/query the login needs PG_META_CRYPTO_KEY, and a fresh password may need a moment at a pooler; hand the key over (targets add), then retry, or roll back.',
          });
        }),
    }),
  };
}

/** Throws ROLE_MISSING, ROLE_IS_SUPERUSER and the session's errors. */
async function roleOf(session: SqlSession): Promise<Row> {
  const { rows } = await session.query<Row>(
    'select rolcanlogin as login, rolsuper as superuser, rolbypassrls as bypass, rolpassword as verifier from pg_catalog.pg_authid where rolname = $1',
    [readOnlyRole],
  );
  const [row] = rows;
  if (row === undefined)
    throw new AppError('ROLE_MISSING', {
      message: `The database has no role ${readOnlyRole}.`,
      fix: 'It comes with the images of Supabase since 2022: upgrade the image of db, or let a person make the role.',
    });
  if (row.superuser)
    throw new AppError('ROLE_IS_SUPERUSER', {
      message: `Somebody made ${readOnlyRole} a superuser, so it is no reading role any more.`,
      fix: 'Take that away first (alter role … nosuperuser), and find out who did it.',
    });
  return row;
}

/** The verifier is of our own making or was read there: base64, digits and `$:=` (or md5…), never a quote. */
async function put(session: SqlSession, { login, verifier }: Image): Promise<void> {
  if (verifier !== null && !/^[\w$:=+/-]+$/.test(verifier)) throw new TypeError('a verifier holds no quote');
  await session.query(
    `alter role ${readOnlyRole} with ${login ? 'login' : 'nologin'} password ${verifier === null ? 'null' : `'${verifier}'`}`,
  );
}

function notesOf({ verifier, bypass }: Row, known: boolean): string[] {
  return [
    ...(verifier === null ? [] : [`The role has a password already${known ? '' : ', which this target does not know'}: it stops working.`]),
    ...(bypass ? ['The role reads every table of every schema, past row security.'] : []),
  ];
}

function hash(verifier: string | null): string {
  return createHash('sha256')
    .update(verifier ?? '')
    .digest('hex');
}

function edited(target: string): AppError {
  return changedBySomebodyElse(`The password of ${readOnlyRole} on ${target}`, { role: readOnlyRole });
}
