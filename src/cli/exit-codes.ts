import type { RunView } from '../engine/view.ts';

/** What the process says when it ends; shown by `capstan --help`. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  waitsForPerson: 3,
  needsAttention: 4,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export const exitCodesText = 'EXIT CODES\n\n  0 done   1 failed   2 wrong usage   3 waits for a person   4 a run needs attention\n';

/** How a command that moved a run ends. */
export function exitOf(view: RunView): ExitCode {
  if (view.status === 'needs_attention') return exitCodes.needsAttention;
  if (view.status === 'failed') return exitCodes.failed;
  if (view.next.who === 'human') return exitCodes.waitsForPerson;
  return exitCodes.ok;
}

export function exitOfCode(code: string): ExitCode {
  if (code === 'USAGE' || code === 'TERMINAL_REQUIRED' || code === 'TOOLSET_UNKNOWN' || code === 'ARGUMENTS_INVALID')
    return exitCodes.usage;
  return code === 'APPROVAL_REQUIRED' ? exitCodes.waitsForPerson : exitCodes.failed;
}
