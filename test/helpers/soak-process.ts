/**
 * One of several relay processes on one home: works, and drives random runs by random events until it hears `drain`.
 * Arguments: home, world URL, seed, runs. Prints one JSON object per line (`SoakLine`).
 */
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { systemClock } from '../../src/clock.ts';
import { openDesk } from '../../src/desk.ts';
import type { ContractLike, Hands } from '../../src/engine/hands-port.ts';
import { AppError } from '../../src/errors.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';
import { createRandom } from './random.ts';
import { relay, relayContracts, relayHands, toJsonSchema } from './relay.ts';

export type SoakLine =
  | { say: 'ready' }
  /** This process's event took the run from this version on. */
  | { say: 'won'; run: string; version: number; event: string }
  | { say: 'refused'; code: string; message: string }
  /** Something that the log calls an error. */
  | { say: 'fault'; text: string }
  /** Longest stop of the event loop, longest time in SQLite and longest wait for its lock within one turn, between two instants. */
  | { say: 'window'; from: number; to: number; loopMs: number; storeMs: number; lockMs: number };

const [home = '', world = '', seed = '0', runs = '0'] = process.argv.slice(2);
const random = createRandom(Number(seed));
const tell = (line: SoakLine) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Patient enough for stopped processes, so that only a kill brings doubt. */
const contracts: Record<string, ContractLike> = Object.fromEntries(
  Object.entries(relayContracts).map(([name, contract]) => [
    name,
    { ...contract, timeoutMs: 10_000, settleMs: 1_000, deadlineMs: 300_000, retry: { attempts: 20, baseMs: 10, maxMs: 200 } },
  ]),
);

/** Time before and after the call, so that a kill hits an effect in every phase. */
function slowly(inner: (tools: Parameters<ReturnType<typeof relayHands>>[0]) => Hands): typeof inner {
  return (tools) => {
    const hands = inner(tools);
    return {
      ...hands,
      bind(contract, site) {
        const { handler, staged } = hands.bind(contract, site);
        const run: typeof handler.run = async (input, before) => {
          await wait(random() * 40);
          const output = await handler.run(input, before);
          await wait(random() * 40);
          return output;
        };
        return { staged, handler: { ...handler, run } };
      },
    };
  };
}

/** Synchronous time in SQLite, and of it the waiting for the write lock, since the event loop last turned; then the longest since the last report. */
const turn = { storeMs: 0, lockMs: 0, starvedBefore: 0 };
const longest = { storeMs: 0, lockMs: 0 };

function measureStore(): void {
  const probe = new Database(':memory:');
  const statements: Record<string, unknown> = Object.getPrototypeOf(probe.prepare('select 1'));
  probe.close();
  for (const name of ['run', 'get', 'all']) {
    const inner = statements[name];
    if (typeof inner !== 'function') throw new TypeError(`better-sqlite3 has no ${name}`);
    statements[name] = function (this: { source: string }, ...args: unknown[]): unknown {
      if (turn.storeMs === 0) {
        setImmediate(turned);
        turn.starvedBefore = starvedMs();
      }
      const began = performance.now();
      try {
        return Reflect.apply(inner, this, args);
      } finally {
        const ms = performance.now() - began;
        turn.storeMs += ms;
        if (this.source.startsWith('BEGIN')) turn.lockMs += ms;
      }
    };
  }
}

function turned(): void {
  const starved = turn.storeMs > longest.storeMs || turn.lockMs > longest.lockMs ? starvedMs() - turn.starvedBefore : 0;
  longest.storeMs = Math.max(longest.storeMs, turn.storeMs - starved);
  longest.lockMs = Math.max(longest.lockMs, turn.lockMs - starved);
  turn.storeMs = 0;
  turn.lockMs = 0;
}

/** Time that the main thread was ready but had no processor (Linux tells it): other people's load is no wait of ours. */
function starvedMs(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

measureStore();
const scrubber = createScrubber();
const desk = await openDesk({
  home,
  workflows: [relay],
  contracts,
  hands: slowly(relayHands(world)),
  toJsonSchema,
  log: createLog({ level: 'warn', scrubber, write: (text) => tell({ say: 'fault', text }) }),
  scrubber,
  readVariable: () => undefined,
});
const { engine } = desk;
desk.worker.start();
tell({ say: 'ready' });

const loop = monitorEventLoopDelay({ resolution: 10 });
loop.enable();
let from = Date.now();
setInterval(() => {
  const to = Date.now();
  tell({ say: 'window', from, to, loopMs: loop.max / 1e6, ...longest });
  loop.reset();
  longest.storeMs = 0;
  longest.lockMs = 0;
  from = to;
}, 250);

let draining = false;
createInterface({ input: process.stdin }).on('line', (text) => {
  draining = true;
  if (text === 'stop') void desk.worker.stop(5_000).then(() => process.exit(0));
});

const me = { principal: `soak-${process.pid}`, door: 'test' };
const person = { principal: me.principal, level: 'terminal' as const, door: 'test' };

/** Half of the time all processes look at the same run, so that they meet there. */
function pick(): string {
  const here = random() < 0.5 ? Math.floor(Date.now() / 100) * 7_919 : Math.floor(random() * Number(runs));
  return `run-${here % Number(runs)}`;
}

async function approveLast(run: string): Promise<boolean> {
  const request = (await engine.pendingApprovals(run)).at(-1);
  if (request) await engine.approve(request.id, person);
  return request?.kind === 'advance';
}

async function act(): Promise<void> {
  const view = await engine.inspect(pick());
  if (view.status !== 'waiting') return;
  const { runId: run, version } = view;
  const send = async (event: string) => {
    await engine.advance({ run, event, expectedVersion: version }, me);
    tell({ say: 'won', run, version, event });
  };
  if (view.state === 'asking' || view.state === 'broken') return send('go');
  if (view.state !== 'resting') return;
  const dice = random();
  if (dice < 0.5) return send('again');
  const asked =
    dice < 0.9 ? engine.rollback({ run, to: 'asking' }, me) : engine.advance({ run, event: 'finish', expectedVersion: version }, me);
  const refusal = await asked.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (refusal === undefined) return; // nothing had to be taken back
  if (!(refusal instanceof AppError && refusal.code === 'APPROVAL_REQUIRED')) throw refusal;
  if (await approveLast(run)) tell({ say: 'won', run, version, event: 'finish' });
}

while (!draining) {
  try {
    await act();
  } catch (error) {
    const code = error instanceof AppError ? error.code : 'no AppError';
    tell({ say: 'refused', code, message: String(error) });
  }
  await systemClock.wait(random() * 20);
}
