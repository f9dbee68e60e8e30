/** What a backup would hold: read only, nothing is written. What cannot be reached is named, never left out in silence. */
import type { Client } from 'pg';
import { planBackup as contract, type PlannedPart } from '../../../machines/effects/backup.ts';
import type { Warning } from '../../../machines/effects/shapes.ts';
import { AppError } from '../../errors.ts';
import { defineHandler } from '../handler.ts';
import { chooseCodec, extensionOf } from './codec.ts';
import { type DatabasePlace, openSession } from './connection.ts';
import { type BackupDeps, databaseOf, storeOf } from './deps.ts';
import { readEnvironment, servicesOf } from './environment.ts';
import { lookAtFunctions } from './functions-part.ts';
import { sayBytes } from './meter.ts';
import { pgClientFor } from './programs.ts';
import { countObjects, storageAccess, storageSilence } from './storage-objects.ts';
import { vaultKeyLack } from './vault-key.ts';

type Server = { version: string; major: number; superuser: boolean };
type Missing = { part: string; why: string };

export function planBackup(deps: BackupDeps) {
  return defineHandler(contract, {
    async run(ctx, input) {
      const target = await ctx.target(input.target);
      const place = await databaseOf(ctx, input.target);
      const store = await storeOf(deps, ctx, input.store);
      await store.reach(ctx.signal);
      const client = await openSession(place, 'capstan plan');
      try {
        const server = await serverOf(client);
        await pgClientFor('pg_dump', server.major);
        await pgClientFor('pg_restore', server.major);
        const { codec } = await chooseCodec();
        const databases = await databasesOf(client, place.database);
        const wanted = (kind: PlannedPart['kind']) => input.parts === null || input.parts.includes(kind);
        const name = (part: string, ending: string) => `${part}.${ending}.${extensionOf[codec]}.pgp`;
        const parts: PlannedPart[] = [];
        const missing: Missing[] = [];
        const warnings: Warning[] = [];
        const take = (
          kind: PlannedPart['kind'],
          part: string,
          file: string,
          expectBytes: number | null,
          database: string | null = null,
        ) => {
          if (wanted(kind)) parts.push({ part, kind, database, file, expectBytes });
        };
        const lack = (kind: PlannedPart['kind'], part: string, why: string) => {
          if (wanted(kind)) missing.push({ part, why });
        };
        if (input.kind !== 'data') {
          take('roles', 'roles', name('roles', 'sql'), 10_000);
          if (!server.superuser)
            lack(
              'roles',
              'passwords of roles',
              `The connection's role ${place.user} is no superuser, so the password verifiers cannot be read.`,
            );
        }
        for (const [index, { database, bytes }] of databases.entries())
          take('database', `database ${database}`, name(`database-${index}`, 'dump'), input.kind === 'schema' ? null : bytes, database);
        let services: Record<string, string> = {};
        if (target.dokploy && wanted('environment')) {
          // A Dokploy that is away must not keep the database from being backed up: it is named as missing.
          try {
            services = servicesOf(await readEnvironment(deps, ctx, target));
          } catch (error) {
            if (ctx.signal.aborted || !(error instanceof AppError) || input.kind !== 'full') throw error;
            lack('environment', 'environment', `The Dokploy ${target.dokploy.name} did not give it: ${error.message}`);
          }
        }
        if (input.kind === 'full') {
          if (target.dokploy && missing.every(({ part }) => part !== 'environment'))
            take('environment', 'environment', name('environment', 'json'), 100_000);
          else if (!target.dokploy)
            lack(
              'environment',
              'environment',
              'The target was not set up through a Dokploy, so its environment and compose text are not known here.',
            );
          if (wanted('vault-key')) {
            const why = await vaultKeyLack(deps, ctx, { client, superuser: server.superuser, target });
            if (why === undefined) take('vault-key', 'vault root key', name('vault-root-key', 'txt'), 100);
            else lack('vault-key', 'vault root key', why);
          }
          const objects = await countObjects(client);
          const access = await storageAccess(ctx, target);
          const silence = access && objects && objects.objects > 0 ? await storageSilence(access, ctx.signal) : undefined;
          if (objects && objects.objects > 0) {
            const why = access
              ? silence
              : `The database lists ${objects.objects} objects; without address and service key of the target their bytes cannot be asked for.`;
            if (why === undefined) take('storage', 'storage objects', name('storage', 'tar'), objects.bytes);
            else lack('storage', 'bytes of storage objects', why);
          }
          if (wanted('functions')) {
            const seen = await lookAtFunctions(deps, ctx, target);
            if ('bytes' in seen) take('functions', 'functions folder', name('functions', 'tar'), seen.bytes);
            else lack('functions', 'functions folder', seen.why);
            if ('warnings' in seen) warnings.push(...seen.warnings);
          }
        }
        if (parts.length === 0)
          throw new AppError('BACKUP_EMPTY', {
            message: 'Of the parts that were asked for nothing can be backed up.',
            fix: missing[0]?.why ?? 'Ask for other parts, or for a full backup.',
            details: { missing },
          });
        const expectBytes = parts.reduce((sum, part) => sum + (part.expectBytes ?? 0), 0);
        return {
          id: idOf(input.target, ctx.now(), ctx.runId),
          target: input.target,
          store: input.store,
          kind: input.kind,
          codec,
          keyId: input.keyId,
          server,
          parts,
          missing,
          services,
          expectBytes,
          pointInTime: await pointInTime(client),
          warnings: [
            ...warnings,
            ...(await spaceWarnings(store.place, await store.free(), expectBytes)),
            ...(missing.length === 0 ? [] : [incomplete(missing)]),
            ...bridgeWarnings(place),
          ],
        };
      } finally {
        await client.end();
      }
    },
  });
}

/** `shop-20261125-133005-ab12cd`: sorts by time, and tells runs apart that began in the same second. */
function idOf(target: string, at: number, runId: string): string {
  const stamp = new Date(at).toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${target}-${stamp}-${runId.replaceAll(/[^A-Za-z0-9]/g, '').slice(-6)}`;
}

export async function serverOf(client: Client): Promise<Server> {
  const { rows } = await client.query<Server>(
    `select current_setting('server_version') as version, current_setting('server_version_num')::int / 10000 as major, current_setting('is_superuser') = 'on' as superuser`,
  );
  const [row] = rows;
  if (!row) throw new TypeError('a select without from answers one row');
  return row;
}

/** The one of the connection and those that Supabase keeps beside it. */
async function databasesOf(client: Client, own: string): Promise<{ database: string; bytes: number }[]> {
  const { rows } = await client.query<{ database: string; bytes: string }>(
    `select datname as database, pg_database_size(oid)::text as bytes from pg_database
     where datallowconn and not datistemplate and datname in ($1, 'postgres', '_supabase') and has_database_privilege(oid, 'connect')
     order by datname <> $1, datname`,
    [own],
  );
  return rows.map(({ database, bytes }) => ({ database, bytes: Number(bytes) }));
}

/** Whether this server could be brought back to any moment; said, not promised. An archiver that is set up and fails archives nothing. */
export async function pointInTime(client: Client): Promise<{ archiving: boolean; missing: string[] }> {
  const { rows } = await client.query<{ mode: string; level: string; command: boolean; never: boolean; failing: boolean }>(
    `select current_setting('archive_mode') as mode, current_setting('wal_level') as level,
       coalesce(current_setting('archive_command', true), '') not in ('', '(disabled)') or coalesce(current_setting('archive_library', true), '') <> '' as command,
       last_archived_time is null as never, coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false) as failing
     from pg_stat_archiver`,
  );
  const [row] = rows;
  const setUp = [
    ...(row && row.level !== 'minimal' ? [] : ['wal_level is minimal: set it to replica or logical']),
    ...(row && row.mode !== 'off' ? [] : ['archive_mode is off']),
    ...(row?.command ? [] : ['neither archive_command nor archive_library is set']),
  ];
  const works = row?.failing
    ? ['the archiver fails: pg_stat_archiver and the log of the server say why']
    : row?.never !== false
      ? ['no WAL file was archived yet']
      : [];
  const lacks = setUp.length > 0 ? setUp : works;
  return {
    archiving: lacks.length === 0,
    missing: [...lacks, 'a base backup of the whole server (pg_basebackup), which Capstan does not make'],
  };
}

/** Refuses what surely does not fit: text compresses to a third at best of what the tables take. */
async function spaceWarnings(place: string, free: number | undefined, expect: number): Promise<Warning[]> {
  if (free === undefined) return [];
  if (free < expect / 5)
    throw new AppError('DISK_FULL', {
      message: `The backup needs about ${sayBytes(expect / 3)}, and ${place} has ${sayBytes(free)} left.`,
      fix: 'Make room there, or choose another backup store.',
    });
  return free < expect
    ? [{ code: 'SPACE_TIGHT', say: `The database takes ${sayBytes(expect)}, and ${place} has ${sayBytes(free)} left.` }]
    : [];
}

/** What must be known of a way that ends by itself. */
export function bridgeWarnings({ bridge }: DatabasePlace): Warning[] {
  if (!bridge) return [];
  const until = bridge.until === null ? 'an hour that nobody noted' : `${new Date(bridge.until).toISOString()} at the latest`;
  return [{ code: 'OVER_BRIDGE', say: `The database is reached through the bridge at ${bridge.url}, which stands until ${until}.` }];
}

function incomplete(missing: readonly Missing[]): Warning {
  return { code: 'BACKUP_INCOMPLETE', say: `Not in this backup: ${missing.map(({ part }) => part).join(', ')}. The result says why.` };
}
