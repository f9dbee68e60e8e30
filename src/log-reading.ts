/** Reading the logs of a registered target: its rows and secrets here, the logs from its Dokploy, filtered and counted. */
import type { Limiter } from './effects/dokploy/rate-limit.ts';
import type { LogSource } from './effects/dokploy/read-logs.ts';
import type { DokployConnection } from './effects/handler.ts';
import type { Vault } from './engine/ports.ts';
import { parseWhen, selectLines } from './logs/filter.ts';
import type { LogLevel } from './logs/levels.ts';
import { type LogLine, printLogLine } from './logs/lines.ts';
import type { Registry } from './store/registry.ts';
import { placeOf, secretsOf } from './target-place.ts';

export type LogQuestion = {
  target: string;
  service?: string | undefined;
  level?: LogLevel | undefined;
  /** `30m` before now, or an ISO time. */
  since?: string | undefined;
  until?: string | undefined;
  text?: string | undefined;
  /** Newest lines at most. */
  limit: number;
  /** Everything that fits goes to a file too: in the home's folder, or where the owner says. */
  toFile?: true | string | undefined;
};

export type LogAnswer = {
  target: string;
  /** The newest that fit, oldest first; free of secrets, still untrusted. */
  lines: LogLine[];
  /** How many lines fit. */
  matched: number;
  sources: LogSource[];
  /** Set when asked for, and when what fits is larger than 512 KB. */
  file?: { path: string; bytes: number; lines: number };
};

export type LogDeps = {
  registry: Pick<Registry, 'target'>;
  vault: Pick<Vault, 'reveal'>;
  connection(dokploy: string): Promise<DokployConnection>;
  limiterFor(dokploy: string): Limiter;
  now: () => number;
  register(value: string): void;
  scrub(text: string): string;
  /** Folder for files that nobody named. */
  exports: string;
};

/** What goes to a file by itself (design §5). */
const spillBytes = 512 * 1024;
/** How far a filtered or exported reading looks back in each log; Dokploy gives 10,000 lines at most. */
const filteredTail = 5_000;
const exportTail = 10_000;

/** Throws TARGET_UNKNOWN, TARGET_NOT_ON_DOKPLOY, TIME_UNREADABLE, EXPORT_FAILED and what gatherLogs throws. */
export async function readTargetLogs(deps: LogDeps, question: LogQuestion, signal?: AbortSignal): Promise<LogAnswer> {
  const now = deps.now();
  const since = question.since === undefined ? undefined : parseWhen('since', question.since, now);
  const until = question.until === undefined ? undefined : parseWhen('until', question.until, now);
  const row = await deps.registry.target(question.target);
  const place = placeOf(row, 'its logs cannot be read', 'Read them where it runs: docker logs CONTAINER.');
  const connection = await deps.connection(place.dokploy);
  for (const reference of Object.values(secretsOf(row))) deps.register(await deps.vault.reveal(reference));
  const [{ createDokployClient }, { gatherLogs }] = await Promise.all([
    import('./effects/dokploy/client.ts'),
    import('./effects/dokploy/read-logs.ts'),
  ]);
  const client = createDokployClient(connection, {
    limiter: deps.limiterFor(place.dokploy),
    onSecret: deps.register,
    ...(signal ? { signal } : {}),
  });
  const { level, text, service, toFile, limit } = question;
  const filtered = [level, since, until, text].some((each) => each !== undefined);
  const { lines, sources } = await gatherLogs({
    client,
    composeId: place.composeId,
    target: row.name,
    tail: toFile === undefined ? (filtered ? Math.max(limit, filteredTail) : limit) : exportTail,
    now,
    scrub: deps.scrub,
    service,
    since,
  });
  const fitting = selectLines(lines, { level, since, until, text });
  const file = await toExport(deps, row.name, fitting, toFile);
  return { target: row.name, lines: fitting.slice(-limit), matched: fitting.length, sources, ...(file ? { file } : {}) };
}

async function toExport(deps: LogDeps, target: string, lines: readonly LogLine[], toFile: LogQuestion['toFile']) {
  const text = lines.map((line) => `${printLogLine(line)}\n`).join('');
  if (toFile === undefined && Buffer.byteLength(text) <= spillBytes) return undefined;
  const { exportText, writeNew } = await import('./store/exports.ts');
  const stamp = new Date(deps.now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  const written = typeof toFile === 'string' ? writeNew(toFile, text) : exportText(deps.exports, `logs-${target}-${stamp}`, 'txt', text);
  return { ...written, lines: lines.length };
}
