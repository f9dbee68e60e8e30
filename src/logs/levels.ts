/** How grave a line of a log is, read from the forms in which Supabase's services write it. Pure. */

export const logLevels = ['error', 'warning', 'info', 'debug'] as const;
export type LogLevel = (typeof logLevels)[number];

const words: Readonly<Record<string, LogLevel>> = {
  panic: 'error',
  fatal: 'error',
  emerg: 'error',
  alert: 'error',
  critical: 'error',
  crit: 'error',
  severe: 'error',
  error: 'error',
  err: 'error',
  warning: 'warning',
  warn: 'warning',
  notice: 'info',
  info: 'info',
  information: 'info',
  log: 'info',
  debug: 'debug',
  trace: 'debug',
  verbose: 'debug',
};

/** Each form with the part that names the level; the first that fits wins. All bounded, so that no line makes them slow. */
const forms: readonly RegExp[] = [
  // pino, logrus, zap: a JSON object
  /["'](?:level|severity|lvl|levelname|error_severity)["']\s{0,4}:\s{0,4}["']?(\w{1,12})/i,
  // logfmt
  /(?:^|\s)(?:level|lvl|severity)=["']?(\w{1,12})/i,
  // Postgres
  /(?:^|\s)(DEBUG|LOG|INFO|NOTICE|WARNING|ERROR|FATAL|PANIC)[1-5]?: /,
  // nginx under Kong, Elixir
  /\[(debug|info|notice|warn|warning|error|crit|critical|alert|emerg|fatal)\]/i,
  // vector, deno, Envoy
  /(?:^|[\s[])(TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)(?=[\s:\]]|$)/,
  // a shell or docker at the start of a line
  /^(error|fatal|warning|panic)\b/i,
];

const accessLine = /" ([1-5]\d\d) (?:\d|-)/;
const failedSign = /[❌]|^Error response from daemon|^Traceback |^\S{0,60}(?:Error|Exception): /;

/** Null when the line does not say. */
export function levelOf(text: string): LogLevel | null {
  // A level stands near the start; a line of a megabyte is not read to its end for it.
  const head = text.slice(0, 2_000);
  for (const form of forms) {
    const word = form.exec(head)?.[1]?.toLowerCase();
    if (word === undefined) continue;
    const level = /^\d+$/.test(word) ? levelOfNumber(Number(word)) : words[word];
    if (level !== undefined) return level;
  }
  const status = accessLine.exec(head)?.[1];
  if (status !== undefined) return status >= '500' ? 'error' : status >= '400' ? 'warning' : 'info';
  return failedSign.test(head) ? 'error' : null;
}

/** pino's numbers: 50 is error, 40 warn, 30 info. */
function levelOfNumber(number: number): LogLevel {
  if (number >= 50) return 'error';
  if (number >= 40) return 'warning';
  return number >= 30 ? 'info' : 'debug';
}

/** True when `level` is as grave as `least` or graver; a line that says nothing counts as info. */
export function isAtLeast(level: LogLevel | null, least: LogLevel): boolean {
  return logLevels.indexOf(level ?? 'info') <= logLevels.indexOf(least);
}

export function isLogLevel(text: string): text is LogLevel {
  return logLevels.some((level) => level === text);
}
