import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Ownership } from '../engine/ports.ts';
import { tryLock } from './sqlite/lock-file.ts';

/** This process's place among the workers: an operating-system lock that only its death or `leave` frees (engine.md E4). */
export function joinWorkers(folder: string): Ownership & { leave(): void } {
  const id = randomUUID();
  const own = tryLock(join(folder, id));
  if (!own) throw new TypeError('a fresh worker id was taken');
  return {
    id,
    async dead(ids) {
      return ids.filter((other) => other !== id && isFree(join(folder, other)));
    },
    leave() {
      own.release();
      rmSync(join(folder, id), { force: true });
    },
  };
}

/** Free means its owner is gone; a file that was removed at a clean end counts too. */
function isFree(path: string): boolean {
  if (!existsSync(path)) return true;
  const lock = tryLock(path);
  if (!lock) return false;
  lock.release();
  return true;
}

/** Ids of workers that live now; files of dead ones are removed on the way. */
export function liveWorkers(folder: string): string[] {
  return readdirSync(folder).filter((id) => {
    if (id.includes('-journal')) return false;
    if (!isFree(join(folder, id))) return true;
    rmSync(join(folder, id), { force: true });
    return false;
  });
}
