/** What a connection is judged by (src/mcp/connection.ts): whose a run is, and which targets it is about. */
import type { Desk } from './desk.ts';
import type { McpApp } from './mcp/app-port.ts';
import { textsIn } from './mcp/connection.ts';

type Deps = Pick<Desk, 'store' | 'registry' | 'runAccess'>;

/** A run is about every target whose name stands as a text in what was sent to it or in a lock of its effects: closed rather than clever. */
export function createRunFacts({ store, registry, runAccess }: Deps): Pick<McpApp, 'runFacts' | 'mentioned'> {
  const known = async (names: readonly string[] = []) => new Set([...names, ...(await registry.targets()).map((row) => row.name)]);
  return {
    async runFacts(reference, names) {
      const ids = typeof reference === 'string' ? await store.findRun(reference) : reference;
      if (ids.length === 0) return [];
      const [owners, texts, targets] = [await runAccess.owners(ids), await runAccess.texts(ids), await known(names)];
      return owners.map((owner) => ({ ...owner, about: [...(texts.get(owner.runId) ?? [])].filter((text) => targets.has(text)) }));
    },
    async mentioned(value, names) {
      const targets = await known(names);
      return [...new Set(textsIn(value))].filter((text) => targets.has(text));
    },
  };
}
