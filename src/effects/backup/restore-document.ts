/** The plan of a restore as it was approved (engine.md A1), what each step opens by it, and the mark by which a database is known as ours. */
import type { Client } from 'pg';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { EffectContext } from '../handler.ts';
import { sha256Of } from './book.ts';
import { type DatabasePlace, openSession } from './connection.ts';
import { type BackupDeps, databaseOf } from './deps.ts';
import type { ManifestFile } from './manifest.ts';
import { readDocument } from './pipeline.ts';
import { identifier, literal, type RolesDocument, rolesDocument } from './roles.ts';
import { type OpenedBackup, openBackup } from './verify.ts';

export const restorePlan = z.strictObject({
  version: z.literal(1),
  backup: z.string(),
  target: z.string(),
  database: z.string(),
  into: z.string(),
  mode: z.enum(['beside', 'replace', 'schema']),
  /** The one schema that is brought back; null when it is the whole database. */
  schema: z.string().nullable().default(null),
  /** Whether the copy beside stays when its schema was brought back. */
  keepCopy: z.boolean().default(true),
  /** The name under which the database in use is kept; null when it stays in use. */
  keepAs: z.string().nullable(),
  /** Service whose container is stopped meanwhile; null when none can be, or nothing is replaced. */
  gateway: z.string().nullable(),
  createRoles: z.array(z.string()),
  /** Bytes of storage objects are brought back too. */
  objects: z.boolean(),
  /** Files of the edge functions too. */
  functions: z.boolean(),
});
export type RestorePlan = z.infer<typeof restorePlan>;

/** Throws PLAN_CHANGED when it is not the approved one. */
export async function readRestorePlan(ctx: EffectContext, { plan, planHash }: { plan: string; planHash: string }): Promise<RestorePlan> {
  const text = await ctx.artifacts.read(plan);
  if (sha256Of(text) === planHash) return restorePlan.parse(JSON.parse(text));
  throw new AppError('PLAN_CHANGED', { message: 'The stored plan is not the one that was approved.', fix: 'Start the restore anew.' });
}

/** Databases are made, renamed and dropped from beside them. */
export const maintenance = (database: string): string => (database === 'template1' ? 'postgres' : 'template1');

export async function rolesOf({ manifest, read }: OpenedBackup): Promise<RolesDocument | undefined> {
  const file = manifest.files.find(({ kind, role }) => kind === 'roles' && role === 'contents');
  return file && rolesDocument.parse(await readDocument(read(file)));
}

export type Opened = { plan: RestorePlan; place: DatabasePlace; backup: OpenedBackup; file: ManifestFile };

/** The plan, the server and the backup of one call. */
export async function openRestore(deps: BackupDeps, ctx: EffectContext, input: { plan: string; planHash: string }): Promise<Opened> {
  const plan = await readRestorePlan(ctx, input);
  const backup = await openBackup(deps, ctx, await deps.backups.backup(plan.backup));
  const file = backup.manifest.files.find(
    ({ kind, role, database }) => kind === 'database' && role === 'data' && database === plan.database,
  );
  if (!file) throw new TypeError('the approved plan names a database that the backup does not hold');
  return { plan, place: await databaseOf(ctx, plan.target), backup, file };
}

/** The plan and the server, for what needs nothing of the backup. */
export async function openPlan(ctx: EffectContext, input: { plan: string; planHash: string }) {
  const plan = await readRestorePlan(ctx, input);
  return { plan, place: await databaseOf(ctx, plan.target) };
}

export async function beside<T>(
  place: DatabasePlace,
  ctx: EffectContext,
  plan: RestorePlan,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await openSession(place, ctx.key, maintenance(plan.database));
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** A session on one database of the server. */
export async function insideOf<T>(
  place: DatabasePlace,
  ctx: Pick<EffectContext, 'key'>,
  database: string,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await openSession(place, ctx.key, database);
  try {
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

const markOf = (runId: string) => `capstan restore ${runId}:`;

/** What our mark on a database says; undefined when there is no such database, `foreign` when it is not of this run. */
export async function markOn(client: Client, database: string, runId: string): Promise<'begun' | 'restored' | 'foreign' | undefined> {
  const { rows } = await client.query<{ comment: string | null }>(
    `select shobj_description(oid, 'pg_database') as comment from pg_database where datname = $1`,
    [database],
  );
  const [row] = rows;
  if (!row) return undefined;
  if (!row.comment?.startsWith(markOf(runId))) return 'foreign';
  return row.comment.endsWith(' restored') ? 'restored' : 'begun';
}

export function setMark(client: Client, database: string, runId: string, state: 'begun' | 'restored') {
  return client.query(`comment on database ${identifier(database)} is ${literal(`${markOf(runId)} ${state}`)}`);
}

export function sqlFailure(error: unknown, message: string): AppError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const said = error instanceof Error ? error.message.slice(0, 300) : '';
  return new AppError('SQL_FAILED', {
    message: `${message} (${code}).`,
    fix: 'Read in the details what Postgres says.',
    details: { sqlState: code, said },
    cause: error,
  });
}
