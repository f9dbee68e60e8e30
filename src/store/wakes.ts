import { closeSync, openSync, utimesSync, watch } from 'node:fs';
import type { Audience, Wakes } from '../engine/ports.ts';

/**
 * Wakes between processes by touching a file after a commit (engine.md D4), one for what workers have to do and one for what is news
 * to those who wait only: a busy process would wake all workers for every run that ends. The caller also polls, so a lost wake costs a second.
 */
export function createWakes(paths: { work: string; news: string }, now: () => number): Wakes & { close(): void } {
  const listeners = new Set<Parameters<Wakes['subscribe']>[0]>();
  const notify = (runId: string | undefined, audience: Audience) => {
    for (const listener of [...listeners]) listener(runId, audience);
  };
  const watchers = [openFile(paths.work, () => notify(undefined, 'workers')), openFile(paths.news, () => notify(undefined, 'watchers'))];
  return {
    touch(runId, audience = 'workers') {
      const at = new Date(now());
      if (audience === 'workers') utimesSync(paths.work, at, at);
      if (audience === 'watchers') utimesSync(paths.news, at, at);
      notify(runId, audience);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      for (const watcher of watchers) watcher.close();
    },
  };
}

function openFile(path: string, onTouch: () => void) {
  closeSync(openSync(path, 'a'));
  const watcher = watch(path, { persistent: false }, onTouch);
  watcher.on('error', () => undefined); // a system without file watching still polls
  return watcher;
}
