/** What an answer says in our own words, apart from the fields that hold what somebody else wrote. */

const ours = new Set(['say', 'title', 'summary', 'statement', 'message', 'fix', 'note', 'what', 'confirm', 'name']);

/** Every text under a key of ours, with its path; nothing behind a fence (`text`) and nothing under a key of the outside. */
export function ownSentences(value: unknown, path = ''): { path: string; text: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => {
    const at = Array.isArray(value) ? path : `${path}.${key}`;
    if (typeof each === 'string') return ours.has(key) || Array.isArray(value) ? [{ path: at, text: each }] : [];
    return ownSentences(each, at);
  });
}

/** A text in which what is quoted is blanked: only that may hold words from outside, in one line, in `"` and without one. */
export function unquoted(text: string): string {
  return text.replace(/"[^"\n]*"/g, '""');
}
