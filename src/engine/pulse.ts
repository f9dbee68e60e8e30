/** The life of one attempt: heartbeats, stop, time limit (engine.md E5, E7). */
import { AppError, toRecord } from '../errors.ts';
import { placeOf } from './place.ts';
import type { Clock, EffectRow, Log, Store } from './ports.ts';

type Stop = 'stop' | 'shutdown' | 'lost';
export type Pulse = {
  signal: AbortSignal;
  progress(say: string, percent?: number): void;
  /** Rejects with EFFECT_TIMEOUT, or when stopped. */
  within<T>(ms: number, work: Promise<T>): Promise<T>;
  stoppedBy(): Stop | undefined;
  lost(): boolean;
  markLost(): void;
  launched(): void;
  launchedAt(): number | null;
  end(): void;
};

const beatMs = 1_000;

/** Heartbeats carry progress and read back `stop` and the token (E5). */
export function startPulse(deps: { store: Store; clock: Clock; log: Log }, row: EffectRow, token: string, shutdown: AbortSignal): Pulse {
  const controller = new AbortController();
  const ended = new AbortController();
  let stopped: Stop | undefined;
  let launchedAt: number | null = null;
  let latest: { say: string; percent?: number } | undefined;
  const stop = (why: Stop) => {
    stopped ??= why;
    controller.abort(new AppError('EFFECT_STOPPED', { message: 'The effect was asked to stop.', retry: 'later', applied: 'unknown' }));
  };
  const onShutdown = () => stop('shutdown');
  if (shutdown.aborted) onShutdown();
  shutdown.addEventListener('abort', onShutdown, { once: true });
  const beat = async () => {
    const progress = latest;
    latest = undefined;
    const answer = await deps.store.beat(
      row.key,
      token,
      launchedAt === null ? (row.lastSignAt ?? deps.clock.now()) : deps.clock.now(),
      progress,
    );
    if (answer === 'lost') stop('lost');
    if (answer === 'stop' && row.status !== 'cancelling') stop('stop');
  };
  const loop = async () => {
    while (!ended.signal.aborted) {
      await deps.clock.wait(beatMs, ended.signal);
      if (ended.signal.aborted) return;
      await beat().catch((error: unknown) =>
        deps.log.warn({ ...placeOf(row), error: toRecord(error) }, 'a heartbeat could not be written'),
      );
    }
  };
  void loop();
  return {
    signal: controller.signal,
    progress: (say, percent) => {
      latest = percent === undefined ? { say } : { say, percent };
    },
    within: (ms, work) => withinLimits(ms, work, controller, deps.clock),
    stoppedBy: () => stopped,
    lost: () => stopped === 'lost',
    markLost: () => stop('lost'),
    launched: () => {
      launchedAt = deps.clock.now();
    },
    launchedAt: () => launchedAt,
    end: () => {
      ended.abort('ended');
      shutdown.removeEventListener('abort', onShutdown);
    },
  };
}

async function withinLimits<T>(ms: number, work: Promise<T>, controller: AbortController, clock: Clock): Promise<T> {
  const over = new AbortController();
  const limit = clock.wait(ms, over.signal).then((): never | undefined => {
    if (over.signal.aborted) return undefined;
    const error = new AppError('EFFECT_TIMEOUT', {
      message: `There was no answer within ${Math.round(ms / 1000)} s.`,
      retry: 'later',
      applied: 'unknown',
    });
    controller.abort(error);
    throw error;
  });
  const stopped = new Promise<never>((_, reject) => {
    const fail = () => reject(controller.signal.reason);
    if (controller.signal.aborted) fail();
    else controller.signal.addEventListener('abort', fail, { once: true });
  });
  try {
    return await Promise.race([work, limit.then(() => new Promise<never>(() => undefined)), stopped]);
  } finally {
    over.abort('over');
    stopped.catch(() => undefined);
    limit.catch(() => undefined);
    work.catch(() => undefined);
  }
}
