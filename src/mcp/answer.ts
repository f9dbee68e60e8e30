/**
 * Turns what a tool returns or throws into an MCP result. Invariants:
 * 1. Every text leaves scrubbed and printable. 2. A result has at most 25,000 tokens (bytes / 4); what is left out says so, and a
 *    part above 512 KB goes to a file that the answer names, where the reader can open one.
 * 3. structuredContent on every answer that is no error, the same JSON as text beside it; an error has text only (design §5).
 */
import { randomUUID } from 'node:crypto';
import { AppError, toRecord } from '../errors.ts';
import { mapText, printable } from './printable.ts';
import type { Structured } from './tool.ts';

export const maxResultBytes = 100_000;
const spillBytes = 512 * 1024;

export type ToolResult = { content: { type: 'text'; text: string }[]; structuredContent?: Structured; isError?: true };

/** The three that the door needs of the process around it. */
export type Guard = {
  scrub: (text: string) => string;
  /** Keeps what may not be shown, under an id that may. */
  logError: (logId: string, error: unknown) => void;
};

/** Writes a text to a new file of the owner's and answers its path. */
export type KeepText = (stem: string, text: string) => string;

export function toResult(structured: Structured, { scrub }: Pick<Guard, 'scrub'>, keep?: KeepText): ToolResult {
  const clean = withinLimit(cleaned(structured, scrub), maxResultBytes, keep);
  return { content: [{ type: 'text', text: JSON.stringify(clean) }], structuredContent: clean };
}

/** An AppError with its code, sentence, fix and details; anything else as INTERNAL with a log id only. */
export function toErrorResult(tool: string, error: unknown, guard: Guard): ToolResult {
  const { retry: _, ...known } = toRecord(error instanceof AppError ? error : hide(tool, error, guard));
  const clean = withinLimit(cleaned(known, guard.scrub), maxResultBytes);
  return { content: [{ type: 'text', text: JSON.stringify(clean) }], isError: true };
}

function hide(tool: string, error: unknown, guard: Guard): AppError {
  const logId = randomUUID().slice(0, 8);
  guard.logError(logId, error);
  return new AppError('INTERNAL', {
    message: `Something failed inside Capstan while it answered ${tool}.`,
    fix: `The server's log (standard error) says more under the id ${logId}.`,
    details: { logId },
  });
}

function cleaned(value: Structured, scrub: (text: string) => string): Structured {
  // A copy of an object by mapText is an object again; undefined members vanish as they would on the wire.
  return mapText(JSON.parse(JSON.stringify(value)), (text) => printable(scrub(text))) as Structured;
}

const kept = new Set(['runId', 'name', 'status', 'state', 'version', 'next', 'code', 'message', 'fix']);

/** Replaces the largest parts by a note until the whole fits; never the parts that say where the run stands. */
export function withinLimit(value: Structured, maxBytes: number, keep?: KeepText): Structured {
  const out = structuredClone(value);
  while (sizeOf(out) > maxBytes) {
    const largest = largestPart(out);
    if (!largest) break;
    const { holder, key, bytes } = largest;
    const file = keep && bytes > spillBytes ? { file: keep(key, JSON.stringify(holder[key], null, 2)) } : {};
    holder[key] = { omitted: `${bytes} bytes: more than one answer may hold`, ...file };
  }
  return out;
}

type Part = { holder: Record<string, unknown>; key: string; bytes: number };

/** The largest member of the value or, where that is an object, of the object in it. */
function largestPart(value: Record<string, unknown>): Part | undefined {
  const parts = Object.entries(value)
    .filter(([key]) => !kept.has(key))
    .flatMap(([key, each]): Part[] =>
      isObject(each) && Object.keys(each).length > 1
        ? Object.entries(each).map(([inner, part]) => ({ holder: each, key: inner, bytes: sizeOf(part) }))
        : [{ holder: value, key, bytes: sizeOf(each) }],
    )
    .sort((a, b) => b.bytes - a.bytes);
  const [first] = parts;
  return first && first.bytes > 200 ? first : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value) ?? '');
}
