/** Which lines are wanted. Pure. */
import { AppError } from '../errors.ts';
import { isAtLeast, type LogLevel } from './levels.ts';
import type { LogLine } from './lines.ts';

export type LogFilter = {
  /** As grave as this or graver. */
  level?: LogLevel | undefined;
  /** Ms since the epoch. */
  since?: number | undefined;
  until?: number | undefined;
  /** Part of the line, whatever its case. */
  text?: string | undefined;
};

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Reads `90s`, `30m`, `2h`, `7d` (before now) or an ISO time. Throws TIME_UNREADABLE. */
export function parseWhen(name: string, text: string, now: number): number {
  const ago = /^(\d{1,6})([smhd])$/.exec(text.trim());
  // The pattern allows these four letters only.
  if (ago) return now - Number(ago[1]) * units[ago[2] as keyof typeof units];
  const at = /^\d{4}-\d\d-\d\d/.test(text.trim()) ? Date.parse(text.trim()) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new AppError('TIME_UNREADABLE', {
    message: `${name} is neither a time such as 2026-11-25T12:00:00Z nor a span such as 30m.`,
    fix: 'Give a span before now (90s, 30m, 2h, 7d) or an ISO 8601 time.',
  });
}

/** The lines that fit, oldest first. A line without a time is kept: that it lies outside is not known. */
export function selectLines(lines: readonly LogLine[], { level, since, until, text }: LogFilter): LogLine[] {
  const wanted = text?.toLowerCase();
  return lines
    .filter(
      (line) =>
        (level === undefined || isAtLeast(line.level, level)) &&
        (line.at === null || ((since === undefined || line.at >= since) && (until === undefined || line.at <= until))) &&
        (wanted === undefined || line.text.toLowerCase().includes(wanted)),
    )
    .map((line, index) => ({ line, index }))
    .sort((a, b) => (a.line.at ?? 0) - (b.line.at ?? 0) || a.index - b.index)
    .map(({ line }) => line);
}
