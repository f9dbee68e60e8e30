/** Preflight of a restore and its plan artifact (engine.md A1): later writes take their content from here, after its hash was compared. */
import type { Client } from 'pg';
import { z } from 'zod';
import { planRestore as contract } from '../../../machines/effects/restore.ts';
import type { Warning } from '../../../machines/effects/shapes.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { sha256Of } from './book.ts';
import { openSession } from './connection.ts';
import type { DatabaseContents } from './database-contents.ts';
import { type BackupDeps, databaseOf } from './deps.ts';
import { readDocument } from './pipeline.ts';
import { pgClientFor } from './programs.ts';
import { type RolesDocument, rolesDocument } from './roles.ts';
import { contentsOf, type OpenedBackup, openBackup } from './verify.ts';

export const restorePlan = z.strictObject({
  version: z.literal(1),
  backup: z.string(),
  target: z.string(),
  database: z.string(),
  into: z.string(),
  mode: z.enum(['beside', 'replace']),
  /** The name under which the database in use is kept; null when it stays in use. */
  keepAs: z.string().nullable(),
  createRoles: z.array(z.string()),
});
export type RestorePlan = z.infer<typeof restorePlan>;

/** Throws PLAN_CHANGED when it is not the approved one. */
export async function readRestorePlan(ctx: EffectContext, { plan, planHash }: { plan: string; planHash: string }): Promise<RestorePlan> {
  const text = await ctx.artifacts.read(plan);
  if (sha256Of(text) === planHash) return restorePlan.parse(JSON.parse(text));
  throw new AppError('PLAN_CHANGED', { message: 'The stored plan is not the one that was approved.', fix: 'Start the restore anew.' });
}

export function planRestore(deps: BackupDeps) {
  return defineHandler(contract, {
    async run(ctx, input) {
      const row = await deps.backups.backup(input.backup);
      const opened = await openBackup(deps, ctx, row);
      const { manifest } = opened;
      if (manifest.kind === 'data')
        throw new AppError('RESTORE_NEEDS_DEFINITIONS', {
          message: 'A backup of data only holds no definitions, so it cannot be restored into a new database.',
          fix: `Restore it by hand into a database that has them: ${manifest.open.replace('--list', '-d URL --data-only')}.`,
        });
      const target = input.target ?? row.target;
      const dumps = manifest.files.filter(({ kind, role }) => kind === 'database' && role === 'data');
      const file = input.database === null ? dumps[0] : dumps.find(({ database }) => database === input.database);
      if (!file || file.database === null)
        throw new AppError('DATABASE_NOT_IN_BACKUP', {
          message: `The backup holds no database ${input.database === null ? '' : JSON.stringify(input.database.slice(0, 63))}.`,
          fix: `It holds: ${dumps.map(({ database }) => database).join(', ') || 'none'}.`,
        });
      const contents = await contentsOf(opened, file);
      const roles = await rolesOf(opened);
      const place = await databaseOf(ctx, target);
      const client = await openSession(place, 'capstan restore plan', maintenance(file.database));
      try {
        const stamp = new Date(ctx.now()).toISOString().replace(/\D/g, '').slice(0, 14);
        const into = input.into ?? `${file.database.slice(0, 40)}_restored_${stamp}`;
        const keepAs = input.mode === 'replace' ? `${file.database.slice(0, 40)}_before_${stamp}` : null;
        await requireServer(client, manifest.server.major);
        await requireFree(client, [into, ...(keepAs === null ? [] : [keepAs])]);
        await requireExtensions(client, contents);
        const { create, absent } = await missingRoles(client, contents, roles);
        const plan: RestorePlan = {
          version: 1,
          backup: row.id,
          target,
          database: file.database,
          into,
          mode: input.mode,
          keepAs,
          createRoles: create,
        };
        const text = JSON.stringify(plan);
        return {
          plan: await ctx.artifacts.put('plan', 'application/json', text),
          planHash: sha256Of(text),
          target,
          database: file.database,
          into,
          mode: input.mode,
          keepAs,
          madeAt: manifest.madeAt,
          rawBytes: file.rawBytes,
          tables: contents.figures.tables.length,
          rows: contents.figures.tables.reduce((sum, table) => sum + table.rows, 0),
          createRoles: create,
          writes: writesOf(plan),
          warnings: absent.length === 0 ? [] : [rolesAbsent(absent)],
        };
      } finally {
        await client.end();
      }
    },
  });
}

/** Databases are made, renamed and dropped from beside them. */
export const maintenance = (database: string): string => (database === 'template1' ? 'postgres' : 'template1');

export async function rolesOf({ manifest, read }: OpenedBackup): Promise<RolesDocument | undefined> {
  const file = manifest.files.find(({ kind, role }) => kind === 'roles' && role === 'contents');
  return file && rolesDocument.parse(await readDocument(read(file)));
}

async function requireServer(client: Client, sourceMajor: number): Promise<void> {
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

async function requireFree(client: Client, names: readonly string[]): Promise<void> {
  const { rows } = await client.query<{ name: string }>('select datname as name from pg_database where datname = any($1)', [names]);
  const [taken] = rows;
  if (taken)
    throw new AppError('DATABASE_EXISTS', {
      message: `There is a database ${taken.name} already; nothing is restored over what is there.`,
      fix: 'Name another one with `into`, or leave it out.',
    });
}

async function requireExtensions(client: Client, { catalog }: DatabaseContents): Promise<void> {
  const { rows } = await client.query<{ name: string }>('select name from pg_available_extensions');
  const offered = new Set(rows.map(({ name }) => name));
  const missing = catalog.extensions.map(({ name }) => name).filter((name) => !offered.has(name));
  if (missing.length === 0) return;
  throw new AppError('EXTENSION_MISSING', {
    message: `The server does not offer extensions that the backup uses: ${missing.join(', ')}.`,
    fix: 'Install them on the server, or restore into an instance with the same image.',
    details: { missing },
  });
}

/** Roles that something in the database refers to and the server lacks: those of the backup are made, the others are named. */
async function missingRoles(
  client: Client,
  contents: DatabaseContents,
  roles: RolesDocument | undefined,
): Promise<{ create: string[]; absent: string[] }> {
  const { rows } = await client.query<{ name: string }>('select rolname as name from pg_roles');
  const there = new Set(rows.map(({ name }) => name));
  const known = (roles?.roles ?? []).map(({ name }) => name);
  const create = known.filter((name) => !there.has(name));
  const used = namesIn(contents);
  return { create, absent: [...used].filter((name) => !there.has(name) && !known.includes(name)).sort() };
}

function namesIn({ catalog, properties }: DatabaseContents): Set<string> {
  const names = new Set<string>([properties.owner]);
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(walk);
    else if (typeof value === 'object' && value !== null)
      for (const [field, inner] of Object.entries(value)) {
        if ((field === 'owner' || field === 'to' || field === 'role') && typeof inner === 'string') names.add(inner);
        else if (field === 'roles' && Array.isArray(inner)) for (const name of inner) if (typeof name === 'string') names.add(name);
        walk(inner);
      }
  };
  const { roles: _, server: __, ...objects } = catalog;
  walk(objects);
  names.delete('public');
  return names;
}

function rolesAbsent(absent: readonly string[]): Warning {
  return {
    code: 'ROLES_MISSING',
    say: `The server lacks ${absent.length} roles that the database refers to, and the backup does not hold them; the restore stops at the first. Create them first.`,
  };
}

function writesOf({ createRoles, into, database, mode, keepAs, target }: RestorePlan): string[] {
  return [
    ...(createRoles.length === 0 ? [] : [`create ${createRoles.length} roles on the server of ${target}`]),
    `create the database ${into} there and restore ${database} into it`,
    'compare it with the backup',
    ...(mode === 'replace'
      ? [`after a second approval: end every session of ${database}, rename it to ${keepAs}, and rename ${into} to ${database}`]
      : []),
  ];
}
