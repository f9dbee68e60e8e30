import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Presence } from '../engine/ports.ts';
import type { Home } from './home.ts';
import { joinWorkers, liveWorkers } from './ownership.ts';

/** Processes that carry out work, apart from those that only have the home open: each holds a lock of its own while its worker runs (E4, L3). */
function folderOf(home: Home): string {
  const folder = join(home.folder, 'working');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** From now on this process counts as one that works, until `end` or its death. */
export function beginWorking(home: Home): { end(): void } {
  const place = joinWorkers(folderOf(home));
  return { end: () => place.leave() };
}

/** How many processes work on this home now, this one included. */
export function countWorking(home: Home): number {
  return liveWorkers(folderOf(home)).length;
}

const freshMs = 1_000;

/** Looks at the locks at most once a second: whoever waits for a run asks often. */
export function watchPresence(home: Home, now: () => number): Presence {
  let seen = { at: Number.NEGATIVE_INFINITY, works: false };
  return {
    someoneWorks() {
      const at = now();
      if (at - seen.at >= freshMs || at < seen.at) seen = { at, works: countWorking(home) > 0 };
      return seen.works;
    },
  };
}
