/**
 * A person's yes through the client (engine.md A2, level `client-vouched`). Invariants:
 * 1. The form has no fields: its text is the engine's statement and the run's name, and accepting is the answer.
 * 2. What comes back is bound by a signed state to this tool, these arguments and one approval; the engine consumes that once.
 * 3. Declined, failed or missing: the run stays waiting, and the answer says so.
 */
import { createHash } from 'node:crypto';
import type { Answer, Engine } from '../engine/engine.ts';
import { AppError } from '../errors.ts';

/** What travels through the client, signed. */
export type ApprovalState = { approval: string; run: string; tool: string; arguments: string };

export type Asked = {
  approval: string;
  run: string;
  statement: string;
  /** The target that takes only the approver's seal: a client cannot give that. */
  sealed?: string;
};

/** How the person answered; `failed` when the client came back without an answer, `unasked` when it could not ask. */
export type PersonSays = 'accept' | 'decline' | 'cancel' | 'failed' | 'unasked';

/** The request that the engine wrote down, or undefined for any other error. */
export function askedIn(error: unknown): Asked | undefined {
  if (!(error instanceof AppError) || error.code !== 'APPROVAL_REQUIRED') return undefined;
  const { approval, run, statement, sealed } = error.details ?? {};
  if (typeof approval !== 'string' || typeof run !== 'string' || typeof statement !== 'string') return undefined;
  return { approval, run, statement, ...(typeof sealed === 'string' ? { sealed } : {}) };
}

export function stateOf(asked: Asked, tool: string, args: unknown): ApprovalState {
  return { approval: asked.approval, run: asked.run, ...callOf(tool, args) };
}

/** What binds a state to one call. */
export function callOf(tool: string, args: unknown): Pick<ApprovalState, 'tool' | 'arguments'> {
  return { tool, arguments: hashOf(args) };
}

/** Throws APPROVAL_STATE_FOREIGN when a state comes back with another request than it left with. */
export function requireSame(state: Pick<ApprovalState, 'tool' | 'arguments'>, tool: string, args: unknown): void {
  if (state.tool === tool && state.arguments === hashOf(args)) return;
  throw new AppError('APPROVAL_STATE_FOREIGN', {
    message: 'The answer of the person belongs to another request than this one.',
    fix: 'Send the request again without requestState; nothing was changed.',
  });
}

export function messageOf(asked: Asked, runName: string): string {
  return `${asked.statement}\n\nRun: ${runName}`;
}

/** Carries out what was accepted; else voids the request and answers where the run stands. */
export async function settle(
  engine: Engine,
  asked: Pick<Asked, 'approval' | 'run'>,
  says: PersonSays,
  by: { principal: string; door: string },
): Promise<Answer> {
  if (says === 'accept') return engine.approve(asked.approval, { ...by, level: 'client-vouched' });
  // Nobody was asked: the request stands, for the page or a terminal.
  if (says !== 'unasked') await engine.decline(asked.approval, { ...by, level: 'client-vouched' });
  const view = await engine.inspect(asked.run);
  const what = says === 'failed' || says === 'unasked' ? 'The person could not be asked' : 'The person did not approve';
  return {
    ...view,
    next: { who: 'human', say: `${what}; nothing was changed and the run waits in "${view.state}". Ask the person what to do instead.` },
  };
}

function hashOf(args: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(args ?? {}))
    .digest('hex');
}
