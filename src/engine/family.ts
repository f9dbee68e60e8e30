/** What one commit of a run means for its family (engine.md E12): children that it begins, the parent that it answers. */

import type { Catalog } from './catalog.ts';
import { endOf, withChildren } from './children.ts';
import { outcomeChange } from './outcome.ts';
import type { Change, Clock, Crypto, Log, RunRow, Store } from './ports.ts';

export type FamilyDeps = { store: Store; catalog: Catalog; clock: Clock; crypto: Crypto; log: Log };

/** The change together with what must be written with it; the same change where no family is touched. */
export async function withFamily(deps: FamilyDeps, change: Change): Promise<Change> {
  const begins = change.open?.some((row) => row.kind === 'do' && deps.catalog.contract(row.contract).child !== undefined) ?? false;
  const ends = change.run?.phase === 'done' || change.run?.phase === 'failed' || change.run?.phase === 'cancelled';
  if (!begins && !ends) return change;
  const run = change.expect === 'new' ? undefined : (await deps.store.load(change.runId))?.run;
  const parent = run ?? change.create;
  const grown = begins && parent ? withChildren(deps, change, parent) : change;
  const heard = ends && run ? await parentChange(deps, run, change) : undefined;
  return heard ? { ...grown, also: [...(grown.also ?? []), heard] } : grown;
}

async function parentChange(deps: FamilyDeps, child: RunRow, change: Change): Promise<Change | undefined> {
  if (child.parentId === null || child.parentKey === null) return undefined;
  const [row, parent] = [await deps.store.effect(child.parentKey), await deps.store.load(child.parentId)];
  if (row?.status !== 'running' || parent?.run.phase !== 'active') return undefined; // stopped: the parent drains it itself
  const end = endOf(change, deps.catalog.contract(row.contract));
  if (!end) return undefined;
  return withFamily(deps, outcomeChange(deps, parent.run, row, { key: row.key, token: '', ...end }, end));
}
