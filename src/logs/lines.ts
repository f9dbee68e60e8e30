/**
 * Text of a log as lines with time and level. Pure. Invariants:
 * 1. No line is lost: what has no time or level of its own keeps its place and takes those of the line that it continues.
 * 2. Text stays as it came but for colours and its length; it is untrusted to the end.
 */
import { type LogLevel, levelOf } from './levels.ts';

export type LogLine = {
  /** Compose service, or `deployment` for a log of Dokploy itself. */
  source: string;
  /** Ms since the epoch; null when the log does not say. */
  at: number | null;
  level: LogLevel | null;
  text: string;
};

const maxLine = 4_000;
const dockerTime = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|[+-]\d\d:\d\d) ?/;
const colours = /\p{Cc}\[[0-9;]{0,20}[A-Za-z]/gu;
const continues = /^(?:\s|(?:DETAIL|HINT|CONTEXT|STATEMENT|QUERY|LOCATION): |Caused by: )/;

/** Lines of one log, oldest first; `at` is the time of lines that carry none at all. */
export function parseLog(source: string, text: string, at: number | null = null): LogLine[] {
  const rows = text.split('\n');
  if (rows.at(-1) === '') rows.pop();
  let last: LogLine | undefined;
  return rows.map((row) => {
    const time = dockerTime.exec(row);
    const said = (time ? row.slice(time[0].length) : row).replace(colours, '').trimEnd();
    const own = continues.test(said) ? null : levelOf(said);
    const carriesOn = own === null && last !== undefined && (time === null || continues.test(said));
    last = {
      source,
      at: time ? toTime(time) : (last?.at ?? at),
      level: carriesOn ? (last?.level ?? null) : own,
      text: shortened(said),
    };
    return last;
  });
}

/** Docker writes nanoseconds, which Date does not read everywhere. */
function toTime([, seconds = '', fraction = '', zone = 'Z']: RegExpExecArray): number | null {
  const ms = Date.parse(`${seconds}${fraction.slice(0, 4)}${zone}`);
  return Number.isNaN(ms) ? null : ms;
}

function shortened(text: string): string {
  return text.length <= maxLine ? text : `${text.slice(0, maxLine)}… (${text.length - maxLine} more characters)`;
}

/** As it is shown and written to a file: time, source, level, text. */
export function printLogLine({ source, at, level, text }: LogLine): string {
  return `${at === null ? '-' : new Date(at).toISOString()} ${source} ${level ?? '-'} ${text}`;
}
