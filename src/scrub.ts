/**
 * The last guard before anything leaves the process (engine.md S4): known values first, in every common encoding, then patterns.
 * A value is registered before it can be emitted; values under 8 characters are never replaced globally.
 */

export type Scrubber = {
  register(value: string): void;
  scrub(text: string): string;
};

const hidden = '[secret]';

/** Bounded and anchored, so that no text makes them backtrack without limit; none crosses a backslash, so JSON stays JSON. */
const patterns: [RegExp, string][] = [
  [/(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}/g, hidden],
  [/\bsb_secret_[A-Za-z0-9_-]{8,}/g, hidden],
  [/\bcapstan_[0-9a-f]{12}_[A-Za-z0-9_-]{43}/g, hidden],
  [/\b(AKIA|ASIA)[A-Z0-9]{16}\b/g, hidden],
  [/\b([a-z][a-z0-9+.-]{0,20}:\/\/[^\s:/@"'\\]{1,256}:)(?!secret:[0-9a-f-]{36}@)[^\s@/"'\\]{1,512}@/gi, `$1${hidden}@`],
  [/\b([A-Z0-9_]{0,60}(?:_KEY|_SECRET|PASSWORD|_TOKEN|SECRET_KEY_BASE)=)[^\s"'\\]+/g, `$1${hidden}`],
  [/(?<![a-z0-9-])(--[a-z0-9-]{0,60}?(?:access-key|secret)[a-z0-9-]{0,60}[= ])[^\s"'\\]+/gi, `$1${hidden}`],
];

/** One scrubber per process; forms of a value: raw, URL-encoded, base64, base64url, JSON-escaped. */
export function createScrubber(): Scrubber {
  const forms = new Set<string>();
  let ordered: string[] | undefined;
  return {
    register(value) {
      if (value.length < 8) return;
      const bytes = Buffer.from(value, 'utf8');
      for (const form of [
        value,
        encodeURIComponent(value),
        bytes.toString('base64'),
        bytes.toString('base64url'),
        JSON.stringify(value).slice(1, -1),
      ]) {
        if (!forms.has(form)) ordered = undefined;
        forms.add(form);
      }
    },
    scrub(text) {
      ordered ??= [...forms].sort((a, b) => b.length - a.length);
      let out = text;
      for (const form of ordered) if (out.includes(form)) out = out.split(form).join(hidden);
      for (const [pattern, replacement] of patterns) out = out.replace(pattern, replacement);
      return out;
    },
  };
}
