/** Named points at which a process ends by its own SIGKILL, reached through a wrapped store: no hook in the product. */
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
