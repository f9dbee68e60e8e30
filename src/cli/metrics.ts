/** The status as Prometheus text (format 0.0.4). Pure. */
import { runStatuses } from '../engine/run-status.ts';
import type { Status } from '../operations.ts';

/** One gauge per figure; every run status is there, also with 0, so that an alert on it never looks at nothing. */
export function metricsText(status: Status): string {
  const { effects, attempts } = status;
  return [
    gauge('capstan_runs', 'Runs by status', Object.fromEntries(runStatuses.map((name) => [`status="${name}"`, status.runs[name] ?? 0]))),
    gauge('capstan_effects_open', 'Open effects by status', {
      'status="intent"': effects.intent,
      'status="running"': effects.running,
      'status="cancelling"': effects.cancelling,
    }),
    gauge('capstan_effects_doubtful', 'Open effects of which nobody knows whether they took place', { '': effects.doubtful }),
    gauge('capstan_attempts_open', 'Attempts of open effects', { '': attempts.open }),
    gauge('capstan_attempts_most', 'Attempts of the open effect that tried most', { '': attempts.most }),
    gauge('capstan_oldest_due_seconds', 'For how long something has been due and not taken', {
      '': (status.oldestDue?.lateMs ?? 0) / 1_000,
    }),
    gauge('capstan_approvals_open', 'Approvals that wait for a person', { '': status.openApprovals }),
    gauge('capstan_locks_held', 'Names that runs keep others from', { '': status.locksHeld }),
    gauge('capstan_lock_waits', 'Runs that wait for a name that another run holds', { '': status.lockWaits }),
    gauge('capstan_workers', 'Processes that carry out work', { '': status.workers }),
    gauge('capstan_runs_stranded', 'Unfinished runs that this version cannot carry on', { '': status.stranded }),
    gauge('capstan_database_bytes', 'Size of the database', { '': status.databaseBytes }),
    gauge('capstan_wal_bytes', 'Size of its write-ahead log', { '': status.walBytes }),
  ].join('');
}

function gauge(name: string, help: string, values: Record<string, number>): string {
  const lines = Object.entries(values).map(([labels, value]) => `${name}${labels === '' ? '' : `{${labels}}`} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join('')}`;
}
