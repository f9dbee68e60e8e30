/** The approval page as this door uses it: its address goes into `next`, and a person types secrets there (design §5, §6). */
import type { Engine } from '../engine/engine.ts';
import type { ApprovalRow } from '../engine/ports.ts';
import type { Next } from '../engine/view.ts';
import type { Structured } from './tool.ts';

export type PageOutcome = 'done' | 'declined';

/** src/web fits it. */
export type PagePort = {
  /** Undefined when the page no longer takes an answer to this. */
  forApproval(asked: Pick<ApprovalRow, 'id' | 'runId' | 'expiresAt'>): Promise<string | undefined>;
  forSecrets(request: { runId: string; runName: string; title: string; fields: readonly string[] }): Promise<{
    id: string;
    url: string;
    /** Field to the reference that stands for it once it was typed. */
    references: Record<string, string>;
  }>;
  /** How a request for secrets ends; undefined when this process never asked it. */
  outcome(id: string): Promise<PageOutcome> | undefined;
};

/** An answer about a run that waits for a person's yes, with the address where the yes can be given. */
export async function withPage(
  pages: (() => Promise<PagePort>) | undefined,
  engine: Pick<Engine, 'pendingApprovals'>,
  answer: Structured,
): Promise<Structured> {
  const { runId, name, status, next } = answer as { runId?: unknown; name?: unknown; status?: unknown; next?: Next };
  if (!pages || typeof runId !== 'string' || status !== 'waiting' || next?.who !== 'human') return answer;
  const asked = (await engine.pendingApprovals(runId)).at(-1);
  const page = asked && (await (await pages()).forApproval(asked));
  if (page === undefined) return answer;
  const say = `Ask the person to open ${page} in a browser on this machine and to answer there, or to approve the run ${String(name)} at a terminal: ${asked?.statement ?? ''}`;
  return { ...answer, next: { ...next, say, page } };
}
