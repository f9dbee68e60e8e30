import { statSync } from 'node:fs';
import { AppError } from '../../errors.ts';

const lookMs = 250;

/**
 * Tells that the database under an open connection is no longer the one at its path (an older copy was put back, the home was
 * removed): what is written then would go nowhere. Each write looks, reads at most four times a second. Throws STORE_REPLACED.
 */
export function watchFile(path: string): { beforeWrite(): void; beforeRead(): void } {
  const opened = inodeOf(path);
  let lookedAt = performance.now();
  const beforeWrite = () => {
    if (inodeOf(path) === opened) return;
    throw new AppError('STORE_REPLACED', {
      message: `The database ${path} was replaced or removed while this process had it open.`,
      fix: 'Restart this process; it writes nothing any more, and the runs go on as the file that is there now knows them.',
      retry: 'ask',
    });
  };
  return {
    beforeWrite,
    beforeRead() {
      if (performance.now() - lookedAt < lookMs) return;
      beforeWrite();
      lookedAt = performance.now();
    },
  };
}

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
