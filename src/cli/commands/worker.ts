import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { App } from '../../app.ts';
import { tryLock } from '../../store/sqlite/lock-file.ts';
import { command } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { surroundings } from '../surroundings.ts';

/** engine.md L2 */
const quietMs = 10 * 60_000;
const lookMs = 250;

export const worker = command(
  'worker',
  'Carry out the work of every run in this home',
  { 'until-idle': { type: 'boolean', description: 'End when nothing is open and nothing is due within ten minutes' } },
  async ({ 'until-idle': untilIdle }) => {
    const { openApp } = await import('../../app.ts');
    const app = await openApp(await surroundings(false));
    const handover = untilIdle ? tryLock(join(app.home.folder, 'handover.lock')) : undefined;
    if (untilIdle && !handover) {
      app.close();
      return {
        exit: exitCodes.ok,
        json: { ended: 'another worker was left behind already' },
        text: 'Another worker was left behind already.',
      };
    }
    const stopped = new AbortController();
    const stop = () => stopped.abort();
    process.once('SIGINT', stop).once('SIGTERM', stop);
    await app.operations.carry();
    app.worker.start();
    if (!untilIdle) void app.schedules.keep(stopped.signal);
    const ended = await (untilIdle ? untilNothingIsLeft(app, stopped.signal) : untilStopped(stopped.signal));
    await app.worker.stop(1_500);
    handover?.release();
    app.close();
    return { exit: exitCodes.ok, json: { ended }, text: `The worker has ended: ${ended}.` };
  },
);

function untilStopped(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve('it was stopped'), { once: true }));
}

/** Idle as the engine sees it, and nothing owned by a process that ended or is still at it; also over when the database was removed. */
async function untilNothingIsLeft(app: App, stopped: AbortSignal): Promise<string> {
  const inode = statSync(app.home.database).ino;
  const gone = new AbortController();
  const look = setInterval(() => {
    if (statSync(app.home.database, { throwIfNoEntry: false })?.ino !== inode) gone.abort();
  }, 1_000);
  const signal = AbortSignal.any([stopped, gone.signal]);
  try {
    for (;;) {
      await app.worker.idle(quietMs, signal);
      if (gone.signal.aborted) return 'the database is gone';
      if (stopped.aborted) return 'it was stopped';
      if (!(await app.hasWork())) return 'nothing is left to do';
      await wait(lookMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    clearInterval(look);
  }
}
