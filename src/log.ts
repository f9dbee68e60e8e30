import { type Logger, pino } from 'pino';
import type { Scrubber } from './scrub.ts';

export type { Logger };

/** Logs as JSON lines to stderr (stdout belongs to MCP), every line scrubbed as a whole (facts/dependencies.md §7). */
export function createLog(options: { level: string; scrubber: Scrubber; write?: (line: string) => void }): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  return pino({ level: options.level, base: { pid: process.pid } }, { write: (line: string) => write(options.scrubber.scrub(line)) });
}
