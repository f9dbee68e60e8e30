type Present<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] };
type Absent<T> = { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> };

/** The same row without the members that are undefined, as exactOptionalPropertyTypes wants it. */
export function defined<T extends Record<string, unknown>>(row: T): Present<T> & Absent<T> {
  // Object.fromEntries forgets the keys that it is given back here.
  return Object.fromEntries(Object.entries(row).filter(([, value]) => value !== undefined)) as Present<T> & Absent<T>;
}
