/** Where a page ends, as a word to send back: it fits the same statement on the same target only. Holds nothing secret, so it is not signed. Pure. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../../errors.ts';
import type { SqlValue } from './session.ts';

type Statement = { target: string; sql: string; parameters: readonly SqlValue[] };

const shape = z.strictObject({ o: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER), h: z.string() });

export function cursorFor(statement: Statement, offset: number): string {
  return Buffer.from(JSON.stringify({ o: offset, h: hashOf(statement) })).toString('base64url');
}

/** Zero without a cursor. Throws CURSOR_FOREIGN. */
export function offsetFrom(cursor: string | undefined, statement: Statement): number {
  if (cursor === undefined) return 0;
  const parsed = shape.safeParse(parseJson(Buffer.from(cursor, 'base64url').toString('utf8')));
  if (parsed.success && parsed.data.h === hashOf(statement)) return parsed.data.o;
  throw new AppError('CURSOR_FOREIGN', {
    message: 'The cursor belongs to another statement, other parameters or another target.',
    fix: 'Send the statement exactly as before, or begin without a cursor.',
  });
}

function hashOf({ target, sql, parameters }: Statement): string {
  return createHash('sha256')
    .update(JSON.stringify([target, sql, parameters]))
    .digest('hex')
    .slice(0, 16);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
