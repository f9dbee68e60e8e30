/** Named points at which a process ends by its own SIGKILL, reached through a wrapped store: no hook in the product. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { Change, Store } from '../../src/engine/ports.ts';

export const killPoints = [
  'before-intent',
  'after-intent',
  'after-launch',
  'after-run',
  'after-outcome',
  'undo-launched',
  'undo-run',
] as const;
export type KillPoint = (typeof killPoints)[number];

/** A wrapper that dies at the point of the effect with this invoke id; `undo-*` mean its undo, the others its first doing. */
export function dieAt(point: string | undefined, invokeId: string | undefined): (store: Store) => Store {
  const ends = (key: string | undefined, undo: boolean) =>
    key !== undefined && key.startsWith('undo:') === undo && key.endsWith(`:${invokeId}`);
  const opens = (change: Change) => change.open?.some((row) => row.kind === 'do' && row.invokeId === invokeId) ?? false;
  const dieIf = (here: KillPoint, hit: boolean) => {
    if (here === point && hit) process.kill(process.pid, 'SIGKILL');
  };
  return (store) => ({
    ...store,
    async commit(change) {
      dieIf('before-intent', opens(change));
      dieIf('after-run', ends(change.close?.key, false));
      dieIf('undo-run', ends(change.close?.key, true));
      const answer = await store.commit(change);
      if (!answer.ok) return answer;
      dieIf('after-intent', opens(change));
      dieIf('after-outcome', ends(change.close?.key, false));
      return answer;
    },
    async launch(key, token, at, options) {
      const ours = await store.launch(key, token, at, options);
      dieIf('after-launch', ours && ends(key, false));
      dieIf('undo-launched', ours && ends(key, true));
      return ours;
    },
  });
}

/**
 * A wrapper that dies once at each effect's launch (nothing went out yet) and once with its answer in hand (all took place, nobody
 * knows), undos included. `marks` is the file by which the next process knows what was died at: a line per key and moment.
 */
export function dieOnceEach(marks: string): (store: Store) => Store {
  const dieAtFirst = (key: string, moment: 'launch' | 'answer') => {
    const mark = `${key}@${moment}`;
    if (deathsIn(marks).includes(mark)) return;
    appendFileSync(marks, `${mark}\n`);
    process.kill(process.pid, 'SIGKILL');
  };
  return (store) => ({
    ...store,
    commit(change) {
      if (change.close) dieAtFirst(change.close.key, 'answer');
      return store.commit(change);
    },
    async launch(key, token, at, options) {
      const ours = await store.launch(key, token, at, options);
      if (ours) dieAtFirst(key, 'launch');
      return ours;
    },
  });
}

export function deathsIn(marks: string): string[] {
  return existsSync(marks) ? readFileSync(marks, 'utf8').trim().split('\n') : [];
}
