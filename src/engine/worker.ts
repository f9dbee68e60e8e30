/**
 * The worker loop (engine.md E4, T1, L1, L2): take over, fire, roll back, claim, carry out.
 * Several processes run it on one database; every step is safe to be taken by any of them.
 */
import { toRecord } from '../errors.ts';
import { type AttemptDeps, attempt } from './attempt.ts';
import { createBell } from './bell.ts';
import { horizonMs } from './decide.ts';
import type { Slots } from './dispatch.ts';
import type { EffectRow, Ownership, TimerRow } from './ports.ts';
import { stepRollback } from './rollback.ts';
import type { EngineDeps } from './runs.ts';
import { fireTimer, settleEffect } from './settle.ts';

export type WorkerDeps = Omit<AttemptDeps, 'settle'> & EngineDeps & { ownership: Ownership };

export type Worker = {
  start(): void;
  /** Stops claiming, aborts what runs and waits at most `graceMs` for it to be given back (L1). */
  stop(graceMs: number): Promise<void>;
  /** Resolves when nothing is open here and nothing is due within `quietMs` (L2). */
  idle(quietMs: number, signal?: AbortSignal): Promise<void>;
};

const slots = 8;
const pollMs = 1_000;
const idleMs = 25;
const gatherMs = 4;
const maxSleepMs = 60_000;

export function createWorker(deps: WorkerDeps): Worker {
  const { store, clock, log, ownership, wakes, catalog, crypto } = deps;
  const attempts: AttemptDeps = { ...deps, settle: (row, token, settlement) => settleEffect(deps, row, token, settlement) };
  const inFlight = new Map<string, { done: Promise<void>; stop: () => void }>();
  const shutdown = new AbortController();
  const bell = createBell(clock);
  shutdown.signal.addEventListener('abort', bell.ring, { once: true });
  let loop: Promise<void> | undefined;
  let unsubscribe: (() => void) | undefined;
  let lastTakeOver = Number.NEGATIVE_INFINITY;
  /** More may be due than had a slot here: each slot that becomes free is a reason to look again. */
  let starved = false;

  let reserved = 0;
  const slotsHere: Slots = {
    worker: ownership.id,
    token: crypto.newToken,
    reserve(wanted, extra) {
      const taken = shutdown.signal.aborted ? 0 : Math.max(0, Math.min(wanted, slots + extra - inFlight.size - reserved));
      reserved += taken;
      return taken;
    },
    giveBack(count) {
      reserved -= count;
    },
    launch(row) {
      reserved--;
      launch(row);
    },
  };

  const launch = (row: EffectRow): void => {
    const own = new AbortController(); // one each: a shared signal with many listeners warns of a leak
    if (shutdown.signal.aborted) own.abort('shutdown');
    const done = attempt(attempts, row, own.signal).finally(() => {
      inFlight.delete(row.key);
      if (starved) ringSoon();
    });
    inFlight.set(row.key, { done, stop: () => own.abort('shutdown') });
  };

  const takeOver = async (): Promise<void> => {
    if (clock.now() - lastTakeOver < 100) return;
    lastTakeOver = clock.now();
    const owners = (await store.owners()).filter((id) => id !== ownership.id);
    if (owners.length === 0) return;
    const dead = await ownership.dead(owners);
    if (dead.length > 0) log.info({ dead, effects: await store.takeOver(dead) }, 'took over the effects of ended processes');
  };

  const fireDue = async (): Promise<void> => {
    for (const timer of await store.dueTimers(clock.now(), 50, hashes())) await guarded('timer', timer.timerId, () => fire(timer));
  };
  const fire = (timer: TimerRow): Promise<void> => fireTimer(deps, timer);

  const rollbacks = async (): Promise<void> => {
    for (const runId of await store.rollbacksDue()) await guarded('rollback', runId, () => stepRollback(deps, runId, shutdown.signal));
  };

  const guarded = async (what: string, id: string, step: () => Promise<void>): Promise<void> => {
    try {
      await step();
    } catch (error) {
      log.error({ what, id, error: toRecord(error) }, 'a worker step failed and is tried again');
    }
  };

  const round = async (): Promise<number> => {
    await takeOver();
    await fireDue();
    await rollbacks();
    const free = slots - inFlight.size - reserved;
    starved = free <= 0;
    if (starved || shutdown.signal.aborted) return 0;
    const rows = await store.claimDue({
      worker: ownership.id,
      now: clock.now(),
      horizonMs,
      limit: free,
      definitions: hashes(),
      token: crypto.newToken,
    });
    starved = rows.length === free;
    for (const row of rows) launch(row);
    return rows.length;
  };

  const hashes = (): string[] => catalog.list().map((definition) => definition.hash);

  let ringing = false;
  /** Steps follow each other by themselves (C4); the loop looks for the rest, and a busy store would wake it for each commit. */
  const ringSoon = (): void => {
    if (ringing) return;
    ringing = true;
    void clock.wait(gatherMs, shutdown.signal).then(() => {
      ringing = false;
      bell.ring();
    });
  };

  const sleep = async (): Promise<void> => {
    // Without a free slot only timers matter; the end of an attempt rings.
    const next = await store.nextDue(hashes(), { timersOnly: starved }).catch(() => undefined);
    // What is due but was not claimed belongs to a held run or another version: look again, but not at once.
    const due = next === undefined ? maxSleepMs : Math.max(idleMs, next - clock.now());
    await bell.wait(Math.min(due, pollMs, maxSleepMs));
  };

  const run = async (): Promise<void> => {
    while (!shutdown.signal.aborted) {
      let claimed = 0;
      try {
        claimed = await round();
      } catch (error) {
        log.error({ error: toRecord(error) }, 'the worker could not read the ledger');
        await clock.wait(pollMs, shutdown.signal);
      }
      if (claimed === 0) await sleep();
    }
  };

  return {
    start() {
      if (loop) return;
      unsubscribe = wakes.subscribe((_run, audience) => {
        if (audience === 'workers') ringSoon();
      });
      deps.dispatch.attach(slotsHere);
      loop = run();
    },
    async stop(graceMs) {
      deps.dispatch.detach();
      shutdown.abort('shutdown');
      for (const each of inFlight.values()) each.stop();
      unsubscribe?.();
      await Promise.race([Promise.all([loop, ...[...inFlight.values()].map((each) => each.done)]), clock.wait(graceMs)]);
    },
    async idle(quietMs, signal) {
      while (!signal?.aborted) {
        const next = await store.nextDue(hashes());
        if (inFlight.size === 0 && (next === undefined || next > clock.now() + quietMs)) return;
        await clock.wait(pollMs, signal);
      }
    },
  };
}
