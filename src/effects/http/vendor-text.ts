/**
 * Text that came from outside, made fit for a message. Invariants:
 * 1. Secrets go first (known values, then patterns: engine.md S4), cutting comes last, so no half of a secret survives.
 * 2. The result stands in quotes, in one line, with control and bidirectional characters escaped (design.md §5).
 */

/** Every repetition is bounded: a log line of a megabyte must not make one backtrack without limit. */
const PATTERNS: [RegExp, string][] = [
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g, '[redacted]'],
  [/\beyJ[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?/g, '[redacted]'],
  [/\bsb_secret_[\w-]+/g, '[redacted]'],
  [/\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, '[redacted]'],
  [/([a-z][a-z0-9+.-]{0,30}:\/\/)[^\s/@'"]{1,300}@/gi, '$1[redacted]@'],
  [/(--[\w-]{0,60}(?:key|secret|password|pass|token|user)[\w-]{0,60}[= ]{1,4})(?:"[^"]*"|'[^']*'|[^\s"']+)/gi, '$1[redacted]'],
  [/(\b(?:authorization|x-api-key|apikey)["']?\s{0,8}[:=]\s{0,8}["']?)(?:bearer\s{1,8}|basic\s{1,8})?[^\s"',;]+/gi, '$1[redacted]'],
  [
    /(\b[\w.-]{0,80}(?:KEY|SECRET|PASSWORD|PASSWD|PASS|TOKEN)\w{0,60}\s{0,8}=\s{0,8})(?:"[^"\n]*"?|'[^'\n]*'?|[^\s"'&;]+)/gi,
    '$1[redacted]',
  ],
  [
    /(["'][\w.-]{0,80}(?:key|secret|password|passwd|token)\w{0,60}["']\s{0,8}:\s{0,8})(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s,}]+)/gi,
    '$1[redacted]',
  ],
  [/(\b(?:password|passwd|secret|token)\s{0,8}:\s{0,8})[^\s,;"']+/gi, '$1[redacted]'],
];

/** Replaces known secret values (8 characters and longer) and everything that looks like one by `[redacted]`. */
export function redactText(text: string, known: readonly string[] = []): string {
  let clean = text;
  for (const value of known) {
    if (value.length < 8) continue;
    for (const form of new Set([
      value,
      encodeURIComponent(value),
      JSON.stringify(value).slice(1, -1),
      Buffer.from(value).toString('base64'),
    ])) {
      clean = clean.replaceAll(form, '[redacted]');
    }
  }
  for (const [pattern, replacement] of PATTERNS) clean = clean.replace(pattern, replacement);
  return clean;
}

// Control characters, soft hyphen, zero width and bidirectional marks, line separators, byte order mark, tags.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Escapes what could hide or reorder text; a line break becomes `\n`. */
export function escapeInvisible(text: string): string {
  return text.replace(INVISIBLE, (each) => {
    if (each === '\n') return '\\n';
    if (each === '\r') return '\\r';
    if (each === '\t') return '\\t';
    return `\\u{${(each.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

/** Redacted, escaped, cut to `max` characters (default 200) and put in quotes: the only form in which vendor text enters a sentence. */
export function quoteVendorText(text: string, known: readonly string[] = [], max = 200): string {
  // Long input is cut before the patterns run, far beyond what is shown, so that a flood costs nothing.
  const clean = escapeInvisible(redactText(text.slice(0, 20_000), known).trim()).replaceAll('"', "'");
  return `"${clean.length > max ? `${clean.slice(0, max - 1)}…` : clean}"`;
}
