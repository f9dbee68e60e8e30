/** What was refused is audited as well as what was accepted (design §5): the same engine with a row for every call that threw. */
import { AppError, toRecord } from '../errors.ts';
import type { Engine } from './engine.ts';
import type { Clock, Log, Store } from './ports.ts';
import type { Caller } from './runs.ts';

type Deps = { store: Pick<Store, 'audit' | 'findRun'>; clock: Pick<Clock, 'now'>; log: Pick<Log, 'warn'> };

/** Does it, and leaves an audit row with the code where it throws; `APPROVAL_REQUIRED` tells that somebody was asked. */
export type Kept = <T>(caller: Caller, action: string, run: string | undefined, act: () => Promise<T>, level?: string | null) => Promise<T>;

export function keepRefusals({ store, clock, log }: Deps): Kept {
  const write = async (caller: Caller, level: string | null, action: string, run: string | undefined, error: unknown): Promise<void> => {
    try {
      const ids = run === undefined ? [] : await store.findRun(run);
      const outcome = error instanceof AppError ? error.code : 'INTERNAL';
      const runId = ids.length === 1 ? (ids[0] ?? null) : null;
      await store.audit({ at: clock.now(), principal: caller.principal, door: caller.door, level, action, runId, outcome });
    } catch (unwritten) {
      log.warn({ action, error: toRecord(unwritten) }, 'a refusal could not be audited'); // the refusal itself is what the caller must see
    }
  };
  return async (caller, action, run, act, level = null) => {
    try {
      return await act();
    } catch (error) {
      await write(caller, level, action, run, error);
      throw error;
    }
  };
}

export function audited({ engine, ...deps }: Deps & { engine: Engine }): Engine {
  const kept = keepRefusals(deps);
  return {
    ...engine,
    start: (request, caller) => kept(caller, `start ${named(request.workflow)}`, undefined, () => engine.start(request, caller)),
    advance: (request, caller) => kept(caller, `advance ${named(request.event)}`, request.run, () => engine.advance(request, caller)),
    rollback: (request, caller) =>
      kept(caller, `rollback to ${named(String(request.to))}`, request.run, () => engine.rollback(request, caller)),
    cancel: (request, caller) => kept(caller, 'cancel', request.run, () => engine.cancel(request, caller)),
    resolve: (request, caller) => kept(caller, `resolve as ${request.as}`, request.run, () => engine.resolve(request, caller)),
    hold: (run, caller) => kept(caller, 'hold', run, () => engine.hold(run, caller)),
    release: (run, caller) => kept(caller, 'release', run, () => engine.release(run, caller)),
    approve: (id, by) => kept(by, `approve ${named(id)}`, by.vouch?.run, () => engine.approve(id, by), by.level),
  };
}

/** What a caller typed, as far as it looks like a name of ours. */
function named(text: string): string {
  return /^[\w.:-]{1,60}$/.test(text) ? text : JSON.stringify(text.slice(0, 60));
}
