/**
 * Planning new encryption keys. Invariants:
 * 1. What the earlier VAULT_ENC_KEY sealed is opened here and sealed with the new one; a sealed password that does not open stops the plan.
 * 2. PG_META_CRYPTO_KEY seals nothing that is kept: Studio and postgres-meta read it when they start, so the text is all there is.
 */
import { z } from 'zod';
import { envVariables, parseEnv, printEnv, setEnv } from '../../env-text.ts';
import { AppError } from '../../errors.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import type { EffectContext } from '../handler.ts';
import { generateSecrets } from '../supabase/secrets.ts';
import { openWithoutPassword } from './database/access.ts';
import { type Cell, nameOf } from './database/cells.ts';
import { openInner } from './database/look.ts';
import { openFromPooler, sealForPooler } from './database/pooler-vault.ts';
import type { Wanted } from './plan.ts';
import type { SnapshotDocument } from './snapshot.ts';

export type KeyChange = Pick<Wanted, 'database' | 'why' | 'say' | 'warnings'> & { env: string; name: string; value: string };

const withVariable = (env: string, name: string, value: string) => printEnv(setEnv(parseEnv(env), name, value));

export function planMetaKey(snapshot: SnapshotDocument): KeyChange {
  const [name, value] = ['PG_META_CRYPTO_KEY', generateSecrets().PG_META_CRYPTO_KEY] as const;
  return {
    env: withVariable(snapshot.env, name, value),
    name,
    value,
    why: { [name]: 'A new one was asked for.' },
    say: 'PG_META_CRYPTO_KEY is replaced; Studio and postgres-meta start anew with it, and nothing that is kept is sealed with it.',
  };
}

/** Reads only. Throws SECOND_WAY_CLOSED, VAULT_KEY_UNUSABLE and VAULT_KEY_WRONG. */
export async function planVaultKey(deps: DokployDeps, ctx: EffectContext, snapshot: SnapshotDocument): Promise<KeyChange> {
  const [name, value] = ['VAULT_ENC_KEY', generateSecrets().VAULT_ENC_KEY] as const;
  const present = envVariables(parseEnv(snapshot.env)).get(name) ?? '';
  const { session, database, hasTenants } = await openInner((inner) => openWithoutPassword(deps, ctx, snapshot, inner));
  try {
    const { rows } = hasTenants
      ? await session.query(
          "select id::text as id, db_user::text as user, encode(db_pass_encrypted, 'hex') as sealed from _supavisor.users order by 1",
        )
      : { rows: [] };
    const users = z.array(z.object({ id: z.string(), user: z.string(), sealed: z.string() })).parse(rows);
    const cells = users.map(({ id, user, sealed }): Cell => {
      const password = openFromPooler(sealed, present);
      if (password === undefined) throw wrongKey(snapshot.target, user);
      return { kind: 'poolerUser', id, user, before: sealed, after: sealForPooler(password, value) };
    });
    return {
      env: withVariable(snapshot.env, name, value),
      name,
      value,
      database: { database, cells, restarts: [] },
      why: {
        [name]: 'A new one was asked for.',
        ...Object.fromEntries(cells.map((cell) => [nameOf(cell), 'It is sealed with VAULT_ENC_KEY.'])),
      },
      say: `VAULT_ENC_KEY is replaced, and ${cells.length} passwords of the pooler’s tenant are sealed anew with it; the pooler starts anew.`,
    };
  } finally {
    await session.close();
  }
}

function wrongKey(target: string, user: string): AppError {
  return new AppError('VAULT_KEY_WRONG', {
    message: `VAULT_ENC_KEY of ${target} does not open the sealed password of the pooler’s user ${/^\w{1,63}$/.test(user) ? user : '(unreadable)'}: it is not the key of the first start.`,
    fix: 'Put back the key that the pooler was started with first; or replace the database password (secret: database-password), which seals it with the present key.',
  });
}
