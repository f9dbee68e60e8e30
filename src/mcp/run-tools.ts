/** The tools that start and move runs: parse, one engine method, wait. */
import type { Answer } from '../engine/engine.ts';
import { defineTool, isQuestion, type Question, type Structured, type ToolCall } from './tool.ts';
import * as core from './toolsets/core.ts';
import { waited } from './waiting.ts';

export const startWorkflow = defineTool(core.startWorkflow, async ({ waitMs, ...request }, call) =>
  waited(await call.app.engine.start(request, call.caller), waitMs, call),
);

export const advanceRun = defineTool(core.advanceRun, async ({ waitMs, ...asked }, call) => {
  const handed = await call.handedOver(asked);
  if ('instead' in handed) return handed.instead;
  const request = { ...asked, payload: handed.payload };
  return afterApproval(await call.approved(() => call.app.engine.advance(request, call.caller)), waitMs, call);
});

export const rollbackRun = defineTool(core.rollbackRun, async ({ waitMs, dryRun, ...request }, call) => {
  if (dryRun === true) {
    const preview = await call.app.engine.previewRollback(request.run, request.to);
    return { ...(await call.app.engine.inspect(request.run)), preview };
  }
  return afterApproval(await call.approved(() => call.app.engine.rollback(request, call.caller)), waitMs, call);
});

export const cancelRun = defineTool(core.cancelRun, async (request, call) =>
  afterApproval(await call.approved(() => call.app.engine.cancel(request, call.caller)), undefined, call),
);

export const listRuns = defineTool(core.listRuns, async ({ limit = 20, ...filter }, call) => {
  const runs = await call.app.engine.list({ ...filter, limit });
  const last = runs.at(-1);
  return { runs, ...(runs.length === limit && last ? { before: last.runId } : {}) };
});

async function afterApproval(result: Answer | Question, waitMs: number | undefined, call: ToolCall): Promise<Structured | Question> {
  return isQuestion(result) ? result : waited(result, waitMs, call);
}
