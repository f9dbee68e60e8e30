/** Orders and keys that are the same on every machine. Pure. */
import type { ObjectName } from './model.ts';

/** By code unit. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A key that no two objects share: names may hold dots, never a NUL. */
export function qualified({ schema, name }: ObjectName): string {
  return `${schema}\0${name}`;
}

export function nameOf({ name }: { name: string }): string {
  return name;
}

/** Converts the rows and sorts what came of them; no rows is an empty list. */
export function sorted<R, T>(rows: readonly R[] | null | undefined, convert: (row: R) => T, key: (made: T) => string): T[] {
  return (rows ?? []).map(convert).sort((a, b) => compareText(key(a), key(b)));
}
