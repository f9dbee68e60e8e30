/** New effects are born running in the process that commits them, as far as it has free slots: one synced write fewer per step (engine.md C4). */
import { type FamilyDeps, withFamily } from './family.ts';
import type { Change, Committed, EffectRow } from './ports.ts';

/** The worker of this process, while it works. */
export type Slots = {
  worker: string;
  /** Takes up to `wanted` free slots and returns how many; `extra` slots are about to become free. */
  reserve(wanted: number, extra: number): number;
  giveBack(slots: number): void;
  /** Carries out a claimed row on a reserved slot. */
  launch(row: EffectRow): void;
  token(): string;
};

export type Dispatch = {
  attach(slots: Slots): void;
  detach(): void;
  /** True while this process carries out work. */
  works(): boolean;
  /** Commits; what the change opens is claimed here, unless the run is held, and begun after the commit. */
  commit(change: Change): Promise<Committed>;
};

export function createDispatch(deps: FamilyDeps): Dispatch {
  const { store } = deps;
  let slots: Slots | undefined;
  return {
    attach(next) {
      slots = next;
    },
    detach() {
      slots = undefined;
    },
    works: () => slots !== undefined,
    async commit(change) {
      for (;;) {
        const answer = await commitHere(await withFamily(deps, change));
        // Another run of the family has moved meanwhile: what it hears is planned anew.
        if (answer.ok || answer.conflict !== 'version' || answer.runId === change.runId) return answer;
      }
    },
  };

  async function commitHere(change: Change): Promise<Committed> {
    const here = slots;
    const opened = change.open?.filter((row) => row.kind === 'do' && !row.child) ?? [];
    const taken = here && opened.length > 0 ? here.reserve(opened.length, change.close ? 1 : 0) : 0;
    if (!here || taken === 0) return store.commit(change);
    const claimed = new Set(opened.slice(0, taken).map((row) => row.key));
    const open = change.open?.map((row) => (claimed.has(row.key) ? { ...row, claim: { worker: here.worker, token: here.token() } } : row));
    let begun = 0;
    try {
      const answer = await store.commit({ ...change, ...(open ? { open } : {}) });
      for (const row of answer.ok ? answer.claimed : []) {
        begun++;
        here.launch(row);
      }
      return answer;
    } finally {
      here.giveBack(taken - begun);
    }
  }
}
