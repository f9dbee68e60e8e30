/**
 * Planning a new database password. Invariants:
 * 1. Every role that has the present password gets the new one, and so do the roles that Supabase's services log in as.
 * 2. What is written inside the database are verifiers and sealed passwords, computed here; the earlier ones stand in the encrypted plan.
 * 3. Nothing is planned unless a superuser gets in without any password: that way is not closed by what is planned.
 */
import { z } from 'zod';
import { envVariables, parseEnv, printEnv, setEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import type { EffectContext } from '../handler.ts';
import type { SqlSession } from '../postgres/session.ts';
import { generateSecrets } from '../supabase/secrets.ts';
import { openWithoutPassword } from './database/access.ts';
import { type Cell, type DatabaseDocument, nameOf } from './database/cells.ts';
import { openInner } from './database/look.ts';
import { openFromPooler, sealForPooler } from './database/pooler-vault.ts';
import { isPasswordOf, makeVerifier } from './database/scram.ts';
import { replacePassword } from './embedded-password.ts';
import type { Wanted } from './plan.ts';
import type { SnapshotDocument } from './snapshot.ts';

/** The roles that the template gives POSTGRES_PASSWORD at the first start. */
const serviceRoles = [
  'postgres',
  'supabase_admin',
  'authenticator',
  'pgbouncer',
  'supabase_auth_admin',
  'supabase_functions_admin',
  'supabase_storage_admin',
];

export type PasswordChange = Required<Pick<Wanted, 'env' | 'compose' | 'files' | 'database' | 'why'>> & {
  warnings: NonNullable<Wanted['warnings']>;
  password: string;
};

/** Reads only. Throws SECOND_WAY_CLOSED, VAULT_KEY_UNUSABLE, POSTGRES_PASSWORD_MISSING. */
export async function planPassword(
  deps: DokployDeps,
  ctx: EffectContext,
  snapshot: SnapshotDocument,
  env: string,
): Promise<PasswordChange> {
  const values = envVariables(parseEnv(snapshot.env));
  const present = values.get('POSTGRES_PASSWORD') ?? '';
  if (present === '') throw missing(snapshot.target);
  const password = generateSecrets().POSTGRES_PASSWORD;
  const { session, database, hasTenants } = await openInner((name) => openWithoutPassword(deps, ctx, snapshot, name));
  try {
    const roles = await roleCells(session, present, password);
    const ownCopies = await logflareCopies(session);
    const users = hasTenants ? await poolerCells(session, { present, password, vaultKey: values.get('VAULT_ENC_KEY') ?? '' }) : [];
    const texts = replacePassword(
      { ...snapshot, env: printEnv(setEnv(parseEnv(env), 'POSTGRES_PASSWORD', password)) },
      { present, password },
    );
    const cells = [...roles.cells, ...users];
    const { embedded, ...changed } = texts;
    return {
      ...changed,
      database: { database, cells, restarts: [] } satisfies DatabaseDocument,
      password,
      why: {
        POSTGRES_PASSWORD: 'A new one was asked for.',
        ...Object.fromEntries(embedded.map((name) => [name, 'It embeds the database password.'])),
        ...Object.fromEntries(cells.map((cell) => [nameOf(cell), 'It follows POSTGRES_PASSWORD.'])),
      },
      warnings: [
        {
          code: 'CONNECTIONS_BREAK',
          say: 'Every service starts anew, the database too; whoever connects with the earlier password is refused from then on.',
        },
        ...(ownCopies > 0
          ? [
              {
                code: 'LOGFLARE_ROW',
                say: 'This Logflare keeps the address of its database, with the password, in _analytics.source_backends; no statement of ours may hold a password, so set the url in that row by hand after the deployment, or logs stop.',
              },
            ]
          : []),
        ...roles.others.map((role) => ({
          code: 'ROLE_HAD_ANOTHER_PASSWORD',
          say: `The role ${role} has another password than POSTGRES_PASSWORD; its services log in with that variable, so it gets the new one too.`,
        })),
      ],
    };
  } finally {
    await session.close();
  }
}

const roleRow = z.object({ role: z.string(), verifier: z.string().nullable() });

async function roleCells(session: SqlSession, present: string, password: string): Promise<{ cells: Cell[]; others: string[] }> {
  const { rows } = await session.query('select rolname::text as role, rolpassword::text as verifier from pg_catalog.pg_authid order by 1');
  const found = z.array(roleRow).parse(rows);
  const has = ({ role, verifier }: z.infer<typeof roleRow>) => verifier !== null && isPasswordOf(verifier, present, role);
  const chosen = found.map((row) => ({ ...row, has: has(row) })).filter((row) => row.has || serviceRoles.includes(row.role));
  return {
    cells: chosen.map(({ role, verifier }) => ({ kind: 'role', role, before: verifier, after: makeVerifier(password) })),
    others: chosen.filter((row) => !row.has).map(({ role }) => role),
  };
}

/** Rows in which older versions of Logflare keep a URL of their own; newer ones read POSTGRES_BACKEND_URL at every start. */
async function logflareCopies(session: SqlSession): Promise<number> {
  const { rows } = await session.query<{ here: boolean }>("select to_regclass('_analytics.source_backends') is not null as here");
  if (rows[0]?.here !== true) return 0;
  const found = await session.query<{ copies: number }>(
    "select count(*)::int as copies from _analytics.source_backends where type = 'postgres' and config ? 'url'",
  );
  return Number(found.rows[0]?.copies ?? 0);
}

const userRow = z.object({ id: z.string(), user: z.string(), sealed: z.string() });

/** Every user of a tenant that logs in with the present password, and the one that asks for the verifiers of others whatever it has. */
async function poolerCells(
  session: SqlSession,
  { present, password, vaultKey }: { present: string; password: string; vaultKey: string },
): Promise<Cell[]> {
  const { rows } = await session.query(
    "select id::text as id, db_user::text as user, encode(db_pass_encrypted, 'hex') as sealed from _supavisor.users order by 1",
  );
  return z
    .array(userRow)
    .parse(rows)
    .filter(({ user, sealed }) => serviceRoles.includes(user) || openFromPooler(sealed, vaultKey) === present)
    .map(({ id, user, sealed }) => ({ kind: 'poolerUser', id, user, before: sealed, after: sealForPooler(password, vaultKey) }));
}

function missing(target: string): AppError {
  return new AppError('POSTGRES_PASSWORD_MISSING', {
    message: `The environment of ${target} has no POSTGRES_PASSWORD, so there is nothing to replace.`,
    fix: 'Put back the password of the first start with update-env first.',
  });
}
