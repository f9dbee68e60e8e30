/**
 * The root key of the vault, without which a restored vault cannot be read: a file of the server, for superusers only.
 * Asked over the direct connection where that is one, else by psql inside the database container, where a Dokploy can run it.
 */
import type { Client } from 'pg';
import { AppError } from '../../errors.ts';
import { openDokploy } from '../dokploy/session.ts';
import type { EffectContext, TargetRecord } from '../handler.ts';
import type { BackupDeps } from './deps.ts';

/** As in the images of Supabase. */
const imageFile = '/etc/postgresql-custom/pgsodium_root.key';
const there = 'select (pg_stat_file($1, true)).size is not null as there';
const text = 'select pg_read_file($1) as text';

type Ask = <Row>(sql: string, values: readonly string[]) => Promise<{ rows: Row[] }>;
type From = { client: Client; superuser: boolean; target: TargetRecord };

/** Undefined when the key can be taken, else why not. */
export async function vaultKeyLack(deps: BackupDeps, ctx: EffectContext, from: From): Promise<string | undefined> {
  const file = deps.vaultKeyFile ?? imageFile;
  try {
    const ask = await asker(deps, ctx, from);
    if (!ask) return 'Only a superuser can read it, and no container of it can be asked: export it from the volume db-config yourself.';
    const { rows } = await ask<{ there: boolean }>(there, [file]);
    return rows[0]?.there ? undefined : `The server has no file ${file}: it keeps no vault key there.`;
  } catch (error) {
    if (ctx.signal.aborted || !(error instanceof AppError)) throw error;
    return `It could not be asked for inside the container: ${error.message} Export it from the volume db-config yourself.`;
  }
}

/** Throws VAULT_KEY_MISSING and those of the way. */
export async function readVaultKey(deps: BackupDeps, ctx: EffectContext, from: From): Promise<string> {
  const ask = await asker(deps, ctx, from);
  const { rows } = ask ? await ask<{ text: string | null }>(text, [deps.vaultKeyFile ?? imageFile]) : { rows: [] };
  const key = rows[0]?.text;
  if (key === undefined || key === null || key.trim() === '')
    throw new AppError('VAULT_KEY_MISSING', {
      message: `The root key of the vault of ${from.target.name} was there before and cannot be read any more.`,
      fix: 'Look at the volume db-config, or leave vault-key out of `parts`.',
    });
  return key;
}

async function asker(deps: BackupDeps, ctx: EffectContext, { client, superuser, target }: From): Promise<Ask | undefined> {
  if (superuser) return (sql, values) => client.query(sql, [...values]) as never; // rows as the statements above name them
  if (!target.dokploy) return undefined;
  const { composeId, name } = target.dokploy;
  const [{ openExec }, { runInContainer }] = await Promise.all([import('../postgres/exec.ts'), import('../dokploy/run-in-container.ts')]);
  const dokploy = await openDokploy(deps, ctx, name);
  const run = (command: string, timeoutMs: number) => runInContainer(dokploy, { composeId, serviceName: 'db' }, command, timeoutMs);
  const options = { role: 'supabase_admin', database: 'postgres', readOnly: true, timeoutMs: 20_000, reasons: [] };
  const session = await openExec(run, options);
  return session.superuser ? (sql, values) => session.query(sql, values) : undefined;
}
