/** Asking for a rollback or a cancel (engine.md B1, B2a0, B3, B5). */
import { AppError } from '../errors.ts';
import type { Approvals } from './approvals.ts';
import { refuseChild } from './children.ts';
import type { Change, RunRow } from './ports.ts';
import { findCheckpoint, previewRollback, standsOutside } from './rollback.ts';
import { type Answer, type Caller, type EngineDeps, type Runs, refuseUnlessActive } from './runs.ts';
import { cancelSubject, rollbackSubject } from './subjects.ts';

export type RollbackRequest = {
  run: string;
  to: number | string;
  expectedVersion?: number | undefined;
  approval?: string | undefined;
  requestKey?: string | undefined;
};
export type CancelRequest = { run: string; approval?: string | undefined; requestKey?: string | undefined };
type Deps = EngineDeps & { runs: Runs; approvals: Approvals };

const never = new AbortController().signal;

export async function rollbackRun(deps: Deps, request: RollbackRequest, caller: Caller): Promise<Answer> {
  const { store, clock, crypto, approvals, runs } = deps;
  const { load: loadRun, view, replay, conflict, commit: commitOrConflict, audit } = runs;
  const { run } = await loadRun(request.run);
  refuseChild(run);
  const checkpoint = findCheckpoint(await store.checkpoints(run.id), request.to);
  const { answer, request: keyed } = await replay(caller, request.requestKey, ['rollback', run.id, checkpoint.seq]);
  if (answer) return answer;
  if (request.expectedVersion !== undefined && request.expectedVersion !== run.version) await conflict(run.id);
  const preview = await previewRollback(deps, run, checkpoint.seq, never);
  if (run.phase === 'rolling_back' && !run.attention) {
    if (run.rollback?.to === preview.to) return view(run.id);
    throw new AppError('ROLLBACK_RUNNING', {
      message: `The run ${run.name} is already rolling back to ${run.rollback?.to}.`,
      fix: 'Wait until that has ended.',
    });
  }
  const [refusal] = preview.refusals;
  if (refusal) throw new AppError(refusal.code, { message: refusal.message, fix: refusal.fix, details: { refusals: preview.refusals } });
  let consume: Change['consume'];
  if (preview.undo.length > 0) {
    const subject = rollbackSubject(crypto, run, preview);
    const approvalId = request.approval ?? (await approvals.require(run, subject, asker(request, caller))).id;
    await approvals.check(run, subject, approvalId);
    consume = { approvalId };
  }
  const approved = preview.undo.map((item) => item.effect);
  const record = { to: preview.to, stage: 'draining' as const, approved, principal: caller.principal, requestedAt: clock.now() };
  await commitOrConflict({
    runId: run.id,
    expect: run.version,
    at: clock.now(),
    event: {
      type: 'capstan.rollback_requested',
      payload: { to: preview.to, undo: approved },
      source: 'principal',
      principal: caller.principal,
      effectKey: null,
      delivered: true,
    },
    run: { phase: 'rolling_back', rollback: record, attention: null },
    stop: '*',
    disarm: '*',
    dropUndo: true,
    ...(keyed ? { request: keyed } : {}),
    ...(consume ? { consume } : {}),
  });
  await audit(caller, `rollback to ${preview.to}`, run.id);
  return view(run.id);
}

export async function cancelRun(deps: Deps, request: CancelRequest, caller: Caller): Promise<Answer> {
  const { store, catalog, clock, crypto, approvals, runs } = deps;
  const { load: loadRun, view, replay, commit: commitOrConflict, audit } = runs;
  const { run } = await loadRun(request.run);
  const takesBack = await mayTakeBack(deps, run);
  const { answer, request: keyed } = await replay(caller, request.requestKey, takesBack ? ['rollback', run.id, 0] : ['cancel', run.id]);
  if (answer) return answer;
  if (run.phase === 'cancelled') return view(run.id);
  refuseUnlessActive(run);
  if (takesBack) return rollbackRun(deps, { ...request, to: 0 }, caller);
  const outside = standsOutside(await store.effectsOfTree(run.id), catalog, 0);
  let consume: Change['consume'];
  if (outside.length > 0) {
    const subject = cancelSubject(crypto, run, outside);
    const approvalId = request.approval ?? (await approvals.require(run, subject, asker(request, caller))).id;
    await approvals.check(run, subject, approvalId);
    consume = { approvalId };
  }
  await commitOrConflict({
    runId: run.id,
    expect: run.version,
    at: clock.now(),
    event: {
      type: 'capstan.cancelled',
      payload: { outside },
      source: 'principal',
      principal: caller.principal,
      effectKey: null,
      delivered: true,
    },
    run: { phase: 'cancelled', output: { outside }, attention: null },
    releases: true,
    stop: '*',
    disarm: '*',
    ...(keyed ? { request: keyed } : {}),
    ...(consume ? { consume } : {}),
  });
  await audit(caller, 'cancel', run.id);
  return view(run.id);
}

/** A workflow whose half is no use to anybody says so (B5); what cannot be taken back is left and listed like any other. */
async function mayTakeBack(deps: Deps, run: RunRow): Promise<boolean> {
  const definition = deps.catalog.list().find((each) => each.name === run.workflow && each.hash === run.definitionHash);
  if (definition?.cancel !== 'takeBack' || run.parentId !== null) return false;
  return (await previewRollback(deps, run, 0, never)).refusals.length === 0;
}

/** Who asks, and the key under which the answer is found again (C6). */
function asker({ requestKey }: { requestKey?: string | undefined }, { principal }: Caller) {
  return { principal, requestKey };
}
