/** What every backup effect needs, and what it makes of it for one call. */
import type { Client } from 'pg';
import { AppError } from '../../errors.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import type { EffectContext, Reach, TargetRecord } from '../handler.ts';
import { superuserRole } from '../postgres/ladder.ts';
import type { QueryPort } from '../postgres/read-catalog.ts';
import { keptBridgeOf, keptReachOf, keptSqlOf } from '../postgres/sql-target.ts';
import { type BackupReads, openStore, passphraseOf } from './book.ts';
import { type DatabasePlace, parseDatabaseUrl } from './connection.ts';
import type { EncryptTo } from './encryption.ts';
import type { BackupStore } from './stores/store.ts';

export type BackupDeps = DokployDeps & {
  backups: BackupReads;
  /** Where a Supabase image keeps the root key of its vault; default as in the image. */
  vaultKeyFile?: string;
};

/**
 * How dumps and restores reach the database of a target during this call: its direct connection, else the bridge that stands beside it.
 * Throws TARGET_UNKNOWN, DATABASE_URL_MISSING and those of reading it.
 */
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
  const place = await throughBridge(ctx, record, reach);
  if (place) return place;
  throw unreachable(record);
}

/** Undefined where no bridge stands or the password of the roles is not known. The login is the superuser's: no other role may read every schema. */
async function throughBridge(ctx: EffectContext, record: TargetRecord, reach: Reach): Promise<DatabasePlace | undefined> {
  const password = record.secrets['postgresPassword'];
  const bridge = await keptBridgeOf(record, ctx.secrets.reveal);
  if (bridge === undefined || password === undefined) return undefined;
  const { openLocalWay } = await import('../bridge/local-way.ts');
  const { url, until } = bridge;
  const way = await openLocalWay(bridge, reach);
  ctx.hold(way);
  const { host, port } = way;
  const login = { user: superuserRole, database: 'postgres', password: await ctx.secrets.reveal(password) };
  return { host, port, ...login, sslmode: 'disable', bridge: { url, until } };
}

function unreachable({ name, dokploy, secrets }: TargetRecord): AppError {
  const publish = `publish the database port to the machine of Capstan and register that as a target: capstan targets add ${name}-direct --url URL --connection env:DATABASE_URL`;
  const bridge = `capstan run install-bridge --set target=${name} --set host=bridge.example.com`;
  const lacksPassword = secrets['bridgeKey'] !== undefined && secrets['postgresPassword'] === undefined;
  return new AppError('DATABASE_URL_MISSING', {
    message: lacksPassword
      ? `The bridge of the target ${name} stands, but the password of its database is not stored, so nobody can log in there.`
      : `The target ${name} has neither a direct connection to its database nor a bridge, and backups and restores need one of them.`,
    fix: lacksPassword
      ? `Register the target again, which stores it: capstan targets remove ${name}, then capstan dokploy scan.`
      : dokploy === undefined
        ? `P${publish.slice(1)}.`
        : `Install a bridge, with a host name that leads to the machine of the target: ${bridge}. Or ${publish}.`,
    details: { target: name },
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
