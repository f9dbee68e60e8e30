/**
 * Backups by the clock, started by `capstan worker`. Invariants:
 * 1. Nothing is scheduled and nothing starts before somebody else than this machine can open the backups.
 * 2. Of several workers one starts a due backup; a backup that was due while none worked starts once, as soon as one does.
 */
import type { Desk } from './desk.ts';
import type { Caller, Engine } from './engine/engine.ts';
import type { Clock } from './engine/ports.ts';
import { AppError, toRecord } from './errors.ts';
import type { Logger } from './log.ts';
import type { ScheduleRow } from './store/backup-book.ts';

export type ScheduleOrder = { name: string; cron: string; timezone: string; input: Record<string, unknown> };
export type BackupSchedules = {
  list(): Promise<ScheduleRow[]>;
  /** Throws KEY_NOT_ESCROWED, CRON_INVALID and TARGET_UNKNOWN; the same name replaces. */
  add(order: ScheduleOrder): Promise<{ dueAt: number }>;
  remove(name: string): Promise<boolean>;
  /** Starts what is due; returns the names. */
  startDue(): Promise<string[]>;
  /** Looks again and again until the signal fires. */
  keep(signal: AbortSignal): Promise<void>;
};

type Deps = {
  desk: Pick<Desk, 'backups' | 'registry'>;
  engine: Pick<Engine, 'start'>;
  keyEscrowed(): Promise<boolean>;
  clock: Clock;
  log: Pick<Logger, 'info' | 'warn'>;
};

const caller: Caller = { principal: 'capstan', door: 'schedule' };
const lookMs = 20_000;

export function createBackupSchedules({ desk: { backups, registry }, engine, keyEscrowed, clock, log }: Deps): BackupSchedules {
  const nextOf = async (cron: string, timezone: string): Promise<number> => {
    const { Cron } = await import('croner');
    try {
      const next = new Cron(cron, { timezone, paused: true }).nextRun(new Date(clock.now()));
      if (next) return next.getTime();
    } catch (cause) {
      throw cronInvalid(cron, cause);
    }
    throw cronInvalid(cron);
  };

  const startOne = async ({ name, record, dueAt }: ScheduleRow): Promise<boolean> => {
    if (!(await backups.takeSchedule(name, dueAt, await nextOf(record.cron, record.timezone)))) return false;
    const at = new Date(clock.now()).toISOString();
    try {
      if (!(await keyEscrowed())) throw notEscrowed();
      const { runId } = await engine.start(
        { workflow: record.workflow, input: record.input, name: undefined, requestKey: `schedule ${name} ${dueAt}` },
        caller,
      );
      await backups.noteSchedule(name, { at, runId });
      log.info({ schedule: name, run: runId }, 'a scheduled backup was started');
      return true;
    } catch (error) {
      const { code, message } = toRecord(error);
      await backups.noteSchedule(name, { at, refused: code });
      log.warn({ schedule: name, code }, message);
      return false;
    }
  };

  const startDue = async (): Promise<string[]> => {
    const started: string[] = [];
    for (const row of await backups.schedulesDue(clock.now())) if (await startOne(row)) started.push(row.name);
    return started;
  };

  return {
    list: () => backups.schedules(),
    async add({ name, cron, timezone, input }) {
      if (!(await keyEscrowed())) throw notEscrowed();
      await registry.target(String(input['target']));
      const dueAt = await nextOf(cron, timezone);
      await backups.saveSchedule({ name, dueAt, record: { cron, timezone, workflow: 'backup', input } });
      return { dueAt };
    },
    remove: (name) => backups.removeSchedule(name),
    startDue,
    async keep(signal) {
      while (!signal.aborted) {
        await startDue().catch((error: unknown) => log.warn({ error: toRecord(error) }, 'the schedules could not be looked at'));
        await clock.wait(lookMs, signal);
      }
    },
  };
}

function notEscrowed(): AppError {
  return new AppError('KEY_NOT_ESCROWED', {
    message: 'Backups do not run by the clock as long as their key exists on this machine only.',
    fix: 'Keep a copy elsewhere: capstan key export --to FILE, then capstan key confirm; or capstan key recipient-add --file KEY.asc.',
  });
}

function cronInvalid(cron: string, cause?: unknown): AppError {
  return new AppError('CRON_INVALID', {
    message: `The schedule ${JSON.stringify(cron.slice(0, 60))} names no time to come.`,
    fix: 'Give five fields: minute hour day month weekday, such as "30 3 * * *", and a time zone such as Europe/Berlin.',
    ...(cause === undefined ? {} : { cause }),
  });
}
