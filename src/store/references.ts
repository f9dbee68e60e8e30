/**
 * Which secrets and artifacts something still refers to (engine.md S5). Ids are random UUIDs, so a text that holds one refers to it.
 * Whole tables are read page by page with a pause between, so that the event loop of a working process is not held.
 */
import { setImmediate as pause } from 'node:timers/promises';
import { eq } from 'drizzle-orm';
import type { Connection } from './sqlite/database.ts';
import { backupKeys, backupStores, dokploys, runs, targets } from './sqlite/schema.ts';

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const pageRows = 200;

/** Columns of the ledger in which a run may hold a reference. Names of ours, never input. */
const places: readonly { table: string; run: string; columns: readonly string[] }[] = [
  { table: 'runs', run: 'id', columns: ['snapshot', 'output', 'rollback'] },
  { table: 'events', run: 'run_id', columns: ['payload'] },
  { table: 'effects', run: 'run_id', columns: ['input', 'output'] },
  { table: 'checkpoints', run: 'run_id', columns: ['snapshot'] },
  { table: 'approvals', run: 'run_id', columns: ['payload'] },
];

export type ReferenceDeps = {
  connection: Connection;
  /** Decrypted text of a stored artifact; throws what cannot be read. */
  readArtifact: (reference: string) => Promise<string>;
  unseal: (scope: string, bytes: Uint8Array) => Promise<unknown>;
};

/** Every id that a target or dokploy names. */
export function namedByTargets({ read }: Connection): Promise<Set<string>> {
  return read((db) => {
    const rows = [targets, dokploys, backupKeys, backupStores].flatMap((table) => db.select().from(table).all() as unknown[]); // rows of any shape, read as text
    return idsIn(JSON.stringify(rows));
  });
}

/** Those of the candidates that a run of the ledger names, but for runs that are going. */
export async function namedByRuns(
  { sqlite, read }: Connection,
  candidates: ReadonlySet<string>,
  going: ReadonlySet<string>,
): Promise<Set<string>> {
  const found = new Set<string>();
  if (candidates.size === 0) return found;
  for (const { table, run, columns } of places) {
    const text = columns.map((column) => `coalesce(${column}, '')`).join(" || ' ' || ");
    const page = sqlite.prepare(
      `select rowid as id, ${run} as run, ${text} as text from ${table} where rowid > ? order by rowid limit ${pageRows}`,
    );
    for (let after = 0; ; ) {
      // The columns are the ones selected above.
      const rows = await read(() => page.all(after) as { id: number; run: string; text: string }[]);
      for (const row of rows.filter((each) => !going.has(each.run)))
        for (const id of idsIn(row.text)) if (candidates.has(id)) found.add(id);
      after = rows.at(-1)?.id ?? after;
      if (rows.length < pageRows) break;
      await pause();
    }
  }
  return found;
}

/** Those of the candidates that stand inside something encrypted: an artifact that stays, or the before-image of an undo to come. All, when one cannot be read. */
export async function namedInside(
  deps: ReferenceDeps,
  candidates: ReadonlySet<string>,
  going: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  if (candidates.size === 0) return candidates;
  try {
    return await lookInside(deps, candidates, going);
  } catch {
    return candidates; // what cannot be read may name any of them
  }
}

async function lookInside(
  { connection, readArtifact, unseal }: ReferenceDeps,
  candidates: ReadonlySet<string>,
  going: ReadonlySet<string>,
): Promise<Set<string>> {
  const found = new Set<string>();
  const note = (text: string) => {
    for (const id of idsIn(text)) if (candidates.has(id)) found.add(id);
  };
  const kept = await connection.read((db) =>
    db.query.artifacts.findMany({ columns: { id: true }, where: (row) => eq(row.status, 'stored') }),
  );
  for (const { id } of kept) if (!going.has(id)) note(await readArtifact(`artifact:${id}`));
  const rolling = await connection.read((db) => db.select({ id: runs.id }).from(runs).where(eq(runs.phase, 'rolling_back')).all());
  for (const run of rolling) {
    const rows = await connection.read((db) =>
      db.query.effects.findMany({ columns: { key: true, before: true }, where: (row) => eq(row.runId, run.id) }),
    );
    for (const { key, before } of rows) if (before) note(JSON.stringify(await unseal(`before:${key}`, before)));
  }
  return found;
}

export function idsIn(text: string): Set<string> {
  return new Set(text.match(uuid) ?? []);
}
