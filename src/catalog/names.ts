/** Names as SQL writes them, so that no name can pass for something else. Pure. */
import type { ObjectName } from './model.ts';

/** Plain where it needs no quotes, else in quotes; a line that holds it can still be cut at a comma or blank outside of quotes. */
export function quoted(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** `schema.name`, each quoted where it needs it. */
export function written({ schema, name }: ObjectName): string {
  return `${quoted(schema)}.${quoted(name)}`;
}

/** What a person may mean by a name: the bare text, and the two parts of `schema.name` as SQL reads it. */
export function readings(text: string): { name: string; schema?: string }[] {
  const part = '"(?:[^"]|"")+"|[^".]+';
  const found = new RegExp(`^(${part})(?:\\.(${part}))?$`, 's').exec(text);
  const [, first, second] = found ?? [];
  const bare = { name: text };
  if (first === undefined) return [bare];
  if (second === undefined) return first === text && !text.startsWith('"') ? [bare] : [bare, { name: unquoted(first) }];
  return [{ schema: unquoted(first), name: unquoted(second) }, bare];
}

function unquoted(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;
}
