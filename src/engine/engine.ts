/**
 * The desk (design §3): load, plan, commit. Every door calls these methods and nothing else.
 * C3 A user's event gets a version conflict as an answer. C6 A request key answers again with the current view.
 */
import { AppError } from '../errors.ts';
import { type ApprovalSubject, type Approvals, createApprovals } from './approvals.ts';
import type { Catalog, Definition } from './catalog.ts';
import { changeOf } from './change.ts';
import { contextOf, describe, type EventDescription } from './describe.ts';
import { begin, plan, restore } from './plan.ts';
import type {
  ApprovalLevel,
  ApprovalRow,
  Change,
  Clock,
  Crypto,
  EventRow,
  Hands,
  Log,
  RunFilter,
  RunRow,
  RunSummary,
  StagedSecret,
  Store,
  Vault,
  Wakes,
} from './ports.ts';
import { previewRollback, type RollbackPreview, standsOutside } from './rollback.ts';
import { type RunStatus, type RunView, statusOf, viewOf } from './view.ts';

export type Caller = { principal: string; door: string };
export type EngineDeps = {
  store: Store;
  vault: Vault;
  hands: Hands;
  catalog: Catalog;
  clock: Clock;
  crypto: Crypto;
  log: Log;
  wakes: Wakes;
};

type Keyed = { requestKey?: string | undefined };
export type StartRequest = Keyed & { workflow: string; input?: unknown; name?: string | undefined };
export type AdvanceRequest = Keyed & {
  run: string;
  event: string;
  payload?: unknown;
  expectedVersion?: number | undefined;
  approval?: string | undefined;
};
export type RollbackRequest = Keyed & {
  run: string;
  to: number | string;
  expectedVersion?: number | undefined;
  approval?: string | undefined;
};
export type CancelRequest = Keyed & { run: string; approval?: string | undefined };
export type ResolveRequest = {
  run: string;
  effect?: string | undefined;
  as: 'applied' | 'absent' | 'undone' | 'retry' | 'give_up' | 'retry_rollback' | 'abandon_rollback';
  output?: unknown;
  note?: string | undefined;
};

/** An answer; `replayed` when the same request key had done it before (C6). */
export type Answer = RunView & { replayed?: true };

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
  waitFor(
    run: string,
    options: { since?: number; waitMs: number; signal?: AbortSignal; onProgress?: (say: string, percent?: number) => void },
  ): Promise<RunView>;
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
  approve(id: string, by: { principal: string; level: ApprovalLevel; door: string }): Promise<Answer>;
  decline(id: string): Promise<void>;
};

const maxOpenRuns = 1_000;

export function createEngine(deps: EngineDeps): Engine {
  const { store, catalog, clock, crypto, wakes } = deps;
  const approvals: Approvals = createApprovals(deps);
  const never = new AbortController().signal;

  const idOf = async (reference: string): Promise<string> => {
    const ids = await store.findRun(reference);
    const [only] = ids;
    if (only !== undefined && ids.length === 1) return only;
    if (ids.length > 1)
      throw new AppError('RUN_AMBIGUOUS', {
        message: `More than one run is meant by ${quoted(reference)}.`,
        fix: `Give more of the id: ${ids.slice(0, 5).join(', ')}.`,
      });
    throw new AppError('RUN_UNKNOWN', {
      message: `There is no run ${quoted(reference)}.`,
      fix: 'List the runs to see their ids and names.',
    });
  };

  const loadRun = async (reference: string): Promise<{ run: RunRow; open: Awaited<ReturnType<Store['effects']>> }> => {
    const loaded = await store.load(await idOf(reference));
    if (!loaded)
      throw new AppError('RUN_UNKNOWN', {
        message: `There is no run ${quoted(reference)}.`,
        fix: 'List the runs to see their ids and names.',
      });
    return loaded;
  };

  const view = async (runId: string): Promise<RunView> => {
    const [loaded, checkpoints, asked] = [await store.load(runId), await store.checkpoints(runId), await store.approvals(runId)];
    if (!loaded)
      throw new AppError('RUN_UNKNOWN', { message: `There is no run ${runId}.`, fix: 'List the runs to see their ids and names.' });
    return viewOf(catalog, { run: loaded.run, open: loaded.open, checkpoints, approvals: asked });
  };

  /** The earlier answer to this request key, or the hash to store with this one (C6). */
  const replay = async (
    caller: Caller,
    key: string | undefined,
    what: unknown,
  ): Promise<{ answer?: Answer; request?: Change['request'] }> => {
    if (key === undefined) return {};
    const payloadHash = crypto.hash(what);
    const known = await store.findRequest(caller.principal, key);
    if (!known) return { request: { principal: caller.principal, key, payloadHash } };
    if (known.payloadHash !== payloadHash) {
      throw new AppError('REQUEST_KEY_REUSED', {
        message: `The request key ${quoted(key)} was used for something else.`,
        fix: 'Take a new key for a new request.',
        details: { run: known.runId },
      });
    }
    return { answer: { ...(await view(known.runId)), replayed: true } };
  };

  const conflict = async (runId: string): Promise<never> => {
    const now = await view(runId);
    throw new AppError('RUN_MOVED', {
      message: `The run ${now.name} has moved: it is now in "${now.state}" at version ${now.version}.`,
      fix: `Look at it again before sending an event. It accepts now: ${now.waitingFor.map((event) => event.event).join(', ') || 'nothing'}.`,
      details: { state: now.state, version: now.version, accepts: now.waitingFor },
    });
  };

  const commitOrConflict = async (change: Change): Promise<void> => {
    const answer = await store.commit(change);
    if (answer.ok) return wakes.touch();
    if (answer.conflict === 'approval')
      throw new AppError('APPROVAL_STALE', { message: 'The approval was used already.', fix: 'Look at the run again.' });
    await conflict(change.runId);
  };

  const audit = async (caller: Caller, action: string, runId: string, level: string | null = null): Promise<void> =>
    store.audit({ at: clock.now(), principal: caller.principal, door: caller.door, level, action, runId, outcome: 'accepted' });

  const engine: Engine = {
    workflows: () => catalog.list(),
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
      });
      const name = request.name ?? `${definition.name}-${runId.slice(-6)}`;
      const create = {
        workflow: definition.name,
        definitionHash: definition.hash,
        name,
        principal: caller.principal,
        traceId: crypto.newToken(),
      };
      const committed = await store.commit({ ...change, create, ...(keyed ? { request: keyed } : {}) });
      if (!committed.ok && committed.conflict === 'request') return engine.start(request, caller); // the same key won elsewhere
      if (!committed.ok)
        throw new AppError('START_FAILED', {
          message: `The run could not be created (${committed.conflict}).`,
          fix: 'Try again.',
          retry: 'later',
        });
      wakes.touch();
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
      const event = accepted(definition, run, request.event);
      const payload = parse(event.payload, handed.payload, `the payload of ${event.type}`, 'PAYLOAD_INVALID', catalog);
      let consume: Change['consume'];
      if (event.confirm !== undefined) {
        const subject = advanceSubject(crypto, definition, run, event, payload);
        if (request.approval === undefined) return approvals.require(run, subject, caller.principal);
        await approvals.check(run, subject, request.approval);
        consume = { approvalId: request.approval };
      }
      // The event's fields are the validated payload; `type` is ours and comes last.
      const step = plan(definition.machine, run.snapshot, { ...(payload as object), type: event.type });
      if (!step.accepted) throw notAccepted(run, request.event, describe(step.snapshot).events, catalog);
      const cause = { type: event.type, payload, source: 'principal' as const, principal: caller.principal, effectKey: null };
      const change = changeOf({ runId: run.id, expect: run.version, at: clock.now(), cause, step, definition });
      await commitOrConflict({
        ...change,
        ...(keyed ? { request: keyed } : {}),
        ...(consume ? { consume } : {}),
        ...(handed.staged.length > 0 ? { writes: { secrets: handed.staged, artifacts: [], targets: [] } } : {}),
      });
      await audit(caller, `advance ${event.type}`, run.id);
      return view(run.id);
    },

    async waitFor(reference, { since, waitMs, signal, onProgress }) {
      const runId = await idOf(reference);
      const until = clock.now() + waitMs;
      let said = '';
      for (;;) {
        const now = await view(runId);
        const moved = since !== undefined && now.version > since;
        const busy = now.status === 'working' || now.status === 'settling' || now.status === 'rolling_back' || now.status === 'blocked';
        const progress = now.working.find((row) => row.progress)?.progress ?? { say: now.title };
        const say = `${now.state}: ${progress.say}`;
        if (say !== said) onProgress?.(say, 'percent' in progress ? progress.percent : undefined);
        said = say;
        const left = until - clock.now();
        if (!busy || (since !== undefined && moved) || left <= 0 || signal?.aborted) return now;
        await woken(deps, Math.min(left, 1_000), signal);
      }
    },

    async previewRollback(reference, to) {
      const { run } = await loadRun(reference);
      return previewRollback(deps, run, to, never);
    },

    async rollback(request, caller) {
      const { run } = await loadRun(request.run);
      const { answer, request: keyed } = await replay(caller, request.requestKey, ['rollback', run.id, request.to]);
      if (answer) return answer;
      if (request.expectedVersion !== undefined && request.expectedVersion !== run.version) await conflict(run.id);
      const preview = await previewRollback(deps, run, request.to, never);
      if (run.phase === 'rolling_back' && !run.attention) {
        if (run.rollback?.to === preview.to) return view(run.id);
        throw new AppError('ROLLBACK_RUNNING', {
          message: `The run ${run.name} is already rolling back to ${run.rollback?.to}.`,
          fix: 'Wait until that has ended.',
        });
      }
      const [refusal] = preview.refusals;
      if (refusal)
        throw new AppError(refusal.code, { message: refusal.message, fix: refusal.fix, details: { refusals: preview.refusals } });
      let consume: Change['consume'];
      if (preview.undo.length > 0) {
        const subject = rollbackSubject(crypto, run, preview);
        if (request.approval === undefined) return approvals.require(run, subject, caller.principal);
        await approvals.check(run, subject, request.approval);
        consume = { approvalId: request.approval };
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
    },

    async cancel(request, caller) {
      const { run } = await loadRun(request.run);
      const { answer, request: keyed } = await replay(caller, request.requestKey, ['cancel', run.id]);
      if (answer) return answer;
      if (run.phase === 'cancelled') return view(run.id);
      refuseUnlessActive(run);
      const outside = standsOutside(await store.effects(run.id), catalog, 0);
      let consume: Change['consume'];
      if (outside.length > 0) {
        const subject = cancelSubject(crypto, run, outside);
        if (request.approval === undefined) return approvals.require(run, subject, caller.principal);
        await approvals.check(run, subject, request.approval);
        consume = { approvalId: request.approval };
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
        stop: '*',
        disarm: '*',
        ...(keyed ? { request: keyed } : {}),
        ...(consume ? { consume } : {}),
      });
      await audit(caller, 'cancel', run.id);
      return view(run.id);
    },

    hold: (run, caller) => setHeld(run, true, caller),
    release: (run, caller) => setHeld(run, false, caller),

    async resolve(request, caller) {
      const { run, open } = await loadRun(request.run);
      await resolveRun(deps, run, open, request);
      wakes.touch();
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
      const caller: Caller = { principal: by.principal, door: by.door };
      const run = granted.runId;
      await audit(caller, `approve ${granted.kind} ${granted.event}`, run, by.level);
      if (granted.kind === 'advance')
        return engine.advance(
          { run, event: granted.event, payload: granted.payload, expectedVersion: granted.version, approval: id },
          caller,
        );
      if (granted.kind === 'cancel') return engine.cancel({ run, approval: id }, caller);
      return engine.rollback({ run, to: Number(granted.event), expectedVersion: granted.version, approval: id }, caller);
    },

    decline: (id) => approvals.decline(id),
  };

  async function setHeld(reference: string, held: boolean, caller: Caller): Promise<RunView> {
    const { run } = await loadRun(reference);
    if (run.held !== held) await commitOrConflict({ runId: run.id, expect: run.version, at: clock.now(), run: { held } });
    await audit(caller, held ? 'hold' : 'release', run.id);
    return view(run.id);
  }

  return engine;
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 60));
}

function toListing(row: RunSummary): RunListing {
  const { id: runId, name, workflow, state, version } = row;
  return { runId, name, workflow, state, status: statusOf(row, row), version, updatedAt: new Date(row.updatedAt).toISOString() };
}

function refuseUnlessActive(run: RunRow): void {
  if (run.phase === 'active') return;
  if (run.phase === 'rolling_back')
    throw new AppError('ROLLBACK_RUNNING', {
      message: `The run ${run.name} is rolling back and takes no events.`,
      fix: 'Wait until it has ended.',
    });
  throw new AppError('RUN_ENDED', {
    message: `The run ${run.name} has ended as ${run.phase}.`,
    fix: 'Start a new run, or roll this one back.',
  });
}

function accepted(definition: Definition, run: RunRow, type: string): EventDescription {
  const { events } = describe(restore(definition.machine, run.snapshot));
  const found = events.find((event) => event.type === type);
  if (found) return found;
  throw notAccepted(run, type, events, undefined);
}

function notAccepted(run: RunRow, type: string, events: EventDescription[], catalog: Catalog | undefined): AppError {
  const names = events.map((event) => event.type).join(', ') || 'no event now';
  return new AppError('EVENT_NOT_ACCEPTED', {
    message: `The run ${run.name} does not take the event ${quoted(type)} in the state "${run.state}".`,
    fix: `It takes: ${names}.`,
    details: {
      state: run.state,
      version: run.version,
      accepts: events.map((event) => ({
        event: event.type,
        title: event.title,
        ...(catalog ? { payload: catalog.jsonSchema(event.payload) } : {}),
      })),
    },
  });
}

function parse(schema: Definition['input'], value: unknown, what: string, code: string, catalog: Catalog): unknown {
  const text = JSON.stringify(value ?? null);
  if (text.length > 64 * 1024)
    throw new AppError('PAYLOAD_TOO_LARGE', {
      message: `${what} has ${text.length} bytes; the limit is 65536.`,
      fix: 'Send less, or a reference to a file.',
    });
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => `${issue.path.map(String).join('.') || 'value'}: ${issue.message}`);
  throw new AppError(code, {
    message: `${what[0]?.toUpperCase()}${what.slice(1)} is not right: ${issues.join('; ').slice(0, 800)}.`,
    fix: 'Send it again in the shape that the schema in details shows.',
    details: { issues, schema: catalog.jsonSchema(schema) as Record<string, unknown> },
  });
}

/** Secret fields become `secret:<id>` before anything is validated or stored (S2); the hash sees their HMAC (C6). */
async function handOver(
  deps: EngineDeps,
  run: RunRow,
  request: AdvanceRequest,
): Promise<{ payload: unknown; fingerprinted: unknown; staged: StagedSecret[] }> {
  const payload = request.payload ?? {};
  const definition = deps.catalog.list().find((candidate) => candidate.name === run.workflow && candidate.hash === run.definitionHash);
  const event =
    definition && describe(restore(definition.machine, run.snapshot)).events.find((candidate) => candidate.type === request.event);
  if (!event || event.secret.length === 0 || typeof payload !== 'object' || payload === null)
    return { payload, fingerprinted: payload, staged: [] };
  const out: Record<string, unknown> = { ...payload };
  const fingerprinted: Record<string, unknown> = { ...payload };
  const staged: StagedSecret[] = [];
  for (const field of event.secret) {
    const value = out[field];
    if (value === undefined) continue;
    if (typeof value !== 'string' || !/^(secret|env|file):/.test(value)) {
      throw new AppError('SECRET_IN_ARGUMENT', {
        message: `The field ${field} of ${event.type} takes a secret by reference only.`,
        fix: 'Put the value into an environment variable or a file of the machine that runs Capstan and send env:NAME or file:PATH.',
      });
    }
    const handed = await deps.vault.handOver(value, `run:${run.id}`, field);
    out[field] = handed.reference;
    fingerprinted[field] = handed.fingerprint;
    if (handed.staged) staged.push(handed.staged);
  }
  return { payload: out, fingerprinted, staged };
}

function advanceSubject(crypto: Crypto, definition: Definition, run: RunRow, event: EventDescription, payload: unknown): ApprovalSubject {
  const context = contextOf(restore(definition.machine, run.snapshot));
  const planHash = typeof context['planHash'] === 'string' ? context['planHash'] : '';
  const plan = planHash === '' ? '' : ` Plan ${planHash.slice(0, 12)}.`;
  return {
    kind: 'advance',
    event: event.type,
    payload,
    payloadHash: crypto.hash(payload),
    planHash,
    statement: `${event.confirm ?? event.title}${plan}`,
  };
}

function rollbackSubject(crypto: Crypto, run: RunRow, preview: RollbackPreview): ApprovalSubject {
  const items = preview.undo.map((item) => (item.how === 'ifItLands' ? `${item.title} (if it lands)` : item.title)).join('; ');
  const payload = { to: preview.to };
  return {
    kind: 'rollback',
    event: String(preview.to),
    payload,
    payloadHash: crypto.hash(payload),
    planHash: preview.listHash,
    statement: `Roll ${run.name} back to "${preview.name}" and take back, newest first: ${items}.`,
  };
}

function cancelSubject(crypto: Crypto, run: RunRow, outside: { effect: string; what: string }[]): ApprovalSubject {
  return {
    kind: 'cancel',
    event: 'cancel',
    payload: {},
    payloadHash: crypto.hash({}),
    planHash: crypto.hash(outside.map((row) => row.effect).sort()),
    statement: `Cancel ${run.name} and leave outside: ${outside.map((row) => row.what).join('; ')}.`,
  };
}

/** A person's word (B4, B6). */
async function resolveRun(
  deps: EngineDeps,
  run: RunRow,
  open: Awaited<ReturnType<Store['effects']>>,
  request: ResolveRequest,
): Promise<void> {
  const { store, clock } = deps;
  const rollback = run.rollback;
  if (request.as === 'retry_rollback' || request.as === 'abandon_rollback') {
    if (run.phase !== 'rolling_back' || !rollback)
      throw new AppError('RESOLVE_REFUSED', {
        message: `The run ${run.name} is not rolling back.`,
        fix: 'Look at the run; its error says what can be resolved.',
      });
    if (request.as === 'retry_rollback') {
      for (const row of open) if (row.attention) await store.resolveEffect(row.key, {});
      await store.commit({ runId: run.id, expect: run.version, at: clock.now(), run: { attention: null } });
      return;
    }
    const outside = standsOutside(await store.effects(run.id), deps.catalog, rollback.to);
    await store.commit({
      runId: run.id,
      expect: run.version,
      at: clock.now(),
      event: {
        type: 'capstan.rollback_abandoned',
        payload: { outside },
        source: 'principal',
        principal: null,
        effectKey: null,
        delivered: true,
      },
      run: { phase: 'cancelled', rollback: null, attention: null, output: { outside } },
      dropUndo: true,
    });
    return;
  }
  const row = open.find((candidate) => candidate.attention && (request.effect === undefined || candidate.key === request.effect));
  if (!row)
    throw new AppError('RESOLVE_REFUSED', {
      message: `No effect of ${run.name} needs attention${request.effect ? ` under the key ${quoted(request.effect)}` : ''}.`,
      fix: 'Look at the run; its error names the effect.',
    });
  switch (request.as) {
    case 'retry':
      await store.resolveEffect(row.key, {});
      return;
    case 'absent':
      await store.resolveEffect(row.key, { outside: 'absent' });
      return;
    case 'give_up':
      if (row.kind === 'undo')
        throw new AppError('RESOLVE_REFUSED', {
          message: 'An undo is not given up one by one.',
          fix: 'Use abandon_rollback for the run, or undone for this effect.',
        });
      await store.resolveEffect(row.key, { outside: 'absent', failing: row.attention });
      return;
    case 'undone':
      if (row.kind !== 'undo' || !row.undoOf)
        throw new AppError('RESOLVE_REFUSED', {
          message: 'Only an undo can be resolved as undone.',
          fix: 'Say applied, absent, retry or give_up.',
        });
      await store.commit({
        runId: run.id,
        expect: run.version,
        at: clock.now(),
        close: { key: row.key, token: '', status: 'done', outside: 'undone' },
        undone: [row.undoOf],
      });
      return;
    case 'applied':
      await resolveApplied(deps, run, row, request);
      return;
    default:
      request.as satisfies never;
  }
}

async function resolveApplied(
  deps: EngineDeps,
  run: RunRow,
  row: Awaited<ReturnType<Store['effects']>>[number],
  request: ResolveRequest,
): Promise<void> {
  const contract = deps.catalog.contract(row.contract);
  const output = parse(contract.output, request.output ?? {}, `the output of ${contract.name}`, 'OUTPUT_INVALID', deps.catalog);
  const definition = deps.catalog.definitionFor(run);
  const event = { type: `xstate.done.actor.${row.invokeId}`, actorId: row.invokeId, output };
  const step = plan(definition.machine, run.snapshot, event);
  if (!step.accepted)
    throw new AppError('RESOLVE_REFUSED', {
      message: `The run ${run.name} no longer waits for this effect.`,
      fix: 'Look at the run again.',
    });
  const cause = { type: event.type, payload: output, source: 'principal' as const, principal: null, effectKey: row.key };
  const change = changeOf({ runId: run.id, expect: run.version, at: deps.clock.now(), cause, step, definition });
  await deps.store.commit({ ...change, close: { key: row.key, token: '', status: 'done', outside: 'applied', output } });
}

async function woken(deps: EngineDeps, ms: number, signal: AbortSignal | undefined): Promise<void> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const unsubscribe = deps.wakes.subscribe(stop);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await deps.clock.wait(ms, controller.signal);
  } finally {
    unsubscribe();
    signal?.removeEventListener('abort', stop);
  }
}
