/** Preflight of a restore and its plan artifact (engine.md A1): later writes take their content from here, after its hash was compared. */
import type { Client } from 'pg';
import type { z } from 'zod';
import { planRestore as contract } from '../../../machines/effects/restore.ts';
import type { Warning } from '../../../machines/effects/shapes.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { quoteVendorText } from '../http/vendor-text.ts';
import { sha256Of } from './book.ts';
import { openSession } from './connection.ts';
import type { DatabaseContents } from './database-contents.ts';
import { type BackupDeps, databaseOf } from './deps.ts';
import { requireExchangeable, requireModeFits } from './one-schema/look.ts';
import { rowsWithin } from './one-schema/within.ts';
import { bridgeWarnings } from './plan-backup.ts';
import { maintenance, type RestorePlan, rolesOf } from './restore-document.ts';
import { gatewayOf } from './restore-gateway.ts';
import { noOtherParts, planOtherParts } from './restore-other-parts.ts';
import {
  followers,
  requireExtensions,
  requireFree,
  requireInUse,
  requireLasting,
  requireServer,
  requireSpace,
} from './restore-preflight.ts';
import type { RolesDocument } from './roles.ts';
import { contentsOf, openBackup } from './verify.ts';

export function planRestore(deps: BackupDeps) {
  return defineHandler(contract, {
    async run(ctx, input) {
      requireModeFits(input);
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
        const twice = input.schema === null ? 0 : rowsWithin(contents, input.schema).bytes;
        const warnings = [...(await requireExtensions(client, contents)), ...(await requireSpace(client, file.rawBytes + twice))];
        if (input.schema !== null) {
          await requireInUse(client, file.database);
          await requireExchangeable(place, file.database, contents, input.schema);
        }
        const downtime =
          keepAs === null ? null : await announce(deps, ctx, client, { target, database: file.database, keepAs, rawBytes: file.rawBytes });
        // Restoring beside takes its time too, and so does the second approval.
        if (downtime) requireLasting(place, ctx.now(), 30 * 60_000 + 3_000 * downtime.shown.expectSeconds);
        const { create, absent } = await missingRoles(client, contents, roles);
        const others =
          input.schema === null
            ? await planOtherParts(deps, ctx, opened, { target, inPlace: input.mode === 'replace', contents })
            : noOtherParts;
        const plan: RestorePlan = {
          version: 1,
          backup: row.id,
          target,
          database: file.database,
          into,
          mode: input.mode,
          schema: input.schema,
          keepCopy: input.keepCopy ?? input.mode !== 'schema',
          keepAs,
          gateway: downtime?.service ?? null,
          createRoles: create,
          objects: others.objects,
          functions: others.functions,
        };
        const text = JSON.stringify(plan);
        return {
          plan: await ctx.artifacts.put('plan', 'application/json', text),
          planHash: sha256Of(text),
          target,
          database: file.database,
          into,
          mode: input.mode,
          schema: input.schema,
          keepAs,
          madeAt: manifest.madeAt,
          rawBytes: file.rawBytes,
          tables: contents.figures.tables.length,
          rows: contents.figures.tables.reduce((sum, table) => sum + table.rows, 0),
          createRoles: create,
          downtime: downtime?.shown ?? null,
          objects: others.objects,
          functions: others.functions,
          writes: [
            ...writesOf(plan),
            ...(others.objects ? ['write the storage objects that the service does not give as they were, and read each back'] : []),
            ...(others.functions ? ['write the files of the edge functions that differ, through the container, and list them again'] : []),
          ],
          warnings: [
            ...warnings,
            ...bridgeWarnings(place),
            ...(downtime?.warnings ?? []),
            ...others.warnings,
            ...(absent.length === 0 ? [] : [rolesAbsent(absent)]),
          ],
        };
      } finally {
        await client.end();
      }
    },
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

/** What a person must know before the database in use is replaced. */
async function announce(
  deps: BackupDeps,
  ctx: EffectContext,
  client: Client,
  { target, database, keepAs, rawBytes }: { target: string; database: string; keepAs: string; rawBytes: number },
): Promise<{ service: string | null; shown: NonNullable<z.infer<typeof contract.output>['downtime']>; warnings: Warning[] }> {
  const inUse = await requireInUse(client, database);
  const { bytes, sessions } = inUse;
  const { service, say } = await gatewayOf(deps, ctx, target);
  const expectSeconds = 15 + Math.ceil((2 * bytes + rawBytes) / bytesPerSecond);
  return {
    service,
    shown: {
      gateway: service ?? 'none',
      sessions,
      expectSeconds,
      say: `${say} ${sessions} connections of ${database} are ended, and none is let in until it is replaced: about ${expectSeconds} seconds.`,
    },
    warnings: [...(service === null ? [{ code: 'GATEWAY_STAYS_OPEN', say }] : []), ...followers(inUse, keepAs)],
  };
}

/** A safety backup is written and read back, and the rows are compared once more. */
const bytesPerSecond = 20e6;

function writesOf({ createRoles, into, database, mode, schema, keepAs, gateway, target }: RestorePlan): string[] {
  return [
    ...(createRoles.length === 0 ? [] : [`create ${createRoles.length} roles on the server of ${target}`]),
    `create the database ${into} there and restore ${database} into it`,
    'compare it with the backup',
    ...(mode === 'replace'
      ? [
          gateway === null
            ? 'after a second approval: the gateway stays as it is'
            : `after a second approval: stop the container of ${gateway}`,
          `end every connection of ${database} and rename it to ${keepAs}`,
          `back up ${keepAs} and verify that backup`,
          `compare ${into} with the backup once more and rename it to ${database}`,
          ...(gateway === null ? [] : [`start the container of ${gateway}`]),
        ]
      : []),
    ...(schema === null
      ? []
      : [`then look what points into the schema ${quoteVendorText(schema)}, and after a second approval exchange it in one transaction`]),
  ];
}
