import type { Status } from '../../operations.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { metricsText } from '../metrics.ts';

export const status = command(
  'status',
  'Say how this home does: runs, what is due, who works, sizes',
  { metrics: { type: 'boolean', description: 'Print Prometheus text instead' } },
  ({ metrics }) =>
    withApp(async ({ operations }) => {
      const now = await operations.status();
      return { exit: exitCodes.ok, json: now, text: metrics === true ? metricsText(now).trimEnd() : statusText(now) };
    }),
);

function statusText(now: Status): string {
  const runs = Object.entries(now.runs).map(([name, n]) => `${n} ${name}`);
  const { intent, running, cancelling, doubtful } = now.effects;
  const open = intent + running + cancelling;
  const late =
    now.oldestDue === null ? 'nothing is late' : `the oldest is due since ${now.oldestDue.at} (${seconds(now.oldestDue.lateMs)})`;
  const lines = [
    `Home      ${now.home}`,
    `Runs      ${runs.length === 0 ? 'none' : runs.join(', ')}`,
    `Effects   ${open} open (${running} running, ${doubtful} in doubt), ${now.attempts.open} attempts, ${now.attempts.most} at most; ${late}`,
    `Approvals ${now.openApprovals} wait for a person${now.approvalTokens ? '; an agent’s token counts too (approvalTokens, recorded as agent-vouched)' : ''}`,
    `Locks     ${now.locksHeld} held, ${now.lockWaits} runs wait for one`,
    `Workers   ${now.workers}`,
    `Database  ${megabytes(now.databaseBytes)}, WAL ${megabytes(now.walBytes)}`,
  ];
  if (now.stranded > 0) lines.push(`Stranded  ${now.stranded} runs of another version: capstan upgrade --check`);
  if (now.workers === 0 && open > 0) lines.push('Nobody works: start capstan worker.');
  return lines.join('\n');
}

const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
const megabytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MB`;
