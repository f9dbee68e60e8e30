/**
 * The desk (design §3): load, plan, commit. Every door calls these methods and nothing else.
 * C3 A user's event gets a version conflict as an answer. C6 A request key answers again with the current view.
 */
import { AppError } from '../errors.ts';
import { createApprovals, type Granter } from './approvals.ts';
import type { Definition } from './catalog.ts';
import { changeOf } from './change.ts';
import { describe } from './describe.ts';
import { accepted, handOver, notAccepted, parse } from './payload.ts';
import { begin, plan } from './plan.ts';
import type { ApprovalLevel, ApprovalRow, Change, EventRow, RunFilter, RunSummary } from './ports.ts';
import { type ResolveRequest, resolveRun } from './resolve.ts';
import { previewRollback, type RollbackPreview } from './rollback.ts';
import { type Answer, type Caller, createRuns, type EngineDeps, refuseUnlessActive, told } from './runs.ts';
import { advanceSubject } from './subjects.ts';
import { type RunStatus, type RunView, statusOf } from './view.ts';
import { type WaitOptions, waitForRun } from './waiting.ts';
import { type CancelRequest, cancelRun, type RollbackRequest, rollbackRun } from './withdraw.ts';

export type { Answer, Caller, EngineDeps } from './runs.ts';

type Keyed = { requestKey?: string | undefined };
export type StartRequest = Keyed & { workflow: string; input?: unknown; name?: string | undefined };
export type AdvanceRequest = Keyed & {
  run: string;
  event: string;
  payload?: unknown;
  expectedVersion?: number | undefined;
  approval?: string | undefined;
};
export type RunListing = {
  runId: string;
  name: string;
  workflow: string;
  state: string;
  status: RunStatus;
  version: number;
  updatedAt: string;
};

export type Engine = {
  workflows(): Definition[];
  start(request: StartRequest, caller: Caller): Promise<Answer>;
  advance(request: AdvanceRequest, caller: Caller): Promise<Answer>;
  inspect(run: string): Promise<RunView>;
  /** Resolves when the run no longer works, its version passed `since`, the time is over or the signal fires. */
  waitFor(run: string, options: WaitOptions): Promise<RunView>;
  timeline(run: string, options: { after: number; limit: number }): Promise<EventRow[]>;
  previewRollback(run: string, to: number | string): Promise<RollbackPreview>;
  rollback(request: RollbackRequest, caller: Caller): Promise<Answer>;
  cancel(request: CancelRequest, caller: Caller): Promise<Answer>;
  hold(run: string, caller: Caller): Promise<RunView>;
  release(run: string, caller: Caller): Promise<RunView>;
  resolve(request: ResolveRequest, caller: Caller): Promise<RunView>;
  /** Newest first; `status` is the derived one, so `needs_attention` is the dead-letter list (B6). */
  list(filter: RunFilter & { status?: RunStatus | undefined }): Promise<RunListing[]>;
  /** The open approval requests of a run, newest last. */
  pendingApprovals(run: string): Promise<ApprovalRow[]>;
  /** A person's yes: signs the request and carries out what it allows. */
  approve(id: string, by: Granter & { door: string }): Promise<Answer>;
  /** A person's no: the request is void and the run goes on waiting. */
  decline(id: string, by: Caller & { level: ApprovalLevel }): Promise<void>;
  /** The name of the target for which only the approver's seal will do, if there is one (A2). */
  sealedTarget(run: string): Promise<string | undefined>;
  /** What this principal may hand back as a person's yes; undefined unless the owner switched tokens on, and for production always (A2). */
  approvalToken(id: string, principal: string): Promise<string | undefined>;
};

const maxOpenRuns = 1_000;

export function createEngine(deps: EngineDeps): Engine {
  const { store, catalog, clock, crypto, wakes } = deps;
  const approvals = createApprovals(deps);
  const never = new AbortController().signal;

  const runs = createRuns(deps);
  const { idOf, load: loadRun, view, replay, conflict, commit: commitOrConflict, audit } = runs;

  const engine: Engine = {
    workflows: () => catalog.current(),
    inspect: async (run) => view(await idOf(run)),
    timeline: async (run, options) => store.events(await idOf(run), options),

    async start(request, caller) {
      const definition = catalog.workflow(request.workflow);
      const input = parse(definition.input, request.input ?? {}, `the input of ${definition.name}`, 'INPUT_INVALID', catalog);
      const { answer, request: keyed } = await replay(caller, request.requestKey, [
        'start',
        definition.name,
        request.input ?? {},
        request.name ?? null,
      ]);
      if (answer) return answer;
      if ((await store.openCount()) >= maxOpenRuns)
        throw new AppError('TOO_MANY_RUNS', {
          message: `There are ${maxOpenRuns} unfinished runs.`,
          fix: 'Finish, cancel or roll back some of them first.',
        });
      const runId = crypto.newId();
      const at = clock.now();
      const change = changeOf({
        runId,
        expect: 'new',
        at,
        cause: { type: 'capstan.started', payload: input, source: 'principal', principal: caller.principal, effectKey: null },
        step: begin(definition.machine, input),
        definition,
        contractOf: catalog.contract,
      });
      const name = request.name ?? `${definition.name}-${runId.slice(-6)}`;
      const create = {
        workflow: definition.name,
        definitionHash: definition.hash,
        name,
        principal: caller.principal,
        traceId: crypto.newToken(),
      };
      const committed = await deps.dispatch.commit({ ...change, create, ...(keyed ? { request: keyed } : {}) });
      if (!committed.ok && committed.conflict === 'request') return engine.start(request, caller); // the same key won elsewhere
      if (!committed.ok)
        throw new AppError('START_FAILED', {
          message: `The run could not be created (${committed.conflict}).`,
          fix: 'Try again.',
          retry: 'later',
        });
      wakes.touch(runId, told(committed.audience));
      await audit(caller, `start ${definition.name}`, runId);
      return view(runId);
    },

    async advance(request, caller) {
      const { run } = await loadRun(request.run);
      const handed = await handOver(deps, run, request);
      const { answer, request: keyed } = await replay(caller, request.requestKey, ['advance', run.id, request.event, handed.fingerprinted]);
      if (answer) return answer;
      if (request.expectedVersion !== undefined && request.expectedVersion !== run.version) await conflict(run.id);
      refuseUnlessActive(run);
      const definition = catalog.definitionFor(run);
      const event = accepted(definition, run, request.event, catalog);
      const payload = parse(event.payload, handed.payload, `the payload of ${event.type}`, 'PAYLOAD_INVALID', catalog);
      let consume: Change['consume'];
      let byRule: string | undefined;
      if (event.confirm !== undefined) {
        const subject = advanceSubject(crypto, definition, run, event, handed.payload);
        const asker = { principal: caller.principal, requestKey: request.requestKey };
        const approvalId = request.approval ?? (await approvals.require(run, subject, asker)).id;
        const granted = await approvals.check(run, subject, approvalId);
        consume = { approvalId };
        if (granted.level === 'rule') byRule = granted.grantedBy ?? undefined;
      }
      // The event's fields are the validated payload; `type` is ours and comes last.
      const step = plan(definition.machine, run.snapshot, { ...(payload as object), type: event.type });
      if (!step.accepted) throw notAccepted(run, request.event, describe(step.snapshot).events, catalog);
      const cause = { type: event.type, payload, source: 'principal' as const, principal: caller.principal, effectKey: null };
      const change = changeOf({
        runId: run.id,
        expect: run.version,
        at: clock.now(),
        cause,
        step,
        definition,
        contractOf: catalog.contract,
      });
      await commitOrConflict({
        ...change,
        ...(keyed ? { request: keyed } : {}),
        ...(consume ? { consume } : {}),
        ...(handed.staged.length > 0 ? { writes: { secrets: handed.staged, artifacts: [], targets: [] } } : {}),
      });
      if (byRule !== undefined) await audit({ principal: byRule, door: caller.door }, `approve advance ${event.type}`, run.id, 'rule');
      await audit(caller, `advance ${event.type}`, run.id);
      return view(run.id);
    },

    waitFor: async (reference, options) => waitForRun({ ...deps, view }, await idOf(reference), options),

    async previewRollback(reference, to) {
      const { run } = await loadRun(reference);
      return previewRollback(deps, run, to, never);
    },

    rollback: (request, caller) => rollbackRun({ ...deps, runs, approvals }, request, caller),
    cancel: (request, caller) => cancelRun({ ...deps, runs, approvals }, request, caller),

    hold: (run, caller) => setHeld(run, true, caller),
    release: (run, caller) => setHeld(run, false, caller),

    async resolve(request, caller) {
      const { run, open } = await loadRun(request.run);
      await resolveRun(deps, run, open, request);
      wakes.touch(run.id);
      await audit(caller, `resolve ${request.effect ?? run.id} as ${request.as}: ${(request.note ?? '').slice(0, 200)}`, run.id);
      return view(run.id);
    },

    async list({ status, limit, ...filter }) {
      const found: RunListing[] = [];
      let before = filter.before;
      for (;;) {
        const page = await store.runs({ ...filter, before, limit: 200 });
        for (const row of page.map(toListing)) {
          if (status === undefined || row.status === status) found.push(row);
          if (found.length === limit) return found;
        }
        before = page.at(-1)?.id;
        if (page.length < 200) return found;
      }
    },

    async pendingApprovals(reference) {
      const { run } = await loadRun(reference);
      return (await store.approvals(run.id)).filter(
        (row) => row.status === 'requested' && row.version === run.version && row.expiresAt > clock.now(),
      );
    },

    async approve(id, by) {
      const granted = await approvals.grant(id, by);
      const run = granted.runId;
      await audit({ principal: by.principal, door: by.door }, `approve ${granted.kind} ${granted.event}`, run, by.level);
      // What is carried out is the asker's request: his key answers again when his client asks again (C6).
      const asker: Caller = { principal: granted.requestedBy, door: by.door };
      const common = { run, approval: id, requestKey: granted.requestKey ?? undefined, expectedVersion: granted.version };
      if (granted.kind === 'advance') return engine.advance({ ...common, event: granted.event, payload: granted.payload }, asker);
      if (granted.kind === 'cancel') return engine.cancel(common, asker);
      return engine.rollback({ ...common, to: Number(granted.event) }, asker);
    },

    async decline(id, by) {
      const row = await approvals.decline(id);
      if (row) await audit({ principal: by.principal, door: by.door }, `decline ${row.kind} ${row.event}`, row.runId, by.level);
    },

    sealedTarget: async (reference) => approvals.sealedTarget((await loadRun(reference)).run),
    approvalToken: (id, principal) => approvals.tokenFor(id, principal),
  };

  async function setHeld(reference: string, held: boolean, caller: Caller): Promise<RunView> {
    const { run } = await loadRun(reference);
    if (run.held !== held) await commitOrConflict({ runId: run.id, expect: run.version, at: clock.now(), run: { held } });
    await audit(caller, held ? 'hold' : 'release', run.id);
    return view(run.id);
  }

  return engine;
}

function toListing(row: RunSummary): RunListing {
  const { id: runId, name, workflow, state, version } = row;
  return { runId, name, workflow, state, status: statusOf(row, row), version, updatedAt: new Date(row.updatedAt).toISOString() };
}
