/**
 * The bytes of storage objects, once the database that lists them is in place and the gateway open. Invariants:
 * 1. An object that the service gives as it was is left alone: writing it anew would drop the bytes that the kept database still lists.
 * 2. Each one that was written is read back and compared by its hash.
 */
import * as contract from '../../../machines/effects/restore.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type Probe } from '../handler.ts';
import type { BackupDeps } from './deps.ts';
import type { Manifest, ManifestFile } from './manifest.ts';
import { createProgress } from './meter.ts';
import { openRestore } from './restore-document.ts';
import { storageAccess } from './storage-objects.ts';
import { restoreObjects } from './unpack-objects.ts';

export const objectsOf = ({ files }: Pick<Manifest, 'files'>): ManifestFile | undefined =>
  files.find(({ kind, role }) => kind === 'storage' && role === 'data');

export function putObjects(deps: BackupDeps) {
  return defineHandler(contract.putObjects, {
    /** Nothing to go back to: what is as it was is not written, and what is written stays. */
    async prepare(ctx, input): Promise<{ asked: boolean }> {
      const { plan } = await openRestore(deps, ctx, input);
      return { asked: plan.objects };
    },
    async run(ctx, input) {
      const { plan, backup } = await openRestore(deps, ctx, input);
      if (!plan.objects) return { objects: 0, written: 0, lost: 0 };
      const file = objectsOf(backup.manifest);
      const access = await storageAccess(ctx, await ctx.target(plan.target));
      if (!file || !access)
        throw new AppError('STORAGE_UNREACHABLE', {
          message: `The target ${plan.target} has no address or service key any more, so its storage objects cannot be brought back.`,
          fix: 'Store both with the target, then retry; the database is in place.',
        });
      return restoreObjects(ctx, backup, file, access, createProgress('Storage objects', file.bytes, ctx.now, ctx.progress));
    },
    /** Only a run looks at every object, and it leaves alone what is right already. */
    async probe(_ctx, _input, { asked }: { asked: boolean }): Promise<Probe<{ objects: number; written: number; lost: number }>> {
      if (!asked) return { state: 'applied', output: { objects: 0, written: 0, lost: 0 } };
      return { state: 'partial', say: 'some objects may have been written.' };
    },
  });
}
