/** What must be so before anything is restored: each with a code of its own, and nothing is written to find it out. */
import type { Client } from 'pg';
import type { Warning } from '../../../machines/effects/shapes.ts';
import { AppError } from '../../errors.ts';
import type { DatabasePlace } from './connection.ts';
import type { DatabaseContents } from './database-contents.ts';
import { sayBytes } from './meter.ts';
import { pgClientFor } from './programs.ts';

export async function requireServer(client: Client, sourceMajor: number): Promise<void> {
  const { rows } = await client.query<{ major: number; superuser: boolean }>(
    `select current_setting('server_version_num')::int / 10000 as major, current_setting('is_superuser') = 'on' as superuser`,
  );
  const [server] = rows;
  if (!server?.superuser)
    throw new AppError('RESTORE_NEEDS_SUPERUSER', {
      message: 'Owners, grants and event triggers can be restored by a superuser only, and the connection of the target is none.',
      fix: 'Give the target a connection as supabase_admin (self-hosted only).',
    });
  if (server.major < sourceMajor)
    throw new AppError('SERVER_TOO_OLD', {
      message: `The backup is of Postgres ${sourceMajor}, and the server is ${server.major}.`,
      fix: `Restore into an instance of Postgres ${sourceMajor} or newer.`,
    });
  await pgClientFor('pg_restore', Math.max(server.major, sourceMajor));
  await pgClientFor('pg_dump', server.major);
}

export async function requireFree(client: Client, names: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ name: string }>('select datname as name from pg_database where datname = any($1)', [names]);
  const [taken] = rows;
  if (taken)
    throw new AppError('DATABASE_EXISTS', {
      message: `There is a database ${taken.name} already; nothing is restored over what is there.`,
      fix: 'Name another one with `into`, or leave it out.',
    });
}

/** Throws EXTENSION_MISSING; warns of those that come in another version than they had. */
export async function requireExtensions(client: Client, { catalog }: DatabaseContents): Promise<Warning[]> {
  const { rows } = await client.query<{ name: string; version: string }>(
    'select name, default_version as version from pg_available_extensions',
  );
  const offered = new Map(rows.map(({ name, version }) => [name, version]));
  const missing = catalog.extensions.map(({ name }) => name).filter((name) => !offered.has(name));
  if (missing.length > 0)
    throw new AppError('EXTENSION_MISSING', {
      message: `The server does not offer extensions that the backup uses: ${missing.join(', ')}.`,
      fix: 'Install them on the server, or restore into an instance with the same image.',
      details: { missing },
    });
  const other = catalog.extensions.filter(({ name, version }) => offered.get(name) !== version);
  if (other.length === 0) return [];
  const say = other.map(({ name, version }) => `${name} ${offered.get(name)} (was ${version})`).join(', ');
  return [{ code: 'EXTENSION_VERSIONS', say: `Extensions come in the version that the server brings: ${say}.` }];
}

/**
 * A database that has lost its name while the bridge to it ends stays away from everybody: the bridge must outlast the work.
 * Throws BRIDGE_ENDS_SOON.
 */
export function requireLasting({ bridge }: Pick<DatabasePlace, 'bridge'>, now: number, neededMs: number): void {
  if (!bridge || (bridge.until !== null && bridge.until - now >= neededMs)) return;
  const minutes = Math.ceil(neededMs / 60_000);
  const left =
    bridge.until === null ? 'nobody noted when it ends' : `it ends in ${Math.max(0, Math.floor((bridge.until - now) / 60_000))} minutes`;
  throw new AppError('BRIDGE_ENDS_SOON', {
    message: `The database would be replaced through the bridge at ${bridge.url}, which must stand for ${minutes} minutes more, and ${left}.`,
    fix: 'Remove that bridge, install a new one (install-bridge), then start the restore again; or restore beside, which a broken bridge does no harm to.',
  });
}

export type InUse = {
  bytes: number;
  sessions: number;
  /** Logical ones, which belong to one database; physical ones copy the whole server and are not touched. */
  slots: { name: string; plugin: string; active: boolean }[];
  subscriptions: string[];
};

/** Throws NOTHING_TO_REPLACE. Answers the size of what is in use and how many connections it has now. */
export async function requireInUse(client: Client, database: string): Promise<InUse> {
  const { rows } = await client.query<Omit<InUse, 'bytes'> & { bytes: string }>(
    `select pg_database_size(d.oid)::text as bytes, (select count(*)::int from pg_stat_activity a where a.datid = d.oid) as sessions,
       coalesce((select jsonb_agg(jsonb_build_object('name', slot_name, 'plugin', plugin, 'active', active) order by slot_name)
         from pg_replication_slots s where s.database = d.datname and not s.temporary), '[]') as slots,
       array(select subname::text from pg_subscription s where s.subdbid = d.oid order by 1) as subscriptions
     from pg_database d where d.datname = $1`,
    [database],
  );
  const [row] = rows;
  if (row) return { ...row, bytes: Number(row.bytes) };
  throw new AppError('NOTHING_TO_REPLACE', {
    message: `The server has no database ${database} that could be replaced.`,
    fix: 'Restore beside (leave `mode` out), or name the target whose database is to be replaced.',
  });
}

/**
 * Whether the server has room for a second copy. A superuser's server is asked by `df` in its data folder; one that does not let us is
 * told as unknown. Throws DISK_FULL.
 */
export async function requireSpace(client: Client, needed: number): Promise<Warning[]> {
  const free = await freeBytes(client);
  return judgeSpace(free, needed);
}

/** Pure; `needed` is what the restored database will take, in bytes. */
export function judgeSpace(free: number | undefined, needed: number): Warning[] {
  if (free === undefined)
    return [
      {
        code: 'SPACE_UNKNOWN',
        say: `The restored copy takes about ${sayBytes(needed)} on the server; how much is free there could not be asked.`,
      },
    ];
  if (free < needed)
    throw new AppError('DISK_FULL', {
      message: `The restored copy takes about ${sayBytes(needed)}, and the server has ${sayBytes(free)} left.`,
      fix: 'Make room on the server, or restore into another instance.',
      details: { free, needed },
    });
  return free < needed * 1.5
    ? [{ code: 'SPACE_TIGHT', say: `The restored copy takes about ${sayBytes(needed)}, and the server has ${sayBytes(free)} left.` }]
    : [];
}

/** The transaction is taken back, so that nothing of the question stays. */
async function freeBytes(client: Client): Promise<number | undefined> {
  try {
    await client.query('begin');
    await client.query('create temporary table capstan_space (line text) on commit drop');
    await client.query(`copy capstan_space from program 'df -Pk .'`);
    const { rows } = await client.query<{ line: string }>('select line from capstan_space');
    const blocks = /\s(\d+)\s+\d+%\s/.exec(rows.at(-1)?.line ?? '')?.[1];
    return blocks === undefined ? undefined : Number(blocks) * 1024;
  } catch {
    return undefined;
  } finally {
    await client.query('rollback').catch(() => undefined);
  }
}

/** What follows a database by its number, not by its name: after the exchange it goes on with the one that is kept. Pure. */
export function followers({ slots, subscriptions }: Pick<InUse, 'slots' | 'subscriptions'>, keepAs: string): Warning[] {
  const told = slots.map(({ name, plugin, active }) => `${name} (${plugin}, ${active ? 'read now' : 'read by nobody now'})`).join(', ');
  return [
    ...(slots.length === 0
      ? []
      : [
          {
            code: 'REPLICATION_SLOTS',
            say: `Replication slots belong to the database that is replaced and stay with it as ${keepAs}: ${told}. Their readers find none in the restored one and must begin anew there; until a slot is dropped (select pg_drop_replication_slot('NAME')) the server keeps every WAL file for it, and its disk fills.`,
          },
        ]),
    ...(subscriptions.length === 0
      ? []
      : [
          {
            code: 'SUBSCRIPTIONS',
            say: `Subscriptions of the database that is replaced stay with it and go on writing into ${keepAs}: ${subscriptions.join(', ')}. Disable them there (alter subscription NAME disable); in the restored one they are switched off until you enable and refresh them.`,
          },
        ]),
  ];
}
