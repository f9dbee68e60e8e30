/**
 * Text from outside is data (design §5): characters that a reader cannot see, or that turn the order of others, are spelled out.
 * 1. Pure and idempotent: the spelled form holds only visible characters. 2. Line ends and tabs stay.
 */

/** C0 and C1 controls but tab and line end, bidirectional marks, invisible joiners and fillers, line separators, tag characters, lone surrogates. */
const hidden =
  // biome would have the controls spelled out by hand: here they are the point.
  /[\p{Cc}\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]|\p{Cs}/gu;

/** Spells out what a reader could not see, such as `\u{202e}`. */
export function printable(text: string): string {
  return text.replace(hidden, (character) =>
    character === '\n' || character === '\t' ? character : `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** A copy of plain JSON with every text in it, keys too, passed through `change`. */
export function mapText(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((each) => mapText(each, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [change(key), mapText(each, change)]));
}
