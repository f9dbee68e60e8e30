/** When a backup in another process is in the middle of a dump. */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Until a file of the dump has begun to grow under its unfinished name. */
export async function streaming(home: string, target: string, child?: ChildProcess): Promise<void> {
  const root = join(home, 'backups', target);
  for (const until = Date.now() + 60_000; Date.now() < until; await pause(3)) {
    if (child !== undefined && child.exitCode !== null) throw new Error('the process ended before it could be killed');
    for (const folder of existsSync(root) ? readdirSync(root) : [])
      for (const name of readdirSync(join(root, folder)))
        if (/dump.*unfinished$/.test(name) && (statSync(join(root, folder, name), { throwIfNoEntry: false })?.size ?? 0) > 100_000) return;
  }
  throw new Error('the dump never began');
}
