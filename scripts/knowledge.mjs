// What is known of every code that Capstan answers with, collected from where it is said: the errors and findings in the sources, and the
// troubleshooting table of README.md. Part of the build; the resources capstan://knowledge/{code} read what it writes.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';

const root = new URL('../', import.meta.url);

/** Index after the literal that begins at `at`; its text, with `…` for what is filled in. */
function literalAt(text, at) {
  const quote = text[at];
  let out = '';
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') {
      out += text[i + 1];
      i += 1;
    } else if (text[i] === quote) return { end: i + 1, text: out };
    else if (quote === '`' && text[i] === '$' && text[i + 1] === '{') {
      i = blockEnd(text, i + 1) - 1;
      out += '…';
    } else out += text[i];
  }
  throw new Error('a literal without an end');
}

/** Index of the last character of what a slash begins: a comment, a regular expression, or a division, which is itself. */
function slashEnd(text, at) {
  if (text[at + 1] === '/') return text.indexOf('\n', at);
  if (text[at + 1] === '*') return text.indexOf('*/', at) + 1;
  const before = text.slice(0, at).trimEnd().at(-1) ?? '(';
  if (!'(,=:[!&|?{};'.includes(before)) return at;
  let inClass = false;
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '[') inClass = true;
    else if (text[i] === ']') inClass = false;
    else if (text[i] === '/' && !inClass) return i;
  }
  throw new Error('a regular expression without an end');
}

/** Index after the bracket that closes the one at `at`; literals and comments are passed over. */
function blockEnd(text, at) {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const each = text[i];
    if (each === "'" || each === '"' || each === '`') i = literalAt(text, i).end - 1;
    else if (each === '/') i = slashEnd(text, i);
    else if ('{[('.includes(each)) depth += 1;
    else if ('}])'.includes(each)) {
      depth -= 1;
      if (depth === 0) return i + 1;
    }
  }
  throw new Error('a bracket without an end');
}

/** The literals that an object literal gives for a key at its own level: several where it chooses between them. */
function saidUnder(object, key) {
  let depth = 0;
  for (let i = 0; i < object.length; i++) {
    const each = object[i];
    if (each === "'" || each === '"' || each === '`') i = literalAt(object, i).end - 1;
    else if (each === '/') i = slashEnd(object, i);
    else if ('{[('.includes(each)) depth += 1;
    else if ('}])'.includes(each)) depth -= 1;
    else if (depth === 1 && object.startsWith(`${key}:`, i) && /[\s{,]/.test(object[i - 1]))
      return literalsUntilComma(object, i + key.length + 1);
  }
  return [];
}

function literalsUntilComma(text, from) {
  const found = [];
  for (let i = from; i < text.length; i++) {
    const each = text[i];
    if (each === "'" || each === '"' || each === '`') {
      const literal = literalAt(text, i);
      if (/\s/.test(literal.text)) found.push(literal.text); // a sentence; single words are what is compared or joined
      i = literal.end - 1;
    } else if ('{[('.includes(each)) i = blockEnd(text, i) - 1;
    else if (each === ',' || '}])'.includes(each)) break;
  }
  return found;
}

/** A sentence that stands under a name of its own is read where the name stands. */
function withConstants(source) {
  return source.replace(/\b(message|fix|say): ([A-Za-z]\w*)(?=,|\s*\})/g, (whole, key, name) => {
    const declared = new RegExp(`\\bconst ${name} =\\s*(?=['"\`])`).exec(source);
    if (!declared) return whole;
    const at = declared.index + declared[0].length;
    return `${key}: ${source.slice(at, literalAt(source, at).end)}`;
  });
}

/** Code to what the sources say of it. Pure. */
export function codesIn(text) {
  const source = withConstants(text);
  const found = [];
  for (const match of source.matchAll(/new AppError\(\s*'([A-Z][A-Z0-9_]+)',\s*(?=\{)/g)) {
    const at = match.index + match[0].length;
    const object = source.slice(at, blockEnd(source, at));
    found.push({ code: match[1], by: 'error', says: saidUnder(object, 'message'), next: saidUnder(object, 'fix') });
  }
  for (const match of source.matchAll(/\{\s*code: '([A-Z][A-Z0-9_]+)'/g)) {
    const object = source.slice(match.index, blockEnd(source, match.index));
    const says = saidUnder(object, 'say');
    if (says.length > 0)
      found.push({ code: match[1], by: /\bseverity\b/.test(object) ? 'doctor' : 'warning', says, next: saidUnder(object, 'fix') });
  }
  // The doctor's helpers: code, severity, then what it says and, where it stands there, what should be and the fix.
  for (const match of source.matchAll(/'([A-Z][A-Z0-9_]+)',\s*'(?:critical|error|warning|info)',\s*(?=['"`])/g)) {
    const sentences = [];
    let at = match.index + match[0].length;
    while (/['"`]/.test(source[at] ?? '')) {
      const { end, text } = literalAt(source, at);
      sentences.push(text);
      at = end + (/^,?\s*/.exec(source.slice(end))?.[0].length ?? 0);
    }
    found.push({ code: match[1], by: 'doctor', says: sentences.slice(0, 1), next: sentences.slice(2, 3) });
  }
  return found;
}

/** Code to its explanation in the troubleshooting table of README. Pure. */
export function explanationsIn(readme) {
  const table = readme.split('\n## Troubleshooting\n')[1]?.split('\n## ')[0] ?? '';
  const out = new Map();
  for (const line of table.split('\n')) {
    const [, codes, text] = /^\| (.*?) \| (.*) \|$/.exec(line) ?? [];
    for (const [, code] of (codes ?? '').matchAll(/`([A-Z][A-Z0-9_]+)`/g)) out.set(code, text.replaceAll('\\|', '|'));
  }
  return out;
}

/** One article for each code: what it says, what it means, what to do. Pure. */
export function articlesOf(sources, readme) {
  const explained = explanationsIn(readme);
  const articles = new Map();
  for (const { code, by, says, next } of sources.flatMap(codesIn)) {
    const article = articles.get(code) ?? { code, by: [], says: [], next: [] };
    const add = (list, more) => [...new Set([...list, ...more])];
    articles.set(code, { code, by: add(article.by, [by]), says: add(article.says, says), next: add(article.next, next) });
  }
  return [...articles.values()]
    .map((article) => (explained.has(article.code) ? { ...article, means: explained.get(article.code) } : article))
    .filter(({ says, next, means }) => says.length + next.length > 0 || means !== undefined)
    .sort((a, b) => (a.code < b.code ? -1 : 1));
}

function sourcesUnder(folder) {
  return readdirSync(new URL(folder, root), { recursive: true })
    .filter((name) => name.endsWith('.ts') && !name.startsWith('sandbox') && !name.startsWith('testing') && !name.startsWith('demo'))
    .map((name) => readFileSync(new URL(`${folder}${name.replaceAll('\\', '/')}`, root), 'utf8'));
}

export function readArticles() {
  return articlesOf([...sourcesUnder('src/'), ...sourcesUnder('machines/')], readFileSync(new URL('README.md', root), 'utf8'));
}

if (process.argv[1]?.endsWith('knowledge.mjs')) {
  mkdirSync(new URL('dist/', root), { recursive: true });
  writeFileSync(new URL('dist/knowledge.json', root), `${JSON.stringify(readArticles())}\n`);
}
