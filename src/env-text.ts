/**
 * Environment text (dotenv as Dokploy and docker compose read it), edited without loss. Invariants:
 * 1. print(parse(text)) is text, byte for byte, for any text.
 * 2. Setting a variable changes its own line only: comments, order, `export`, indentation and line ends of the rest stay.
 * 3. A value that cannot be written unambiguously for both readers is refused, never mangled.
 */
import { AppError } from './errors.ts';

export type Quote = '' | "'" | '"' | '`';

/** An assignment, cut into the pieces that make it up; together they are the original text. */
export type EnvEntry = {
  kind: 'entry';
  /** Indentation and `export `. */
  lead: string;
  name: string;
  /** The equals sign with the spaces around it. */
  equals: string;
  quote: Quote;
  /** Between the quotes, as written. */
  raw: string;
  /** After the value: spaces and an inline comment. */
  trail: string;
  eol: string;
};

/** Anything that is no assignment: blank lines, comments, text we do not understand. */
export type EnvOther = { kind: 'other'; raw: string; eol: string };

export type EnvText = readonly (EnvEntry | EnvOther)[];

const assignment = /^([ \t]*(?:export[ \t]+)?)([A-Za-z_][A-Za-z0-9_.-]*)([ \t]*=[ \t]*)/;

/** Never throws: what is no assignment is kept as it is. */
export function parseEnv(text: string): EnvText {
  const out: (EnvEntry | EnvOther)[] = [];
  let at = 0;
  while (at < text.length) {
    const read = readEntry(text, at) ?? readOther(text, at);
    out.push(read.item);
    at = read.end;
  }
  return out;
}

export function printEnv(env: EnvText): string {
  return env.map((item) => (item.kind === 'other' ? item.raw + item.eol : printEntry(item))).join('');
}

/** The value as the readers see it; the last assignment wins. Undefined when there is none. */
export function getEnv(env: EnvText, name: string): string | undefined {
  const entry = env.findLast((item) => item.kind === 'entry' && item.name === name);
  return entry?.kind === 'entry' ? entryValue(entry) : undefined;
}

/** Every variable once, in the order of first appearance, with the value that wins. */
export function envVariables(env: EnvText): Map<string, string> {
  const out = new Map<string, string>();
  for (const item of env) if (item.kind === 'entry') out.set(item.name, entryValue(item));
  return out;
}

/** Sets a variable: every assignment of it is rewritten in place, or one line is added at the end. Throws ENV_VALUE_UNSAFE. */
export function setEnv(env: EnvText, name: string, value: string): EnvText {
  const written = quoteValue(name, value);
  let found = false;
  const out = env.map((item) => {
    if (item.kind !== 'entry' || item.name !== name) return item;
    found = true;
    if (entryValue(item) === value) return item;
    return { ...item, quote: written.quote, raw: written.raw };
  });
  if (found) return out;
  const eol = env.find((item) => item.eol !== '')?.eol ?? '\n';
  const last = out.at(-1);
  if (last && last.eol === '') out[out.length - 1] = { ...last, eol };
  return [...out, { kind: 'entry', lead: '', name, equals: '=', ...written, trail: '', eol: last?.eol === '' ? '' : eol }];
}

export function entryValue(entry: EnvEntry): string {
  if (entry.quote === '"') return entry.raw.replace(/\\n/g, '\n').replace(/\\r/g, '\r');
  return entry.raw;
}

/**
 * The form of a value that dotenv (Dokploy) and compose read alike: bare where nothing is special, else single quotes, which
 * both take literally. A value with a single quote and something that double quotes would interpret has no such form.
 */
export function quoteValue(name: string, value: string): { quote: Quote; raw: string } {
  const reference = value.includes('${{'); // Dokploy's own references are expanded inside any quotes
  if (/^[A-Za-z0-9_./:@%+,=*?&~[\]{}()|<>!;^-]*$/.test(value)) return { quote: '', raw: value };
  if (!reference && !/['\r\n]/.test(value)) return { quote: "'", raw: value };
  if (!/["$\\`\r\n]/.test(value)) return { quote: '"', raw: value };
  throw new AppError('ENV_VALUE_UNSAFE', {
    message: `The value of ${name} cannot be written into an environment text so that Dokploy and docker compose read it alike.`,
    fix: 'Use a value without line breaks, without ${{, and without a single quote beside a double quote, dollar sign or backslash.',
  });
}

function printEntry(entry: EnvEntry): string {
  return `${entry.lead}${entry.name}${entry.equals}${entry.quote}${entry.raw}${entry.quote}${entry.trail}${entry.eol}`;
}

type Read<T> = { item: T; end: number };

function readEntry(text: string, at: number): Read<EnvEntry> | undefined {
  const stop = lineEnd(text, at);
  const match = assignment.exec(text.slice(at, stop));
  if (!match) return undefined;
  const [whole, lead = '', name = '', equals = ''] = match;
  const start = at + whole.length;
  const quoted = readQuoted(text, start);
  if (quoted) return { item: { kind: 'entry', lead, name, equals, ...quoted.item }, end: quoted.end };
  const rest = text.slice(start, stop);
  const comment = rest.search(/[ \t]#|^#/);
  const raw = (comment < 0 ? rest : rest.slice(0, comment)).replace(/[ \t]+$/, '');
  const eol = eolAt(text, stop);
  return { item: { kind: 'entry', lead, name, equals, quote: '', raw, trail: rest.slice(raw.length), eol }, end: stop + eol.length };
}

/** A quoted value may span lines; without a closing quote, or with text after it, it is no quoted value. */
function readQuoted(text: string, start: number): Read<Pick<EnvEntry, 'quote' | 'raw' | 'trail' | 'eol'>> | undefined {
  const quote = text[start];
  if (quote !== '"' && quote !== "'" && quote !== '`') return undefined;
  let close = start + 1;
  while (close < text.length && text[close] !== quote) close += quote === '"' && text[close] === '\\' ? 2 : 1;
  if (close >= text.length) return undefined;
  const stop = lineEnd(text, close);
  const trail = text.slice(close + 1, stop);
  if (!/^[ \t]*(#.*)?$/.test(trail)) return undefined;
  const eol = eolAt(text, stop);
  return { item: { quote, raw: text.slice(start + 1, close), trail, eol }, end: stop + eol.length };
}

function readOther(text: string, at: number): Read<EnvOther> {
  const stop = lineEnd(text, at);
  const eol = eolAt(text, stop);
  return { item: { kind: 'other', raw: text.slice(at, stop), eol }, end: stop + eol.length };
}

/** Index of the line break (a CR that belongs to it included), or the end of the text. */
function lineEnd(text: string, at: number): number {
  const feed = text.indexOf('\n', at);
  if (feed < 0) return text.length;
  return feed > at && text[feed - 1] === '\r' ? feed - 1 : feed;
}

function eolAt(text: string, at: number): string {
  if (text.startsWith('\r\n', at)) return '\r\n';
  return text.startsWith('\n', at) ? '\n' : '';
}
