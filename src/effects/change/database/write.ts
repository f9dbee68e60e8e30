/**
 * Writing the planned values into the database, and putting the earlier ones back. Invariants:
 * 1. Written only over what the plan found or wrote (E9), read back before it counts.
 * 2. Passwords go only by the way that needs none, so that no half of a change can lock us out.
 */
import { AppError } from '../../../errors.ts';
import { changedBySomebodyElse, type DokployDeps } from '../../dokploy/session.ts';
import type { EffectContext } from '../../handler.ts';
import type { SqlSession } from '../../postgres/session.ts';
import type { ChangeDocument } from '../document.ts';
import { openAdmin, openWithoutPassword } from './access.ts';
import { type Cell, type CellState, type DatabaseDocument, judgeCell, nameOf, readCellsSql, shownOf, writeCellsSql } from './cells.ts';

/** How each planned value is found. Throws the codes of openAdmin and openWithoutPassword. */
export function judgeDatabase(deps: DokployDeps, ctx: EffectContext, document: ChangeDocument): Promise<CellState[]> {
  return withSession(deps, ctx, document, async (session, { cells }) => {
    const found = await readCells(session, cells);
    return cells.map((each, index) => judgeCell(each, found[index] ?? null));
  });
}

/** Answers the names of what was changed. Throws CHANGED_BY_SOMEBODY_ELSE, DATABASE_NOT_KEPT and the codes of the session. */
export function putDatabase(deps: DokployDeps, ctx: EffectContext, document: ChangeDocument, how: 'before' | 'after'): Promise<string[]> {
  return withSession(deps, ctx, document, async (session, { cells }) => {
    const found = await readCells(session, cells);
    const strange = cells.flatMap((each, index) =>
      judgeCell(each, found[index] ?? null) === 'foreign' ? [[each, found[index] ?? null] as const] : [],
    );
    if (strange.length > 0) throw edited(document, strange);
    const writes = cells.flatMap((each, index) => {
      const [now, wanted] = [found[index] ?? null, each[how]];
      return now === wanted ? [] : [{ cell: each, found: now, wanted }];
    });
    if (writes.length === 0) return [];
    await session.query(writeCellsSql(writes)).catch((error: unknown) => {
      throw isStale(error) ? edited(document, []) : error;
    });
    const kept = await readCells(session, cells);
    const lost = cells.filter((each, index) => (kept[index] ?? null) !== each[how]);
    if (lost.length > 0) throw notKept(document, lost);
    return writes.map(({ cell: each }) => nameOf(each));
  });
}

async function withSession<T>(
  deps: DokployDeps,
  ctx: EffectContext,
  document: ChangeDocument,
  work: (session: SqlSession, plan: DatabaseDocument) => Promise<T>,
): Promise<T> {
  const { database: plan, target, dokploy, composeId, deployed, environment } = document;
  if (plan === null) throw new TypeError('this plan changes nothing inside the database');
  const instance = { target, dokploy, composeId, env: environment?.before ?? deployed.env, routes: deployed.routes };
  const open = plan.cells.some(({ kind }) => kind !== 'tenant') ? openWithoutPassword : openAdmin;
  const session = await open(deps, ctx, instance, plan.database);
  try {
    return await work(session, plan);
  } finally {
    await session.close();
  }
}

export async function readCells(session: SqlSession, cells: readonly Cell[]): Promise<(string | null)[]> {
  const { rows } = await session.query<{ cell: number; value: string | null }>(`${readCellsSql(cells)} order by 1`);
  return cells.map((_, index) => rows.find(({ cell }) => Number(cell) === index)?.value ?? null);
}

function isStale(error: unknown): boolean {
  return error instanceof AppError && error.details?.['sqlState'] === '40001';
}

/** The three versions, secrets masked. */
function edited({ target }: ChangeDocument, strange: readonly (readonly [Cell, string | null])[]): AppError {
  const compared = strange.map(([each, found]) => ({
    place: nameOf(each),
    before: shownOf(each, each.before),
    found: shownOf(each, found),
    ours: shownOf(each, each.after),
  }));
  const [first] = compared;
  return changedBySomebodyElse(`${first ? `The ${first.place}` : 'What is to be changed'} in the database of ${target}`, {
    database: compared,
  });
}

function notKept({ target }: ChangeDocument, lost: readonly Cell[]): AppError {
  return new AppError('DATABASE_NOT_KEPT', {
    message: `The database of ${target} accepted the change, but does not read back as planned: ${lost.map(nameOf).join(', ')}.`,
    fix: 'Look for a trigger or an event trigger that writes there, then retry or roll back.',
    retry: 'ask',
    applied: 'unknown',
  });
}
