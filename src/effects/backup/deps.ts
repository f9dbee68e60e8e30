/** What every backup effect needs, and what it makes of it for one call. */
import type { Client } from 'pg';
import { AppError } from '../../errors.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import type { EffectContext } from '../handler.ts';
import type { QueryPort } from '../postgres/read-catalog.ts';
import { keptReachOf, keptSqlOf } from '../postgres/sql-target.ts';
import { type BackupReads, openStore, passphraseOf } from './book.ts';
import { type DatabasePlace, parseDatabaseUrl } from './connection.ts';
import type { EncryptTo } from './encryption.ts';
import type { BackupStore } from './stores/store.ts';

export type BackupDeps = DokployDeps & {
  backups: BackupReads;
  /** Where a Supabase image keeps the root key of its vault; default as in the image. */
  vaultKeyFile?: string;
};

/** The direct connection of a target. Throws TARGET_UNKNOWN, DATABASE_URL_MISSING and those of reading it. */
export async function databaseOf(ctx: EffectContext, target: string): Promise<DatabasePlace> {
  const record = await ctx.target(target);
  const reach = await keptReachOf(ctx, record);
  const reference = record.secrets['databaseUrl'];
  if (reference !== undefined) return { ...parseDatabaseUrl(await ctx.secrets.reveal(reference)), reach };
  // Nothing of a dump goes over a transaction pooler, and what only containers reach is not reached from here.
  const address = keptSqlOf(record).addresses.find((each) => each.password !== null && each.mode !== 'transaction' && !each.dockerInternal);
  if (address?.password) {
    const { host, port, user, database, ssl } = address;
    return { host, port, user, database, sslmode: ssl, password: await ctx.secrets.reveal(address.password), reach };
  }
  throw new AppError('DATABASE_URL_MISSING', {
    message: `The target ${target} has no direct connection to its database, which backups and restores need.`,
    fix: `Publish the database port to the machine of Capstan, then store it: capstan targets add NAME --url URL --connection env:DATABASE_URL.`,
    details: { target },
  });
}

export function storeOf(deps: BackupDeps, ctx: EffectContext, name: string): Promise<BackupStore> {
  return openStore(deps.backups, ctx.secrets.reveal, name);
}

/** Who shall be able to open what is written now. */
export async function readersOf(deps: BackupDeps, ctx: EffectContext, keyId: string): Promise<Required<EncryptTo>> {
  const recipients = await deps.backups.recipients();
  return { passphrase: await passphraseOf(deps.backups, ctx.secrets.reveal, keyId), recipients: recipients.map(({ armored }) => armored) };
}

/** A client as the catalog reader wants it. */
export function portOf(client: Client): QueryPort {
  return {
    async query<Row>(text: string) {
      const answer = await client.query(text);
      const last = Array.isArray(answer) ? answer.at(-1) : answer;
      return { rows: last.rows as Row[], fields: [], rowCount: last.rowCount }; // read unchecked: QueryPort says so
    },
  };
}
