/**
 * Entries in a JSON file of a client, with or without comments. Pure. Invariants:
 * 1. Our entry goes in as the first one and comes out again with its comma and the space before it: every other byte stays.
 * 2. What comes out is read again: all but our entry must be what it was, or nothing is changed.
 */
import { isDeepStrictEqual } from 'node:util';
import { findNodeAtLocation, type Node, type ParseError, parse, parseTree, printParseErrorCode } from 'jsonc-parser';
import { AppError } from '../../errors.ts';

const mark = '\uFEFF';
type Fields = Record<string, unknown>;

/** The entry under this name, or undefined. Throws CLIENT_FILE_BROKEN. */
export function readJsonEntry(text: string, key: string, name: string): unknown {
  return own(entriesOf(read(text.replace(mark, '')), key), name);
}

/** The text with this entry, or without it when `entry` is undefined. Throws CLIENT_FILE_BROKEN; an empty text is a new file. */
export function withJsonEntry(text: string, key: string, name: string, entry: Fields | undefined): string {
  const head = text.startsWith(mark) ? mark : '';
  const body = text.slice(head.length);
  const before = read(body);
  const entries = entriesOf(before, key);
  if (isDeepStrictEqual(own(entries, name), entry)) return text;
  const whole = body.trim() === '' ? '{}\n' : body;
  const after =
    entry === undefined
      ? without(whole, [key, name])
      : set(whole, entries === undefined ? [key] : [key, name], entries === undefined ? { [name]: entry } : entry);
  const { [name]: _, ...others } = entries ?? {};
  const wanted = { ...before, [key]: entry === undefined ? others : { ...others, [name]: entry } };
  if (isDeepStrictEqual(read(after), wanted)) return `${head}${after}`;
  throw broken(`the entry ${name} stands in it in a form that cannot be changed without touching others`);
}

function own(entries: Fields | undefined, name: string): unknown {
  return entries !== undefined && Object.hasOwn(entries, name) ? entries[name] : undefined;
}

function read(body: string): Fields {
  if (body.trim() === '') return {};
  const faults: ParseError[] = [];
  const root: unknown = parse(body, faults, { allowTrailingComma: true });
  const [fault] = faults;
  if (fault) throw broken(`line ${body.slice(0, fault.offset).split('\n').length}: ${printParseErrorCode(fault.error)}`);
  if (isFields(root)) return root;
  throw broken('it holds no object');
}

function entriesOf(root: Fields, key: string): Fields | undefined {
  const entries = own(root, key);
  if (entries === undefined || isFields(entries)) return entries;
  throw broken(`its "${key}" is no object`);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function nodeAt(text: string, path: readonly string[]): Node | undefined {
  const root = parseTree(text, [], { allowTrailingComma: true });
  return root && findNodeAtLocation(root, [...path]);
}

/** Replaces the value, or puts the property first into its object. */
function set(text: string, path: readonly string[], value: unknown): string {
  const layout = layoutOf(text);
  const known = nodeAt(text, path);
  const written = (depth: number) =>
    layout ? JSON.stringify(value, null, layout.indent).replaceAll('\n', layout.eol + layout.indent.repeat(depth)) : JSON.stringify(value);
  if (known) return splice(text, known.offset, known.offset + known.length, written(path.length));
  const holder = path.length === 1 ? parseTree(text, [], { allowTrailingComma: true }) : nodeAt(text, path.slice(0, -1));
  if (!holder) throw new TypeError('an object that was read before is there');
  const isEmpty = (holder.children ?? []).length === 0;
  const start = holder.offset + 1;
  const gap = layout ? layout.eol + layout.indent.repeat(path.length) : '';
  // An empty object written on one line is opened up; anything else goes on where it went on before.
  const end = isEmpty && layout && text[start] === '}' ? layout.eol + layout.indent.repeat(path.length - 1) : '';
  return splice(
    text,
    start,
    start,
    `${gap}${JSON.stringify(path.at(-1))}:${layout ? ' ' : ''}${written(path.length)}${isEmpty ? end : ','}`,
  );
}

/** Takes the property out with the space before it and its comma, or with the comma before it when it is the last. */
function without(text: string, path: readonly string[]): string {
  const property = nodeAt(text, path)?.parent;
  if (!property) return text;
  const before = text.slice(0, property.offset);
  const start = before.trimEnd().length;
  const end = property.offset + property.length;
  const comma = /^\s*,/.exec(text.slice(end))?.[0].length;
  if (comma !== undefined) return splice(text, start, end + comma, '');
  return splice(text, before.trimEnd().endsWith(',') ? start - 1 : start, end, '');
}

function splice(text: string, start: number, end: number, put: string): string {
  return text.slice(0, start) + put + text.slice(end);
}

/** The file's own indentation and line ends; undefined for a file of one line. */
function layoutOf(text: string): { indent: string; eol: string } | undefined {
  if (!text.trimEnd().includes('\n') && text.trim() !== '{}') return undefined;
  return { indent: /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ', eol: text.includes('\r\n') ? '\r\n' : '\n' };
}

export function broken(what: string): AppError {
  return new AppError('CLIENT_FILE_BROKEN', {
    message: `The client's file cannot be read: ${what}.`,
    fix: 'Mend it first; it was left as it is. --print shows the entry to put in by hand.',
  });
}
