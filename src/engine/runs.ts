/** What every method of the engine does with a stored run: find, show, answer again, commit or say who moved it (C3, C6). */
import { AppError } from '../errors.ts';
import type { Approver } from './approver-port.ts';
import type { Catalog } from './catalog.ts';
import type { Dispatch } from './dispatch.ts';
import type { Hands } from './hands-port.ts';
import { quoted } from './payload.ts';
import type { Audience, Change, Clock, Crypto, EffectRow, Log, Presence, RunRow, Store, Vault, Wakes } from './ports.ts';
import { type RunView, viewOf } from './view.ts';

export type Caller = { principal: string; door: string };
export type EngineDeps = {
  dispatch: Dispatch;
  store: Store;
  vault: Vault;
  hands: Hands;
  catalog: Catalog;
  clock: Clock;
  crypto: Crypto;
  log: Log;
  wakes: Wakes;
  presence: Presence;
  /** Left out, no target asks for a seal and no rule stands. */
  approver?: Approver;
  /** The owner lets agents hand back tokens in a person's place (level `agent-vouched`); left out: never. */
  approvalTokens?: boolean;
};

/** An answer; `replayed` when the same request key had done it before (C6). */
export type Answer = RunView & { replayed?: true };

export type Runs = {
  /** The run meant by an id, a unique prefix or a name. Throws RUN_UNKNOWN, RUN_AMBIGUOUS. */
  idOf(reference: string): Promise<string>;
  load(reference: string): Promise<{ run: RunRow; open: EffectRow[] }>;
  view(runId: string): Promise<RunView>;
  /** The earlier answer to this request key, or what to store with this one. Throws REQUEST_KEY_REUSED. */
  replay(caller: Caller, key: string | undefined, what: unknown): Promise<{ answer?: Answer; request?: Change['request'] }>;
  /** Throws RUN_MOVED with the state now and what it accepts. */
  conflict(runId: string): Promise<never>;
  commit(change: Change): Promise<void>;
  audit(caller: Caller, action: string, runId: string, level?: string | null): Promise<void>;
};

export function createRuns({ store, dispatch, catalog, clock, crypto, wakes, presence }: EngineDeps): Runs {
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
    const waits = loaded?.open.some((row) => row.status === 'intent' && row.worker === null) ?? false;
    if (!loaded)
      throw new AppError('RUN_UNKNOWN', { message: `There is no run ${runId}.`, fix: 'List the runs to see their ids and names.' });
    return viewOf(catalog, {
      run: loaded.run,
      open: loaded.open,
      checkpoints,
      approvals: asked,
      blockers: waits ? await store.blockers(runId) : [],
      someoneWorks: () => dispatch.works() || presence.someoneWorks(),
    });
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
    const answer = await dispatch.commit(change);
    if (answer.ok) return wakes.touch(change.runId, told(answer.audience));
    if (answer.conflict === 'approval')
      throw new AppError('APPROVAL_STALE', { message: 'The approval was used already.', fix: 'Look at the run again.' });
    await conflict(change.runId);
  };

  const audit = async (caller: Caller, action: string, runId: string, level: string | null = null): Promise<void> =>
    store.audit({ at: clock.now(), principal: caller.principal, door: caller.door, level, action, runId, outcome: 'accepted' });

  return { idOf, load: loadRun, view, replay, conflict, commit: commitOrConflict, audit };
}

/** What a person or agent did is seen at once by everybody who waits for the run. */
export function told(audience: Audience): Audience {
  return audience === 'here' ? 'watchers' : audience;
}

/** Events and cancel are for runs that go forward. Throws ROLLBACK_RUNNING, RUN_ENDED. */
export function refuseUnlessActive(run: RunRow): void {
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
