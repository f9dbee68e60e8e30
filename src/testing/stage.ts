/**
 * One home, one outside world, and processes that can die or freeze at any call of a port. Invariants:
 * 1. A dead process makes no further call and hears no answer; its ownership lock is free at once (E4).
 * 2. A frozen process stands still in every port and in its clock until it thaws.
 * 3. The desk, the store and the engine are the real ones; only the calls between them are watched.
 */
import { type Desk, openDesk } from '../desk.ts';
import type { BoundHandler, CallSite, ContractLike, Hands } from '../engine/hands-port.ts';
import type { Store } from '../engine/ports.ts';
import type { WorkflowLike } from '../engine/registration.ts';
import { toJsonSchema } from '../json-schema.ts';
import { createLog } from '../log.ts';
import { createScrubber } from '../scrub.ts';
import { createFakeWorld, type FakeWorld } from './fake-world.ts';
import { createVirtualClock, type VirtualClock } from './virtual-clock.ts';

/** A call of a store method, before it is made or after it has answered. */
export type StoreCall = { process: Process; method: string; args: readonly unknown[]; when: 'before' | 'after'; result?: unknown };

export type Part = 'prepare' | 'run' | 'probe' | 'undo';
export type HandCall = { process: Process; part: Part; contract: ContractLike; site: CallSite };

/** What a case does in the middle of things; a hook may kill or freeze the process, or throw. */
export type Hooks = {
  store?: (call: StoreCall) => void;
  /** The whole of a handler's call, instead of the world's plain answer. */
  hand: (call: HandCall) => Promise<unknown>;
};

export type Process = {
  desk: Desk;
  /** Past every hook. */
  store: Store;
  /** Its id among the workers, known from its first claim on. */
  worker(): string | undefined;
  alive(): boolean;
  frozen(): boolean;
  die(): void;
  freeze(): void;
  thaw(): void;
};

/** Deliberate damage to the engine's ports, for proving that a matrix notices (mutants). */
export type Damage = { store?: (store: Store) => Store; hands?: (hands: Hands) => Hands };

export type Stage = {
  world: FakeWorld;
  clock: VirtualClock;
  hooks: Hooks;
  /** The process that takes calls now; a dead or frozen one is followed by a new one. */
  current(): Promise<Process>;
  processes(): readonly Process[];
  /** Lets everything go on until the condition holds; false when nothing moves any more or the patience is over. */
  until(condition: () => boolean | Promise<boolean>): Promise<boolean>;
  close(): void;
};

const patienceMs = 5 * 60_000;

export function createStage(options: {
  home: string;
  workflow: WorkflowLike;
  contracts: Record<string, ContractLike>;
  hands: (call: HandCall) => Promise<unknown>;
  damage?: Damage;
}): Stage {
  const clock = createVirtualClock(Date.UTC(2026, 0, 1));
  const world = createFakeWorld();
  const processes: Process[] = [];
  const hooks: Hooks = { hand: options.hands };
  let calls = 0;
  let pending = 0;
  const watch: Watch = {
    calls: () => {
      calls++;
    },
    async during(call) {
      pending++;
      try {
        return await call();
      } finally {
        pending--;
        calls++;
      }
    },
    hooks,
  };

  const quiet = async (): Promise<void> => {
    for (let still = 0; still < 2; ) {
      const before = calls + clock.moves();
      await new Promise<void>((resolve) => setImmediate(resolve));
      still = before === calls + clock.moves() && pending === 0 ? still + 1 : 0;
    }
  };

  return {
    world,
    clock,
    hooks,
    processes: () => processes,
    async current() {
      const last = processes.at(-1);
      if (last?.alive() && !last.frozen()) return last;
      const next = await openProcess({ ...options, clock, watch });
      processes.push(next);
      return next;
    },
    async until(condition) {
      const limit = clock.now() + patienceMs;
      for (let turns = 0; turns < 20_000; turns++) {
        await quiet();
        const before = calls + clock.moves();
        if (await condition()) return true;
        if (calls + clock.moves() !== before) continue; // looking has set something going, such as a new process
        if (clock.now() > limit || !clock.advance()) return false;
      }
      return false;
    },
    close() {
      for (const process of processes) process.die();
    },
  };
}

type Watch = { calls: () => void; during: (call: () => Promise<unknown>) => Promise<unknown>; hooks: Hooks };
type OpenOptions = Parameters<typeof createStage>[0] & { clock: VirtualClock; watch: Watch };

async function openProcess(options: OpenOptions): Promise<Process> {
  const { home, workflow, contracts, clock, watch, damage = {} } = options;
  const own = clock.process();
  const scrubber = createScrubber();
  let alive = true;
  let ice: { melted: Promise<void>; melt: () => void } | undefined;
  const never = new Promise<never>(() => undefined);
  const gate = async (): Promise<void> => {
    while (ice && alive) await ice.melted;
    if (!alive) await never;
  };
  let inner: Store | undefined;
  let worker: string | undefined;
  const process: Omit<Process, 'desk' | 'store'> = {
    worker: () => worker,
    alive: () => alive,
    frozen: () => ice !== undefined,
    die() {
      if (!alive) return;
      alive = false;
      own.end();
      desk?.close();
    },
    freeze() {
      let melt = (): void => {};
      const melted = new Promise<void>((resolve) => {
        melt = resolve;
      });
      ice = { melted, melt };
      own.freeze();
    },
    thaw() {
      ice?.melt();
      ice = undefined;
      own.thaw();
    },
  };
  let whole: Process | undefined;
  const self = (): Process => {
    if (!whole) throw new TypeError('a port was called before its process was open');
    return whole;
  };
  let desk: Desk | undefined;
  desk = await openDesk({
    home,
    workflows: [workflow],
    contracts,
    toJsonSchema,
    log: createLog({ level: 'silent', scrubber }),
    scrubber,
    readVariable: (name) => `made up for ${name}`,
    clock: own.clock,
    wrapStore(store) {
      inner = {
        ...store,
        claimDue: (due) => {
          worker = due.worker;
          return store.claimDue(due);
        },
      };
      const damaged = damage.store?.(inner) ?? inner;
      return watchedStore(damaged, gate, watch, () => whole);
    },
    hands: () => {
      const hands = fakeHands(contracts, gate, watch, self);
      return damage.hands?.(hands) ?? hands;
    },
  });
  if (!inner) throw new TypeError('the desk opened no store');
  whole = { ...process, desk, store: inner };
  desk.worker.start();
  return whole;
}

function watchedStore(store: Store, gate: () => Promise<void>, watch: Watch, self: () => Process | undefined): Store {
  const watched = Object.fromEntries(
    Object.entries(store).map(([method, call]) => [
      method,
      async (...args: unknown[]) => {
        await gate();
        watch.calls();
        const process = self();
        if (process) watch.hooks.store?.({ process, method, args, when: 'before' });
        await gate();
        const result = await watch
          .during(() => (call as (...all: unknown[]) => Promise<unknown>)(...args))
          .catch(async (error: unknown) => {
            await gate(); // a dead process hears no error either
            throw error;
          }); // every member of the port is a method
        if (process) watch.hooks.store?.({ process, method, args, when: 'after', result });
        await gate();
        return result;
      },
    ]),
  );
  return watched as unknown as Store; // the same methods under the same names
}

/** Handlers made from the contracts alone; what a call does is the case's affair. */
function fakeHands(contracts: Record<string, ContractLike>, gate: () => Promise<void>, watch: Watch, self: () => Process): Hands {
  const aboutOf = (name: string): ContractLike => {
    const contract = contracts[name];
    if (!contract) throw new TypeError(`no contract ${name}`);
    return contract;
  };
  const abilities = (name: string) => {
    const { readOnly, local, pointOfNoReturn } = aboutOf(name);
    const writesOutside = !readOnly && !local;
    return { prepare: writesOutside, probe: writesOutside, undo: writesOutside && !pointOfNoReturn, mayUndo: false };
  };
  return {
    has: (name) => name in contracts,
    abilities,
    bind(name, site) {
      const call = (part: Part) => async (): Promise<unknown> => {
        await gate();
        watch.calls();
        const answer = await watch.hooks.hand({ process: self(), part, contract: aboutOf(name), site });
        await gate();
        return answer;
      };
      const can = abilities(name);
      const handler = {
        run: call('run'),
        ...(can.prepare ? { prepare: call('prepare') } : {}),
        ...(can.probe ? { probe: call('probe') } : {}),
        ...(can.undo ? { undo: call('undo') } : {}),
      };
      return { handler: handler as BoundHandler, staged: () => ({ secrets: [], artifacts: [], targets: [] }) }; // the parts answer as their names say
    },
  };
}
