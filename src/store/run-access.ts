/** To whom runs belong, with whom they are shared, and which names their inputs and locks hold (design §5). */
import { and, eq, inArray, isNotNull, or } from 'drizzle-orm';
import type { Connection, Db } from './sqlite/database.ts';
import { effects, events, runShares, runs } from './sqlite/schema.ts';

/** Everybody who may connect. */
export const everybody = '*';

export type RunOwner = { runId: string; name: string; principal: string; sharedWith: string[] };

export type RunAccess = {
  owners(runIds: readonly string[]): Promise<RunOwner[]>;
  /** Every text in what was sent to the run, and the names in the locks of its effects. */
  texts(runIds: readonly string[]): Promise<Map<string, Set<string>>>;
  share(runId: string, principal: string): Promise<void>;
  unshare(runId: string, principal: string): Promise<void>;
};

export function createRunAccess({ read, write }: Connection): RunAccess {
  return {
    owners: (runIds) =>
      read((db) =>
        db
          .select({ runId: runs.id, name: runs.name, parentId: runs.parentId })
          .from(runs)
          .where(inArray(runs.id, [...runIds]))
          .all()
          .map(({ parentId, ...row }) => ({ ...row, ...ownerOf(db, parentId ?? row.runId) })),
      ),
    texts: (runIds) =>
      read((db) => {
        const out = new Map(runIds.map((id) => [id, new Set<string>()]));
        const sent = db
          .select({ runId: events.runId, payload: events.payload })
          .from(events)
          .where(and(inArray(events.runId, [...runIds]), or(eq(events.source, 'principal'), eq(events.seq, 1))))
          .all();
        for (const { runId, payload } of sent) collect(payload, out.get(runId) ?? new Set());
        const locked = db
          .select({ runId: effects.runId, locks: effects.locks })
          .from(effects)
          .where(and(inArray(effects.runId, [...runIds]), isNotNull(effects.locks)))
          .all();
        for (const { runId, locks } of locked) for (const lock of locks ?? []) out.get(runId)?.add(lock.replace(/^target:/, ''));
        return out;
      }),
    share: (runId, principal) => write((db) => void db.insert(runShares).values({ runId, principal }).onConflictDoNothing().run()),
    unshare: (runId, principal) =>
      write(
        (db) =>
          void db
            .delete(runShares)
            .where(and(eq(runShares.runId, runId), eq(runShares.principal, principal)))
            .run(),
      ),
  };
}

/** A child belongs to whoever started the run at the top (E12). */
function ownerOf(db: Db, id: string): Pick<RunOwner, 'principal' | 'sharedWith'> {
  const row = db.select({ principal: runs.principal, parentId: runs.parentId }).from(runs).where(eq(runs.id, id)).get();
  if (row?.parentId) return ownerOf(db, row.parentId);
  const shares = db.select({ principal: runShares.principal }).from(runShares).where(eq(runShares.runId, id)).all();
  return { principal: row?.principal ?? '', sharedWith: shares.map((share) => share.principal) };
}

function collect(value: unknown, into: Set<string>): void {
  if (typeof value === 'string') into.add(value);
  else if (Array.isArray(value)) for (const each of value) collect(each, into);
  else if (typeof value === 'object' && value !== null) for (const each of Object.values(value)) collect(each, into);
}
