/**
 * A real process that leads one run of any workflow with the whole product in it, and kills itself at a named point.
 * One JSON object in CAPSTAN_TEST_TASK says what to do; the last line printed is the end it came to.
 */
import { contracts } from '../../machines/effects/registry.ts';
import { workflows } from '../../machines/registry.ts';
import type { ContractLike } from '../../src/engine/hands-port.ts';
import type { RunView } from '../../src/engine/view.ts';
import { AppError } from '../../src/errors.ts';
import { openHouse } from '../../src/house.ts';
import { createLog } from '../../src/log.ts';
import { createScrubber } from '../../src/scrub.ts';
import { dieAt, dieOnceEach } from './kill-points.ts';

export type WorkflowTask = {
  home: string;
  workflow: string;
  /** Name of the run. */
  name: string;
  input: Record<string, unknown>;
  /** State to the event that answers it there. */
  answers: Record<string, [event: string, payload?: Record<string, unknown>]>;
  /** The same for states that tell an error. */
  onError?: WorkflowTask['answers'];
  /** The state that it is led to. */
  until: string;
  /** It counts as reached only with an error of this code. */
  error?: string;
  /** From this state it is taken back to that checkpoint, once, and led no further. */
  back?: { from: string; to: string | 0 };
  /** How long an effect in doubt is asked about; default: as its contract says. */
  deadlineMs?: number;
  /** Dies at this point of this effect. */
  point?: string;
  effect?: string;
  /** Dies once at each effect, by this file of marks. */
  marks?: string;
};

export type WorkflowEnd = {
  runId: string;
  state: string;
  status: string;
  error?: string;
  seqs: number[];
  open: number;
  /** Invoke ids in the order in which they were begun, and of those whose undo is done. */
  begun: string[];
  undone: string[];
};

/** Only what was refused or never arrived waits for this long: the sandbox answers within milliseconds. */
const settleMs = 1_500;
const me = { principal: 'tester', door: 'test' };
const person = { principal: 'person', level: 'terminal' as const, door: 'test' };

// The test that starts this program wrote the task in this shape.
const task = JSON.parse(process.env['CAPSTAN_TEST_TASK'] ?? '{}') as WorkflowTask;
const quickContracts: Record<string, ContractLike> = Object.fromEntries(
  Object.entries(contracts).map(([name, contract]: [string, ContractLike]) => [
    name,
    contract.readOnly || contract.local ? contract : { ...contract, settleMs, ...(task.deadlineMs ? { deadlineMs: task.deadlineMs } : {}) },
  ]),
);

const scrubber = createScrubber();
const desk = await openHouse({
  home: task.home,
  book: { workflows: Object.values(workflows), contracts: quickContracts, handlers: {} },
  log: createLog({ level: process.env['CAPSTAN_TEST_LOG'] ?? 'silent', scrubber }),
  scrubber,
  patience: { healthTimeoutMs: 30_000 },
  wrapStore: task.marks === undefined ? dieAt(task.point, task.effect) : dieOnceEach(task.marks),
});
const { engine, store } = desk;
desk.worker.start();

const { runId } = await engine.start({ workflow: task.workflow, name: task.name, input: task.input, requestKey: `start ${task.name}` }, me);

async function approved(ask: () => Promise<unknown>): Promise<void> {
  try {
    await ask();
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'APPROVAL_REQUIRED')) throw error;
    const request = (await engine.pendingApprovals(runId)).at(-1);
    if (!request) throw error;
    await engine.approve(request.id, person);
  }
}

async function lead(): Promise<RunView> {
  for (let steps = 0; steps < 40; steps++) {
    // A starved machine takes its time; what really hangs is told before the test runs out.
    const view = await engine.waitFor(runId, { waitMs: 240_000 });
    const wentBack = (await engine.timeline(runId, { after: 0, limit: 500 })).some((event) => event.type === 'capstan.rolled_back');
    const { back, until, error } = task;
    const answer = (view.error ? task.onError : task.answers)?.[view.state];
    const reached = view.state === until && view.error?.code === error;
    const turns = back !== undefined && !wentBack && view.state === back.from;
    if (!turns && (view.status !== 'waiting' || (back ? wentBack : reached))) return view;
    if (turns) await approved(() => engine.rollback({ run: runId, to: back.to }, me));
    else if (answer) await approved(() => engine.advance({ run: runId, event: answer[0], payload: answer[1] ?? {} }, me));
    else return view;
  }
  throw new Error(`the run ${task.name} goes round in circles`);
}

const view = await lead();
const rows = await store.effects(runId);
const end: WorkflowEnd = {
  runId,
  state: view.state,
  status: view.status,
  ...(view.error ? { error: `${view.error.code}: ${view.error.message}` } : {}),
  seqs: (await engine.timeline(runId, { after: 0, limit: 500 })).map((event) => event.seq),
  open: rows.filter((row) => ['intent', 'running', 'cancelling'].includes(row.status)).length,
  begun: rows.filter((row) => row.kind === 'do').map((row) => row.invokeId),
  undone: rows.filter((row) => row.kind === 'undo' && row.status === 'done').map((row) => row.invokeId),
};
process.stdout.write(`${JSON.stringify(end)}\n`);
await desk.worker.stop(1_500);
desk.close();
process.exit(0);
