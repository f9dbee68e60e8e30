/**
 * The fault matrix (design §10.1): every path, crashed at every kind of moment, against an outside world that counts. Invariants:
 * 1. Each way of entering and leaving an effect is crashed by each kind that fits it; beyond that every path meets every kind at one of
 *    its effects, in turn. The same beginning is not crashed twice by one kind.
 * 2. A crash that was never reached is a difference, and so is a cell that no case fills.
 * 3. Every rollback from a place where a run can rest goes to the checkpoint before it, to the first one and to the start.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContractLike } from '../engine/hands-port.ts';
import { crashKinds, type Kind, rollbackKinds, undoKinds } from './crash-kinds.ts';
import { differencesOf } from './judge.ts';
import { type Path, type PathOptions, type PathReport, pathsOf, plainOutcome } from './paths.ts';
import { quickContracts, quickTimings, type Timings } from './quick-contracts.ts';
import { playRollback, rollbacksOf } from './rollback-case.ts';
import { type Route, routeAlong, toRest } from './route.ts';
import { type Entry, expectedOf, placeAt, type Script, scriptOf, writes } from './script.ts';
import type { Damage } from './stage.ts';
import { createTheatre, sayError, type Theatre } from './theatre.ts';
import { exhaustedRecord, type Happening, stateOf } from './walk.ts';

export type MatrixOptions = PathOptions & {
  /** Waits of the contracts' copies that are played; default: settled after 400 ms, timed out after 2 s, given up after 20 s. */
  timings?: Timings;
  /** The paths of this very workflow where they are known already, as `matrixPaths` makes them. */
  paths?: PathReport;
  /** Only every `of`th path, from the `part`th on: for several processes. */
  share?: { part: number; of: number };
  /** Stops after this many differences; default 50. */
  stopAfter?: number;
  /** Deliberate damage to the ports, for proving that the matrix notices. */
  damage?: (contracts: Record<string, ContractLike>) => { contracts?: Record<string, ContractLike>; ports?: Damage };
};

export type Cell = { row: string; column: string; cases: number; differences: number };

export type MatrixReport = {
  workflow: string;
  paths: PathReport;
  cases: number;
  /** Case and what differed, one sentence each. */
  differences: string[];
  cells: Cell[];
  /** Cells that should hold a case and hold none: `effect × kind`. Of one share alone they say nothing; `mergeReports` counts again. */
  empty: string[];
};

/** The paths that a matrix plays: for several processes that share one matrix, so that each need not search again. */
export function matrixPaths(options: MatrixOptions): PathReport {
  const quick = quickContracts(options.contracts, options.timings ?? quickTimings);
  return pathsOf({ ...options, contracts: options.damage?.(quick).contracts ?? quick });
}

/** Runs the real engine on a real home for every case; two to ten milliseconds a step. Throws what opening a home throws. */
export async function faultMatrix(options: MatrixOptions): Promise<MatrixReport> {
  const { workflow, share = { part: 1, of: 1 }, stopAfter = 50 } = options;
  const timings = options.timings ?? quickTimings;
  const quick = quickContracts(options.contracts, timings);
  const damaged = options.damage?.(quick) ?? {};
  const contracts = damaged.contracts ?? quick;
  const paths = options.paths ?? matrixPaths(options);
  const board = createBoard();
  const crashed = new Set<string>();
  for (const [index, path] of paths.paths.entries()) {
    const all = jobsOf(options, contracts, path, crashed); // the same in every share, so that no beginning is crashed in two
    const jobs = all.filter((_, number) => (number + index) % share.of === share.part - 1);
    if (board.differences.length >= stopAfter) continue;
    const open = () => openTheatre(options, contracts, timings, damaged.ports);
    let theatre = open();
    try {
      for (const [number, job] of jobs.entries()) {
        if (board.differences.length >= stopAfter) break;
        const clean = await board.run(`${path.name} · ${number}`, theatre, job);
        if (clean && number % 30 !== 29) continue;
        theatre.close(); // after a difference the home may hold anything, and a small one is a fast one
        theatre = open();
      }
    } finally {
      theatre.close();
    }
  }
  return {
    workflow: workflow.name,
    paths,
    cases: board.cases(),
    differences: board.differences,
    cells: board.cells(),
    empty: emptyCells(board.cells(), expectedCells(contracts, paths)),
  };
}

/** A theatre with a home of its own, which goes with it. */
function openTheatre(
  { workflow }: MatrixOptions,
  contracts: Record<string, ContractLike>,
  { settleMs }: Timings,
  damage: Damage | undefined,
): Theatre {
  const home = mkdtempSync(join(fastFolder(), 'capstan-faults-'));
  const theatre = createTheatre({ home, workflow, contracts, lateMs: settleMs / 2, ...(damage ? { damage } : {}) });
  return {
    ...theatre,
    close() {
      theatre.close();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

export type Job = { row: string; column: string; say: string; play: (theatre: Theatre, name: string) => Promise<string[]> };

/** Everything that is to be tried on one path: uncrashed, every crash of every entry that is new, every rollback from its end. */
function jobsOf(options: MatrixOptions, contracts: Record<string, ContractLike>, path: Path, crashed: Set<string>): Job[] {
  const { workflow } = options;
  const route = routeAlong(workflow.machine, path.input, path.steps);
  if (!route) throw new TypeError(`the path ${path.name} cannot be walked`);
  const script = scriptOf(route);
  const whole: Job = {
    row: 'whole run',
    column: 'no crash',
    say: 'no crash',
    play: (theatre, name) => playWhole(theatre, contracts, name, script),
  };
  const entries = [...script.entries.values()].filter(({ answer }) => answer !== 'hangs');
  const crashes = entries
    .filter((entry) => fresh(crashed, momentOf(route, entry)))
    .flatMap((entry) => [
      ...kindsFor(contracts, entry).map((kind) => crashJob(contracts, script, entry, kind)),
      ...exhaustedJobs(options, contracts, route, entry),
    ]);
  const had = new Set(crashes.map(({ column }) => column));
  const rest = crashKinds
    .filter(({ name }) => !had.has(name))
    .flatMap((kind, index) => {
      const fitting = entries.filter((entry) => kindsFor(contracts, entry).includes(kind));
      const turn = fitting[(index + script.route.steps.length) % Math.max(1, fitting.length)]; // another one for each kind and path
      return turn && fresh(crashed, `${beginning(route, turn)} ${kind.name}`) ? [crashJob(contracts, script, turn, kind)] : [];
    });
  return [whole, ...crashes, ...rest, ...rollbackJobs(contracts, script, crashed)];
}

/** Where an effect is entered, what it answers and where that leads. */
function momentOf(route: Route, entry: Entry): string {
  const error = entry.answer !== 'hangs' && 'error' in entry.answer ? entry.answer.error.code : 'done';
  const [from, to] = [placeAt(route, entry.seq), placeAt(route, (entry.step ?? route.steps.length) + 2)];
  return `${stateOf(from)} ${entry.invokeId} ${error} ${stateOf(to)}`;
}

function crashJob(contracts: Record<string, ContractLike>, script: Script, entry: Entry, kind: Kind): Job {
  const play: Job['play'] = (theatre, name) => playCrashed(theatre, contracts, name, script, kind, entry);
  return { row: entry.contract, column: kind.name, say: `${entry.label} ${kind.name}`, play };
}

function kindsFor(contracts: Record<string, ContractLike>, entry: Entry): Kind[] {
  return crashKinds.filter((kind) => {
    if (entry.answer === 'hangs' || (!('done' in entry.answer) && !kind.anyAnswer)) return false;
    return !kind.writesOnly || writes(contracts, entry);
  });
}

async function playWhole(theatre: Theatre, contracts: Record<string, ContractLike>, name: string, script: Script): Promise<string[]> {
  const runId = await theatre.play(name, script, {});
  const found = differencesOf(await theatre.look(runId), theatre.scene.stage.world, expectedOf(script, contracts));
  await theatre.retire(runId);
  return found;
}

async function playCrashed(
  theatre: Theatre,
  contracts: Record<string, ContractLike>,
  name: string,
  script: Script,
  kind: Kind,
  entry: Entry,
): Promise<string[]> {
  const hits = createHits();
  const runId = await theatre.play(name, script, kind.arm(theatre.scene, entry, hits.hit));
  const found = differencesOf(await theatre.look(runId), theatre.scene.stage.world, expectedOf(script, contracts));
  await theatre.retire(runId);
  return hits.count() === 0 ? ['the moment was never reached', ...found] : found;
}

export function createHits() {
  let count = 0;
  return { hit: (times = 1) => ++count <= times, count: () => count };
}

/** Attempts used up: the path turns off at this entry, into the machine's own way for errors. */
function exhaustedJobs(options: MatrixOptions, contracts: Record<string, ContractLike>, route: Route, entry: Entry): Job[] {
  if (entry.answer === 'hangs' || !('done' in entry.answer) || entry.step === undefined) return [];
  const { machine } = options.workflow;
  const error: Happening = { kind: 'outcome', invokeId: entry.invokeId, contract: entry.contract, result: { error: exhaustedRecord } };
  const before = route.steps.slice(0, entry.step).map(({ happening }) => happening);
  const turned = routeAlong(machine, route.input, [...before, error]);
  if (!turned) throw new TypeError(`${entry.label} has no way for errors`);
  const script = scriptOf(toRest(machine, plainOutcome(options), turned, route.steps.length + 40));
  return [
    {
      row: entry.contract,
      column: 'exhausted',
      say: `${entry.label} exhausted`,
      play: (theatre, name) => playWhole(theatre, contracts, name, script),
    },
  ];
}

function rollbackJobs(contracts: Record<string, ContractLike>, script: Script, crashed: Set<string>): Job[] {
  return rollbacksOf(script, contracts).flatMap((back) => {
    const jobs: Job[] = [];
    const at = `${back.from} back to ${back.name}`;
    const shape = `${at} ${back.undone.map(({ contract }) => contract).join()}`;
    const play = (kind: Kind | undefined, entry: Entry | undefined) => (theatre: Theatre, name: string) =>
      playRollback(theatre, contracts, name, script, back, kind, entry);
    if (fresh(crashed, shape)) {
      jobs.push({ row: 'whole rollback', column: 'no crash', say: at, play: play(undefined, undefined) });
      if (back.refused) return jobs;
      for (const kind of rollbackKinds)
        jobs.push({ row: 'whole rollback', column: kind.name, say: `${at}, ${kind.name}`, play: play(kind, back.undone[0]) });
    }
    if (back.refused) return jobs;
    for (const entry of back.undone)
      for (const kind of undoKinds) {
        if (!fresh(crashed, `${at} ${entry.contract} ${kind.name}`)) continue;
        jobs.push({
          row: `undo ${entry.contract}`,
          column: kind.name,
          say: `${at}, undo of ${entry.label} ${kind.name}`,
          play: play(kind, entry),
        });
      }
    return jobs;
  });
}

function fresh(seen: Set<string>, what: string): boolean {
  if (seen.has(what)) return false;
  seen.add(what);
  return true;
}

/** All that has happened up to the answer of an entry. */
function beginning(route: Route, entry: Entry): string {
  const until = entry.step === undefined ? route.steps.length : entry.step + 1;
  return JSON.stringify([route.input, ...route.steps.slice(0, until).map(({ happening }) => happening)]);
}

function createBoard() {
  const cells = new Map<string, Cell>();
  const differences: string[] = [];
  let cases = 0;
  return {
    differences,
    cases: () => cases,
    cells: () => [...cells.values()],
    async run(name: string, theatre: Theatre, job: Job): Promise<boolean> {
      const found = await job.play(theatre, name).catch((error: unknown) => [sayError(error)]);
      cases++;
      const cell = cells.get(`${job.row} ${job.column}`) ?? { row: job.row, column: job.column, cases: 0, differences: 0 };
      cells.set(`${job.row} ${job.column}`, { ...cell, cases: cell.cases + 1, differences: cell.differences + (found.length > 0 ? 1 : 0) });
      if (found.length > 0) differences.push(`${name} (${job.row}; ${job.say}): ${found.join('; ')}`);
      return found.length === 0;
    },
  };
}

/** The cells that must be filled: every effect that some path carries out, by every kind that fits it. */
function expectedCells(contracts: Record<string, ContractLike>, { paths }: PathReport): { row: string; column: string }[] {
  const used = new Set(
    paths.flatMap(({ steps }) => steps.flatMap((step) => (step.kind === 'outcome' && 'done' in step.result ? [step.contract] : []))),
  );
  return [...used].flatMap((contract) => {
    const writing = writes(contracts, { contract });
    const kinds = crashKinds.filter((kind) => writing || !kind.writesOnly).map(({ name }) => name);
    const crash = [...kinds, 'exhausted'].map((column) => ({ row: contract, column }));
    const undoable = writing && !contracts[contract]?.pointOfNoReturn;
    return [...crash, ...(undoable ? undoKinds.map(({ name }) => ({ row: `undo ${contract}`, column: name })) : [])];
  });
}

function emptyCells(cells: readonly Cell[], expected: readonly { row: string; column: string }[]): string[] {
  const filled = new Set(cells.filter((cell) => cell.cases > 0).map(({ row, column }) => `${row} × ${column}`));
  return expected.map(({ row, column }) => `${row} × ${column}`).filter((cell) => !filled.has(cell));
}

/** The shares of one matrix as one report. Throws TypeError when they are of different workflows. */
export function mergeReports(parts: readonly MatrixReport[]): MatrixReport {
  const [first] = parts;
  if (!first || parts.some(({ workflow }) => workflow !== first.workflow)) throw new TypeError('these are not shares of one matrix');
  const cells = new Map<string, Cell>();
  for (const cell of parts.flatMap((part) => part.cells)) {
    const key = `${cell.row} ${cell.column}`;
    const known = cells.get(key);
    cells.set(key, known ? { ...cell, cases: known.cases + cell.cases, differences: known.differences + cell.differences } : cell);
  }
  return {
    ...first,
    cases: parts.reduce((sum, part) => sum + part.cases, 0),
    differences: parts.flatMap((part) => part.differences),
    cells: [...cells.values()],
    empty: first.empty.filter((cell) => parts.every((part) => part.empty.includes(cell))),
  };
}

/** A folder in memory where the system has one: a crash of the process needs no disk to be survived. */
function fastFolder(): string {
  const memory = '/dev/shm';
  return statSync(memory, { throwIfNoEntry: false })?.isDirectory() ? memory : tmpdir();
}
