/**
 * What really happened, as the sandbox saw it; tests and the demo judge by it.
 * 1. One entry per API call that passed the door and one per deploy job that really ran, numbered without gaps.
 * 2. No secret: values under telling names, long texts, tokens and addresses with passwords are replaced by their length; the SHA-256 is of the raw body.
 * 3. An entry is on disk before `add` returns.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

const entrySchema = z.object({
  n: z.number(),
  at: z.string(),
  procedure: z.string(),
  method: z.string(),
  /** HTTP status; 0 when the connection was left without an answer, and for jobs. */
  status: z.number(),
  /** The sandbox's state was really changed. */
  applied: z.boolean(),
  /** What was touched: projectId, composeId, domainId, … */
  identity: z.record(z.string(), z.string()),
  body: z.unknown(),
  sha256: z.string(),
  fault: z.string().optional(),
});

export type JournalEntry = z.infer<typeof entrySchema>;

export type NewEntry = Omit<JournalEntry, 'n' | 'at' | 'sha256' | 'body' | 'fault'> & {
  rawBody: string;
  body: unknown;
  fault?: string | undefined;
};

export type Journal = { add(entry: NewEntry): void; entries(): JournalEntry[] };

const telling = /secret|password|passwd|token|key|^env$|content|composefile|base64|command|certificate|query/i;
const token = /eyJ[\w-]{5,}\.[\w-]+\.[\w-]*|sb_secret_\w+|:\/\/[^/\s:@]+:[^/\s@]+@/;

/** A copy without secrets (invariant 2). */
export function sanitise(value: unknown, name = ''): unknown {
  if (typeof value === 'string') {
    const hide = telling.test(name) || value.length > 300 || token.test(value);
    return hide ? `[${value.length} characters]` : value;
  }
  if (Array.isArray(value)) return value.map((item) => sanitise(item, name));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sanitise(item, key)]));
  }
  return value;
}

/** Reads what an earlier process left; a last line that a crash cut off is dropped. */
function readEntries(file: string): JournalEntry[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return line === '' ? [] : [entrySchema.parse(JSON.parse(line))];
      } catch {
        return [];
      }
    });
}

/** Opens the journal of a sandbox; numbering continues where an earlier process stopped. */
export function openJournal(file: string): Journal {
  const entries = readEntries(file);
  let n = entries.at(-1)?.n ?? 0;
  return {
    add({ rawBody, body, fault, ...rest }) {
      n += 1;
      const sha256 = createHash('sha256').update(rawBody).digest('hex');
      const entry = { n, at: new Date().toISOString(), ...rest, body: sanitise(body), sha256, ...(fault === undefined ? {} : { fault }) };
      entries.push(entry);
      appendFileSync(file, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
    },
    entries: () => structuredClone(entries),
  };
}
