/**
 * An agent's word in its person's place (engine.md A2, level `agent-vouched`), where the owner switched tokens on. Invariants:
 * 1. The token stands in `next` of the answer to whoever may approve, and nowhere else: not in resources, logs or the store.
 * 2. The tool gives nothing but the token: what is approved is what the engine wrote down when it was asked.
 */
import { requestIn } from '../engine/approval-tokens.ts';
import type { Engine } from '../engine/engine.ts';
import type { Next } from '../engine/view.ts';
import { defineTool, type Structured } from './tool.ts';
import * as core from './toolsets/core.ts';
import { waited } from './waiting.ts';

/** What every answer that rests on such an approval says of it. */
export const agentVouched = {
  level: 'agent-vouched',
  say: 'Nothing but the word of the agent stands for this approval: the lowest level there is.',
} as const;

export const approveRun = defineTool(core.approveRun, async ({ run, token, waitMs }, call) => {
  const { engine } = call.app;
  const { runId } = await engine.inspect(run);
  const by = { ...call.caller, level: agentVouched.level, vouch: { token, run: runId } };
  return { ...(await waited(await engine.approve(requestIn(token) ?? 'unknown', by), waitMs, call)), approvedAs: agentVouched };
});

/** An answer about a run that waits for a person's yes, with what this principal may hand back for it. */
export async function withToken(
  engine: Pick<Engine, 'pendingApprovals' | 'approvalToken'>,
  principal: string,
  answer: Structured,
): Promise<Structured> {
  const { runId, status, next } = answer as { runId?: unknown; status?: unknown; next?: Next };
  if (typeof runId !== 'string' || status !== 'waiting' || next?.who !== 'human') return answer;
  const asked = (await engine.pendingApprovals(runId)).at(-1);
  const token = asked && (await engine.approvalToken(asked.id, principal));
  if (asked === undefined || token === undefined) return answer;
  const call = { tool: core.approveRun.name, arguments: { run: runId, token } };
  const say = `${next.say} Or ask the person here, in these words: "${asked.statement}" Only after an explicit yes to this send the call; it is recorded as ${agentVouched.level}.`;
  return { ...answer, next: { ...next, say, call } };
}
