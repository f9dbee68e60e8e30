/**
 * Entries in a TOML file of a client. Pure. Invariants:
 * 1. Only whole tables of our own name are cut or added; every other line stays byte for byte.
 * 2. What comes out is read again: all but our entry must be what it was, or nothing is changed.
 */
import { isDeepStrictEqual } from 'node:util';
import { parse, stringify, type TomlTable } from 'smol-toml';
import { broken } from './json-entries.ts';

/** The entry under this name, or undefined. Throws CLIENT_FILE_BROKEN. */
export function readTomlEntry(text: string, key: string, name: string): unknown {
  return plain(entriesOf(read(text), key)?.[name]);
}

/** The text with this entry at its end, or without it when `entry` is undefined. Throws CLIENT_FILE_BROKEN. */
export function withTomlEntry(text: string, key: string, name: string, entry: Record<string, unknown> | undefined): string {
  const before = read(text);
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const kept = withoutTables(text, key, name);
  const added = entry === undefined ? '' : stringify({ [key]: { [name]: entry } }).replaceAll('\n', eol);
  const gap = kept === '' || added === '' ? '' : kept.endsWith(`${eol}${eol}`) ? '' : kept.endsWith(eol) ? eol : `${eol}${eol}`;
  const after = `${kept}${gap}${added}`;
  if (isDeepStrictEqual(plain(read(after)), plain(expected(before, key, name, entry)))) return after;
  throw broken(`the entry ${name} stands in it in a form that cannot be changed without touching others`);
}

/** The parser's objects have no prototype, ours have one; both say the same. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, plain(each)]));
}

function read(text: string): TomlTable {
  try {
    return parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw broken(cause instanceof Error ? (cause.message.split('\n')[0] ?? 'it is no TOML') : 'it is no TOML');
  }
}

function entriesOf(root: TomlTable, key: string): Record<string, unknown> | undefined {
  const entries = root[key];
  if (entries === undefined) return undefined;
  if (typeof entries !== 'object' || Array.isArray(entries) || entries instanceof Date) throw broken(`its ${key} is no table`);
  return entries as Record<string, unknown>;
}

function expected(before: TomlTable, key: string, name: string, entry: Record<string, unknown> | undefined): TomlTable {
  const { [name]: _, ...others } = entriesOf(before, key) ?? {};
  const entries = { ...others, ...(entry === undefined ? {} : { [name]: entry }) };
  const { [key]: __, ...rest } = before;
  // Compared only; a table of tables is what both sides are.
  return (Object.keys(entries).length === 0 ? rest : { ...rest, [key]: entries }) as TomlTable;
}

/** Without `[key.name]` and `[key.name.…]`, from the header on; comments that stand before the next header are that one's. */
function withoutTables(text: string, key: string, name: string): string {
  const lines = text.split(/(?<=\n)/);
  const ours = new RegExp(`^\\s*\\[\\s*${part(key)}\\s*\\.\\s*${part(name)}\\s*(\\.[^\\]]*)?\\]`);
  const out: string[] = [];
  let cut: string[] | undefined;
  const keepComments = () => {
    const last = cut?.findLastIndex((line) => line.trim() !== '' && !line.trim().startsWith('#')) ?? -1;
    const left = cut?.slice(last + 1) ?? [];
    if (left.some((line) => line.trim() !== '')) out.push(...left);
  };
  for (const line of lines) {
    if (/^\s*\[/.test(line) && !isInValue(cut ?? out)) {
      const starts = ours.test(line);
      if (cut && !starts) keepComments();
      if (!cut && starts && out.at(-1)?.trim() === '') out.pop(); // the gap that was made for it
      cut = starts ? (cut ?? []) : undefined;
    }
    (cut ?? out).push(line);
  }
  keepComments();
  return out.join('');
}

/** A bracket at the start of a line inside an open array is no header; the check at the end catches what this misses. */
function isInValue(lines: readonly string[]): boolean {
  const last = lines.findLast((line) => line.trim() !== '' && !line.trim().startsWith('#'))?.trim() ?? '';
  return last.endsWith('[') || last.endsWith(',');
}

function part(word: string): string {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return `(?:${escaped}|"${escaped}"|'${escaped}')`;
}
