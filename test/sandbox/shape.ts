import { readFileSync } from 'node:fs';
import type { Answer } from './client.ts';

export type Recorded = { method: string; procedure: string; status: number; contentType: string | null; body?: unknown; shape?: unknown };

/** Condensed answers of a real Dokploy v0.30.2: exact bodies of refusals and scalars, the shape of everything else. */
export function recorded(group: string): Record<string, Recorded> {
  // The files are ours and written in this form.
  return JSON.parse(readFileSync(new URL(`../fixtures/dokploy/${group}.json`, import.meta.url), 'utf8')) as Record<string, Recorded>;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Every difference between a recorded shape and a value: missing and added keys, other types. Null stands for any type. */
export function differences(expected: unknown, value: unknown, at = '$'): string[] {
  if (expected === 'null' || value === null) return [];
  if (Array.isArray(expected)) {
    if (!Array.isArray(value)) return [`${at} is no list`];
    return expected.length === 0 || value.length === 0 ? [] : differences(expected[0], value[0], `${at}[0]`);
  }
  if (isObject(expected)) {
    if (!isObject(value)) return [`${at} is no object`];
    const missing = Object.keys(expected)
      .filter((key) => !(key in value))
      .map((key) => `${at}.${key} is missing`);
    const added = Object.keys(value)
      .filter((key) => !(key in expected))
      .map((key) => `${at}.${key} is new`);
    const inside = Object.keys(expected)
      .filter((key) => key in value)
      .flatMap((key) => differences(expected[key], value[key], `${at}.${key}`));
    return [...missing, ...added, ...inside];
  }
  return typeof value === expected ? [] : [`${at} is a ${typeof value}, not a ${String(expected)}`];
}

/** Compares an answer with what a real server answered: status, content type, body. */
export function compare(record: Recorded, answer: Answer): string[] {
  const head = [
    ...(answer.status === record.status ? [] : [`status ${answer.status}, not ${record.status}`]),
    ...(record.contentType === null || answer.contentType === record.contentType
      ? []
      : [`content type ${answer.contentType}, not ${record.contentType}`]),
  ];
  if (record.shape !== undefined) return [...head, ...differences(record.shape, answer.body)];
  const same = JSON.stringify(sorted(record.body)) === JSON.stringify(sorted(answer.body));
  return same ? head : [...head, `body ${JSON.stringify(answer.body)}, not ${JSON.stringify(record.body)}`];
}

/** The same value with its keys in order; a stack trace, which only a development server sends, is left out. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const keys = Object.keys(value).filter((key) => key !== 'stack');
  return Object.fromEntries(keys.sort().map((key) => [key, sorted(value[key])]));
}
