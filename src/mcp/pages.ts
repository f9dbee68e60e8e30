/** Pages of a list that is made anew at each call: a cursor goes on only in the same list. */
import { createHash } from 'node:crypto';
import { AppError } from '../errors.ts';
import { sizeOf } from './answer.ts';

const pageBytes = 60_000;

export type Page<T> = { rows: T[]; leftOff?: number; cursor?: string };

type PageOptions<T> = {
  /** What makes a row the same one at the next call. */
  idOf: (row: T) => string;
  cursor?: string | undefined;
  most?: number;
};

/** As many rows as one answer may hold, from the cursor on; `leftOff` says how many come after them. Throws CURSOR_STALE. */
export function pageOf<T>(rows: readonly T[], { idOf, cursor, most = Number.POSITIVE_INFINITY }: PageOptions<T>): Page<T> {
  const ids = rows.map(idOf);
  const from = cursor === undefined ? 0 : placeIn(ids, cursor);
  const page: T[] = [];
  let bytes = 0;
  for (const row of rows.slice(from)) {
    bytes += sizeOf(row);
    if (page.length === most || (bytes > pageBytes && page.length > 0)) break;
    page.push(row);
  }
  const next = from + page.length;
  return next >= rows.length ? { rows: page } : { rows: page, leftOff: rows.length - next, cursor: `${next}.${printOf(ids)}` };
}

function placeIn(ids: readonly string[], cursor: string): number {
  const [place = '', print] = cursor.split('.');
  const from = Number(place);
  if (/^\d{1,9}$/.test(place) && print === printOf(ids) && from < ids.length) return from;
  throw new AppError('CURSOR_STALE', {
    message: 'The list is no longer the one that this cursor was made for.',
    fix: 'Ask again without a cursor.',
  });
}

function printOf(ids: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(ids)).digest('hex').slice(0, 12);
}
