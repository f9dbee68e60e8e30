import Database from 'better-sqlite3';
import { AppError } from '../../errors.ts';
import { isBusy, toStoreError } from './database.ts';

export type Lock = { release(): void };

/** Handles of held locks live here: a handle that is garbage collected frees its lock (engine.md E4 [m]). */
const held = new Set<Database.Database>();

/** Takes the operating-system lock of an own small SQLite file, or returns undefined when somebody has it (E4, D1: delete mode, timeout 0). */
export function tryLock(path: string): Lock | undefined {
  let handle: Database.Database | undefined;
  try {
    handle = new Database(path, { timeout: 0 });
    handle.pragma('journal_mode = DELETE');
    handle.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    handle?.close();
    if (isBusy(error)) return undefined;
    throw toStoreError(error, path);
  }
  const taken = handle;
  held.add(taken);
  return {
    release() {
      held.delete(taken);
      taken.close();
    },
  };
}

/** Waits for the lock. Throws LOCK_TIMEOUT. */
export async function lockFile(path: string, { waitMs }: { waitMs: number }): Promise<Lock> {
  const until = Date.now() + waitMs;
  for (;;) {
    const lock = tryLock(path);
    if (lock) return lock;
    if (Date.now() > until)
      throw new AppError('LOCK_TIMEOUT', {
        message: `Another process has held ${path} for ${waitMs / 1000} s.`,
        fix: 'Look for a stuck Capstan process and end it.',
        retry: 'later',
      });
    await new Promise((resolve) => setTimeout(resolve, 5 + Math.random() * 20));
  }
}
