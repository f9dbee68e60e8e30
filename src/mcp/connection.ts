/** Who is at the other end of a connection, and what he may do and see there (design §5). */
import type { Caller } from '../engine/engine.ts';

/** Each may do what those before it may: look; start and move runs; answer for what needs a person's yes. */
export const roles = ['viewer', 'operator', 'approver'] as const;
export type Role = (typeof roles)[number];

export type Connection = {
  /** A run belongs to the principal that started it. */
  caller: Caller;
  role: Role;
  /** The targets that exist for this connection; left out: all. */
  targets?: readonly string[];
};

/** Whoever runs the client under this user: what he can do at a terminal he can do here. */
export const localConnection: Connection = { caller: { principal: 'local', door: 'mcp-stdio' }, role: 'approver' };
