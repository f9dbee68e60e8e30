/** An effect's context over plain maps, for driving handlers without engine or store. */
import { setTimeout as pause } from 'node:timers/promises';
import type { DokployConnection, EffectContext, Held, StagedBackup, TargetRecord } from '../../src/effects/handler.ts';

export type Bench = {
  secrets: Map<string, string>;
  artifacts: Map<string, string>;
  targets: TargetRecord[];
  progress: string[];
  backups: StagedBackup[];
  held: Held[];
  contextFor(key: string, signal?: AbortSignal): EffectContext;
};

export function createBench(connection: DokployConnection): Bench {
  const bench: Bench = { secrets: new Map(), artifacts: new Map(), targets: [], progress: [], backups: [], held: [], contextFor };
  const read = (map: Map<string, string>, reference: string) => {
    const value = map.get(reference);
    if (value === undefined) throw new Error(`nothing is kept under ${reference}`);
    return value;
  };
  function contextFor(key: string, signal: AbortSignal = new AbortController().signal): EffectContext {
    return {
      key,
      traceId: 'trace',
      runId: key.split(':')[0] ?? '',
      attempt: 1,
      signal,
      now: () => Date.now(),
      // Polls of the sandbox need no long pauses.
      sleep: (ms) => pause(Math.min(ms, 200), undefined, { signal }),
      progress: (say) => void bench.progress.push(say),
      hold: (thing) => void bench.held.push(thing),
      secrets: {
        reveal: async (reference) => read(bench.secrets, reference),
        mint(name, value) {
          const reference = `secret:${name}-${bench.secrets.size}`;
          bench.secrets.set(reference, value);
          return reference;
        },
      },
      artifacts: {
        async put(role, _media, text) {
          const reference = `artifact:${role}-${bench.artifacts.size}`;
          bench.artifacts.set(reference, text);
          return reference;
        },
        read: async (reference) => read(bench.artifacts, reference),
      },
      dokploy: async () => connection,
      async target(name) {
        const found = bench.targets.findLast((each) => each.name === name);
        if (!found) throw new Error(`no target ${name}`);
        return found;
      },
      saveBackup: (staged) => void bench.backups.push(staged),
      snapshots: async (target) =>
        [...bench.artifacts.keys()]
          .filter((key) => key.startsWith(`artifact:snapshot:${target}-`))
          .reverse()
          .map((reference, at) => ({ reference, at })),
      saveTarget: (target) => void bench.targets.push(target),
      forgetTarget: (name) => void bench.targets.splice(0, bench.targets.length, ...bench.targets.filter((each) => each.name !== name)),
    };
  }
  return bench;
}
