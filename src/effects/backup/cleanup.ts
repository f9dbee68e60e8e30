/**
 * Retention. Invariants:
 * 1. Only files that the manifest of an index row names are removed, and its manifest; a strange file stays, and its folder with it.
 * 2. The manifest goes first: what a crash leaves is no backup any more and is removed by the next attempt.
 */
import { z } from 'zod';
import * as contract from '../../../machines/effects/cleanup.ts';
import { AppError } from '../../errors.ts';
import { type BackupRow, defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { sha256Of } from './book.ts';
import { type BackupDeps, storeOf } from './deps.ts';
import { folderOf, manifestPath } from './manifest.ts';
import { expired } from './retention.ts';

const cleanupPlan = z.strictObject({ version: z.literal(1), remove: z.array(z.string()) });
type Removed = { removed: string[]; bytes: number };

export function planCleanup(deps: BackupDeps) {
  return defineHandler(contract.planCleanup, {
    async run(ctx, { target, policy }) {
      if (Object.values(policy).every((rule) => rule === undefined))
        throw new AppError('POLICY_EMPTY', {
          message: 'The policy names nothing to keep, so nothing may go.',
          fix: 'Give keepLast, keepDays, daily, weekly or monthly.',
        });
      const rows = await deps.backups.backups(target ?? undefined);
      const going = expired(rows, policy, ctx.now());
      const text = JSON.stringify({ version: 1, remove: going.map(({ id }) => id) });
      return {
        plan: await ctx.artifacts.put('plan', 'application/json', text),
        planHash: sha256Of(text),
        targets: [...new Set(going.map((row) => row.target))].sort(),
        remove: going.map(({ id, target: of, madeAt, bytes }) => ({ id, target: of, madeAt: new Date(madeAt).toISOString(), bytes })),
        removeBytes: going.reduce((sum, { bytes }) => sum + bytes, 0),
        keep: rows.length - going.length,
      };
    },
  });
}

export function removeBackups(deps: BackupDeps) {
  return defineHandler(contract.removeBackups, {
    /** What stands there before, by id: after this nothing brings it back. */
    async prepare(ctx, input): Promise<{ rows: Pick<BackupRow, 'id' | 'bytes'>[] }> {
      return { rows: (await rowsOf(deps, ctx, input)).map(({ id, bytes }) => ({ id, bytes })) };
    },
    async run(ctx, input, { rows: before }: { rows: Pick<BackupRow, 'id' | 'bytes'>[] }): Promise<Removed> {
      for (const [index, row] of (await rowsOf(deps, ctx, input)).entries()) {
        await removeFiles(deps, ctx, row);
        ctx.progress(`${index + 1} backups removed`, Math.round((100 * (index + 1)) / Math.max(1, before.length)));
      }
      return forget(ctx, before);
    },
    async probe(ctx, input, before): Promise<Probe<Removed>> {
      const rows = await rowsOf(deps, ctx, input);
      const left = await Promise.all(rows.map(async (row) => (await filesThere(deps, ctx, row)).length > 0));
      if (left.every((there) => !there)) return { state: 'applied', output: forget(ctx, before?.rows ?? rows) };
      return left.every(Boolean) ? { state: 'absent' } : { state: 'partial', say: 'some of the backups are gone.' };
    },
  });
}

function forget(ctx: EffectContext, rows: readonly Pick<BackupRow, 'id' | 'bytes'>[]): Removed {
  for (const { id } of rows) ctx.saveBackup({ forget: id });
  return { removed: rows.map(({ id }) => id), bytes: rows.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** The rows of the approved plan that the index still has. Throws PLAN_CHANGED. */
async function rowsOf(deps: BackupDeps, ctx: EffectContext, { plan, planHash }: { plan: string; planHash: string }): Promise<BackupRow[]> {
  const text = await ctx.artifacts.read(plan);
  if (sha256Of(text) !== planHash)
    throw new AppError('PLAN_CHANGED', { message: 'The stored plan is not the one that was approved.', fix: 'Start the clean-up anew.' });
  const { remove } = cleanupPlan.parse(JSON.parse(text));
  return (await deps.backups.backups()).filter(({ id }) => remove.includes(id));
}

const namedFiles = z.looseObject({ files: z.array(z.looseObject({ path: z.string() })) });

function pathsOf(row: BackupRow): string[] {
  const { files } = namedFiles.parse(row.manifest);
  return [manifestPath(row.target, row.id), ...files.map(({ path }) => `${folderOf(row.target, row.id)}/${path}`)];
}

async function filesThere(deps: BackupDeps, ctx: EffectContext, row: BackupRow): Promise<string[]> {
  const store = await storeOf(deps, ctx, row.store);
  const there = await Promise.all(pathsOf(row).map((path) => store.stat(path)));
  return there.flatMap((found) => (found ? [found.path] : []));
}

async function removeFiles(deps: BackupDeps, ctx: EffectContext, row: BackupRow): Promise<void> {
  const store = await storeOf(deps, ctx, row.store);
  for (const path of pathsOf(row)) {
    ctx.signal.throwIfAborted();
    await store.remove(path);
  }
  await store.removeFolder(folderOf(row.target, row.id));
}
