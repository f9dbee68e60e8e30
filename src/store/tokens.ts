import { and, asc, eq, isNull } from 'drizzle-orm';
import { AppError } from '../errors.ts';
import type { Connection } from './sqlite/database.ts';
import { tokens } from './sqlite/schema.ts';

export type TokenRow = typeof tokens.$inferSelect;

/** Bearer tokens of the HTTP door: rows by hash, never a token itself. */
export type Tokens = {
  /** Throws TOKEN_EXISTS while one of that name is in force. */
  add(row: Omit<TokenRow, 'createdAt' | 'revokedAt'>): Promise<void>;
  /** Also the revoked ones, oldest first. */
  list(): Promise<TokenRow[]>;
  /** Throws TOKEN_UNKNOWN. */
  revoke(name: string): Promise<void>;
  find(id: string): Promise<TokenRow | undefined>;
  /** True when a token is in force, so that nobody is let in without one. */
  any(): Promise<boolean>;
};

export function createTokens({ read, write }: Connection, now: () => number): Tokens {
  const inForce = (row: TokenRow | undefined): boolean => row !== undefined && (row.expiresAt === null || row.expiresAt > now());
  return {
    add: (row) =>
      write((db) => {
        const standing = db
          .select()
          .from(tokens)
          .where(and(eq(tokens.name, row.name), isNull(tokens.revokedAt)))
          .all();
        if (standing.some(inForce))
          throw new AppError('TOKEN_EXISTS', {
            message: `There is a token named ${row.name} already.`,
            fix: `Take another name, or revoke it first: capstan token revoke ${row.name}.`,
          });
        db.insert(tokens)
          .values({ ...row, createdAt: now() })
          .run();
      }),
    list: () => read((db) => db.select().from(tokens).orderBy(asc(tokens.createdAt), asc(tokens.id)).all()),
    revoke: (name) =>
      write((db) => {
        const { changes } = db
          .update(tokens)
          .set({ revokedAt: now() })
          .where(and(eq(tokens.name, name), isNull(tokens.revokedAt)))
          .run();
        if (changes === 0)
          throw new AppError('TOKEN_UNKNOWN', {
            message: `There is no token named ${JSON.stringify(name.slice(0, 60))} in force.`,
            fix: 'capstan token list shows the tokens.',
          });
      }),
    find: (id) => read((db) => db.select().from(tokens).where(eq(tokens.id, id)).get()),
    any: () => read((db) => db.select().from(tokens).where(isNull(tokens.revokedAt)).all().some(inForce)),
  };
}
