import { closeSync, openSync, utimesSync, watch } from 'node:fs';
import type { Wakes } from '../engine/ports.ts';

/** Wakes between processes by touching one file after a commit (engine.md D4); the caller also polls, so a lost wake costs a second. */
export function createWakes(path: string, now: () => number): Wakes & { close(): void } {
  closeSync(openSync(path, 'a'));
  const listeners = new Set<(runId: string | undefined, goesOn: boolean) => void>();
  const notify = (runId: string | undefined, goesOn = false) => {
    for (const listener of [...listeners]) listener(runId, goesOn);
  };
  const watcher = watch(path, { persistent: false }, () => notify(undefined));
  watcher.on('error', () => undefined); // a system without file watching still polls
  return {
    touch(runId, goesOn = false) {
      if (!goesOn) {
        const at = new Date(now());
        utimesSync(path, at, at);
      }
      notify(runId, goesOn);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => watcher.close(),
  };
}
