/** Gives each handler its context and collects what it stages in our own store (design §9: effects talk to nothing but their `ctx`). */
import type {
  DokployConnection,
  EffectContext,
  Handler,
  Held,
  MayUndo,
  Probe,
  SnapshotEntry,
  StagedBackup,
  TargetRecord,
} from './handler.ts';

type Secret = { id: string; scope: string; name: string; keyId: string; nonce: Uint8Array; ciphertext: Uint8Array };
type Artifact = { id: string; role: string; media: string; keyId: string; bytes: number };
type Writes = {
  secrets: Secret[];
  artifacts: Artifact[];
  targets: { name: string; kind: string; tags: string[]; record: unknown }[];
  backups: StagedBackup[];
  forgotten: string[];
};

export type HandsDeps = {
  /** Contract name to handler; the types of input, before-image and output were checked where it was defined. */
  handlers: Readonly<Record<string, Handler<never, unknown, never>>>;
  now: () => number;
  wait: (ms: number, signal: AbortSignal) => Promise<void>;
  vault: {
    stageSecret(scope: string, name: string, value: string): Secret;
    reveal(reference: string, staged?: readonly Secret[]): Promise<string>;
    stageArtifact(role: string, media: string, text: string): Promise<Artifact>;
    readArtifact(reference: string): Promise<string>;
  };
  dokploy: (name: string) => Promise<DokployConnection>;
  target: (name: string) => Promise<TargetRecord>;
  snapshots: (target: string) => Promise<SnapshotEntry[]>;
};

type Site = {
  key: string;
  runId: string;
  traceId: string;
  attempt: number;
  signal: AbortSignal;
  progress(say: string, percent?: number): void;
};

type Bound = {
  prepare?: (input: unknown) => Promise<unknown>;
  run: (input: unknown, before: unknown) => Promise<unknown>;
  probe?: (input: unknown, before: unknown) => Promise<Probe<unknown>>;
  undo?: (input: unknown, before: unknown, output: unknown) => Promise<void>;
  mayUndo?: (input: unknown, before: unknown, output: unknown) => Promise<MayUndo>;
};

/** The engine's port to the effects; fits `Hands` of engine/ports.ts. */
export function createHands(deps: HandsDeps) {
  const handlerOf = (contract: string): Handler<unknown, unknown, unknown> => {
    const handler = deps.handlers[contract];
    if (!handler) throw new TypeError(`no handler for ${contract}`);
    // The engine validated the input by the contract's schema, and before-images and outputs are what this handler returned.
    return handler as unknown as Handler<unknown, unknown, unknown>;
  };
  return {
    has: (contract: string): boolean => contract in deps.handlers,
    abilities(contract: string) {
      const { prepare, probe, undo, mayUndo } = handlerOf(contract);
      return { prepare: prepare !== undefined, probe: probe !== undefined, undo: undo !== undefined, mayUndo: mayUndo !== undefined };
    },
    bind(contract: string, site: Site): { handler: Bound; staged: () => Writes } {
      const { prepare, run, probe, undo, mayUndo } = handlerOf(contract);
      const writes: Writes = { secrets: [], artifacts: [], targets: [], backups: [], forgotten: [] };
      const call = <T>(part: (ctx: EffectContext) => Promise<T>) =>
        holding(site.signal, (hold) => part(contextOf(deps, site, writes, hold)));
      return {
        staged: () => writes,
        handler: {
          run: (input, before) => call((ctx) => run(ctx, input, before)),
          ...(prepare ? { prepare: (input: unknown) => call((ctx) => prepare(ctx, input)) } : {}),
          ...(probe ? { probe: (input: unknown, before: unknown) => call((ctx) => probe(ctx, input, before)) } : {}),
          ...(undo ? { undo: (input: unknown, before: unknown, output: unknown) => call((ctx) => undo(ctx, input, before, output)) } : {}),
          ...(mayUndo
            ? { mayUndo: (input: unknown, before: unknown, output: unknown) => call((ctx) => mayUndo(ctx, input, before, output)) }
            : {}),
        },
      };
    },
  };
}

/** How long an aborted call may still use what it holds. */
const clearUpMs = 5_000;

/** One call with what it holds: a call that fails because that broke says so. */
async function holding<T>(signal: AbortSignal, work: (hold: (thing: Held) => void) => Promise<T>): Promise<T> {
  const held: Held[] = [];
  const closeAll = () => Promise.all(held.map((thing) => thing.close()));
  const closeSoon = () => void setTimeout(closeAll, clearUpMs).unref();
  signal.addEventListener('abort', closeSoon, { once: true });
  try {
    return await work((thing) => void held.push(thing));
  } catch (error) {
    if (signal.aborted) throw error;
    const reasons = await Promise.all(held.map((thing) => thing.whyBroken()));
    throw reasons.find((reason) => reason !== undefined) ?? error;
  } finally {
    signal.removeEventListener('abort', closeSoon);
    await closeAll();
  }
}

function contextOf(deps: HandsDeps, site: Site, writes: Writes, hold: EffectContext['hold']): EffectContext {
  return {
    key: site.key,
    runId: site.runId,
    traceId: site.traceId,
    attempt: site.attempt,
    signal: site.signal,
    now: deps.now,
    progress: site.progress,
    hold,
    async sleep(ms) {
      await deps.wait(ms, site.signal);
      site.signal.throwIfAborted();
    },
    secrets: {
      reveal: (reference) => deps.vault.reveal(reference, writes.secrets),
      mint(name, value) {
        const secret = deps.vault.stageSecret(`run:${site.runId}`, name, value);
        writes.secrets.push(secret);
        return `secret:${secret.id}`;
      },
    },
    artifacts: {
      async put(role, media, text) {
        const artifact = await deps.vault.stageArtifact(role, media, text);
        writes.artifacts.push(artifact);
        return `artifact:${artifact.id}`;
      },
      read: deps.vault.readArtifact,
    },
    dokploy: deps.dokploy,
    target: deps.target,
    saveBackup: (staged) => void writes.backups.push(staged),
    snapshots: deps.snapshots,
    forgetTarget: (name) => void writes.forgotten.push(name),
    saveTarget(target: TargetRecord) {
      const { name, kind, tags, ...record } = target;
      writes.targets.push({ name, kind, tags, record });
    },
  };
}
