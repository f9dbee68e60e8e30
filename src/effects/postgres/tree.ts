/** Walking the tree of a parsed statement: every object in it, however deep. Pure. */

export type Node = Readonly<Record<string, unknown>>;

/**
 * Calls `see` for each object with the key it stands under. Some nodes are wrapped in their type (`{ RangeVar: {…} }`), others stand bare in a
 * field that implies it (`relation: {…}`): whoever looks for a kind looks at the key or at the fields. Iterative, so that depth cannot exhaust the stack.
 */
export function walkTree(root: unknown, see: (key: string, node: Node) => void): void {
  const left: [key: string, value: unknown][] = [['', root]];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [key, value] = next;
    if (Array.isArray(value)) for (const each of value) left.push([key, each]);
    if (!isNode(value)) continue;
    see(key, value);
    for (const [inner, each] of Object.entries(value)) if (typeof each === 'object') left.push([inner, each]);
  }
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The last text of a list of String nodes, such as a name with its schema in front. */
export function namesOf(list: unknown): string[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((each) => {
    const text: unknown = isNode(each) && isNode(each['String']) ? each['String']['sval'] : undefined;
    return typeof text === 'string' ? [text] : [];
  });
}
