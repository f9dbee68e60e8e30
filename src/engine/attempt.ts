/**
 * One claimed effect, from doubt to an answer (engine.md E1-E3, E5, E7, B2d). Invariants:
 * 1. A mutating `run` or `undo` starts only after `launch` was committed under our token.
 * 2. What is in doubt is probed before anything else happens to it.
 * 3. Whatever happens ends in exactly one of settle or release; a lost token ends in silence.
 */
import { AppError, type ErrorRecord, toRecord } from '../errors.ts';
import type { Catalog } from './catalog.ts';
import { cancelChild } from './children.ts';
import { afterError, afterProbe, afterUndoProbe, type Decision, isMutating, needsProbe, type Situation, timeoutOf } from './decide.ts';
import type { BoundHandler, ContractLike, Hands, ProbeAnswer } from './hands-port.ts';
import { placeOf } from './place.ts';
import type { Clock, EffectRow, LocalWrites, Log, Outside, Store, Vault } from './ports.ts';
import { type Pulse, startPulse } from './pulse.ts';
import type { Settlement } from './settle.ts';

export type AttemptDeps = {
  store: Store;
  vault: Vault;
  hands: Hands;
  catalog: Catalog;
  clock: Clock;
  log: Log;
  settle: (row: EffectRow, token: string, settlement: Settlement) => Promise<void>;
};

type Call = {
  /** As claimed; the attempt is counted up when a launch counts one. */ row: EffectRow;
  token: string;
  contract: ContractLike;
  handler: BoundHandler;
  staged: () => LocalWrites;
  pulse: Pulse;
};

/** Carries one claimed row as far as it goes now; never throws. `shutdown` makes it give the row back (L1). */
export async function attempt(deps: AttemptDeps, row: EffectRow, shutdown: AbortSignal): Promise<void> {
  const token = row.token ?? '';
  const contract = deps.catalog.contract(row.contract);
  if (contract.child !== undefined) return attemptChild(deps, row, contract);
  const pulse = startPulse(deps, row, token, shutdown);
  const { handler, staged } = deps.hands.bind(row.contract, {
    key: row.kind === 'undo' ? (row.undoOf ?? row.key) : row.key,
    runId: row.runId,
    traceId: row.traceId,
    attempt: row.attempt,
    signal: pulse.signal,
    progress: pulse.progress,
  });
  const call: Call = { row, token, contract, handler, staged, pulse };
  deps.log.debug({ ...placeOf(row), contract: row.contract, attempt: row.attempt }, 'an effect is taken up');
  try {
    const decision = await decide(deps, call);
    deps.log.debug({ ...placeOf(row), decision: decision.do }, 'an effect has its answer');
    await writtenDown(deps, call, decision, shutdown);
  } finally {
    pulse.end();
  }
}

/** A child run carries its effect out by itself; a claim means that its input was not right, or that the parent let go of it (E12). */
async function attemptChild(deps: AttemptDeps, row: EffectRow, contract: ContractLike): Promise<void> {
  const token = row.token ?? '';
  try {
    if (row.status !== 'cancelling') {
      const input = contract.input.safeParse(row.input);
      const issues = input.success ? [] : input.error.issues;
      return await deps.settle(row, token, {
        status: 'failed',
        outside: 'absent',
        error: badShape('INPUT_INVALID', contract, 'input', issues),
      });
    }
    const child = await cancelChild(deps, row.key);
    if (child.open === 0) return await deps.settle(row, token, { status: 'cancelled', outside: child.outside });
    await deps.store.release(row.key, token, { notBefore: deps.clock.now() + childMs });
  } catch (error) {
    deps.log.error({ ...placeOf(row), error: toRecord(error) }, 'a child run could not be let go of');
    await deps.store.release(row.key, token, { notBefore: deps.clock.now() + unwrittenMs }).catch(() => false);
  }
}

const childMs = 200;

/** What our own store or a fault of ours throws says nothing about the outside: the row goes back as it is known. */
async function decide(deps: AttemptDeps, call: Call): Promise<Decision> {
  const { row, contract, pulse } = call;
  try {
    return row.kind === 'undo' ? await attemptUndo(deps, call) : await attemptDo(deps, call);
  } catch (error) {
    deps.log.error({ ...placeOf(row), error: toRecord(error) }, 'an attempt ended in our own fault');
    const outside: Outside = pulse.launchedAt() !== null && isMutating(contract) ? 'maybe' : row.outside;
    return { do: 'again', notBefore: deps.clock.now() + unwrittenMs, outside };
  }
}

const unwrittenMs = 1_000;

/** A store that is busy or full for a while must not leave the row with a living owner who forgot it: tried until it is written. */
async function writtenDown(deps: AttemptDeps, call: Call, decision: Decision, shutdown: AbortSignal): Promise<void> {
  while (!call.pulse.lost()) {
    try {
      return await carryOut(deps, call, decision);
    } catch (error) {
      const record = toRecord(error);
      deps.log.error({ ...placeOf(call.row), error: record }, 'an answer could not be written down');
      if (shutdown.aborted) return;
      if (record.retry !== 'later') return askInstead(deps, call, record);
      await deps.clock.wait(unwrittenMs, shutdown);
    }
  }
}

/** A fault that will not mend itself needs a person; where not even that can be written, whoever comes next takes the row over. */
async function askInstead(deps: AttemptDeps, { row, token, contract, pulse }: Call, record: ErrorRecord): Promise<void> {
  const outside: Outside = pulse.launchedAt() !== null && isMutating(contract) ? 'maybe' : row.outside;
  try {
    await deps.store.release(row.key, token, { attention: { ...record, retry: 'ask' }, error: record, outside });
  } catch (error) {
    deps.log.error({ ...placeOf(row), error: toRecord(error) }, 'not even the fault could be written down');
  }
}

async function attemptDo(deps: AttemptDeps, call: Call): Promise<Decision> {
  await doubtAfterGoingBack(deps, call);
  const { row, contract, handler } = call;
  const draining = row.status === 'cancelling';
  if (draining && row.outside !== 'maybe') return { do: 'cancel', outside: row.outside };
  if (draining && !(handler.probe && isMutating(contract))) return { do: 'cancel', outside: isMutating(contract) ? 'maybe' : row.outside };
  const input = contract.input.safeParse(row.input);
  if (!input.success) return { do: 'fail', error: badShape('INPUT_INVALID', contract, 'input', input.error.issues), outside: row.outside };
  const before = row.hasBefore ? await readBefore(deps, row.key) : undefined;
  let next: Decision = { do: 'run' };
  if (needsProbe(row, contract, handler.probe !== undefined)) next = await probeOnce(deps, call, input.data, before);
  else if (row.failing) next = { do: 'fail', error: row.failing, outside: row.outside };
  if (next.do === 'undo_then_run') next = await undoPartial(call, input.data, before);
  return next.do === 'run' ? runOnce(deps, call, input.data, before) : next;
}

/** A ledger that went back may not know what it launched: the first look at such an effect is a probe (E2). */
async function doubtAfterGoingBack(deps: AttemptDeps, call: Call): Promise<void> {
  const { row, contract, handler } = call;
  if (row.outside !== 'untouched' || !isMutating(contract) || !handler.probe) return;
  const at = await deps.store.wentBackAt(row.runId);
  if (at !== undefined) call.row = { ...row, outside: 'maybe', lastSignAt: at };
}

async function readBefore(deps: AttemptDeps, key: string): Promise<unknown> {
  const bytes = await deps.store.before(key);
  return bytes ? deps.vault.unseal(`before:${key}`, bytes) : undefined;
}

async function runOnce(deps: AttemptDeps, call: Call, input: unknown, known: unknown): Promise<Decision> {
  const { row, contract, handler, pulse } = call;
  const situation = () => situationOf(deps, call);
  let before = known;
  try {
    if (handler.prepare && !row.hasBefore) before = await pulse.within(timeoutOf(contract), handler.prepare(input));
  } catch (error) {
    // Preparing only reads: whatever went wrong, nothing of this attempt is outside (E1).
    return afterError({ ...situation(), row: { ...row, outside: 'absent' } }, asReadFailure(error));
  }
  if (isMutating(contract)) {
    const sealed = before !== undefined && !row.hasBefore ? await deps.vault.seal(`before:${row.key}`, before) : undefined;
    if (!(await launch(deps, call, sealed))) return { do: 'cancel', outside: row.outside };
  }
  try {
    const output = await pulse.within(timeoutOf(contract), handler.run(input, before));
    await note(deps, call, 'run', 'done');
    return { do: 'done', output };
  } catch (error) {
    await note(deps, call, 'run', toRecord(error).code);
    if (pulse.stoppedBy() !== undefined) return giveBack(deps, call);
    return afterError(situation(), error);
  }
}

/** Doubt begins here, under our token, before anything goes out (E1). False: the row is somebody else's now. */
async function launch(deps: AttemptDeps, call: Call, before?: Uint8Array): Promise<boolean> {
  const { row, token, pulse } = call;
  const count = row.outside === 'maybe'; // a claim in doubt counted no attempt
  const ours = await deps.store.launch(row.key, token, deps.clock.now(), { count, ...(before ? { before } : {}) });
  if (!ours) pulse.markLost();
  else pulse.launched();
  if (ours && count) call.row = { ...row, attempt: row.attempt + 1 };
  return ours;
}

function asReadFailure(error: unknown): AppError {
  if (!(error instanceof AppError)) return new AppError('INTERNAL', { message: toRecord(error).message, applied: 'no', cause: error });
  const { code, message, fix, retry, details } = error;
  return new AppError(code, {
    message,
    retry,
    applied: 'no',
    cause: error,
    ...(fix === undefined ? {} : { fix }),
    ...(details === undefined ? {} : { details }),
  });
}

/** Stopped or shut down: the row goes back in doubt, to be probed by whoever drains or resumes it (E7, L1). */
function giveBack(deps: AttemptDeps, call: Call): Decision {
  const outside: Outside = isMutating(call.contract) ? 'maybe' : call.row.outside;
  if (call.pulse.stoppedBy() === 'stop' && !isMutating(call.contract)) return { do: 'cancel', outside };
  return { do: 'again', notBefore: deps.clock.now(), outside };
}

async function probeOnce(deps: AttemptDeps, call: Call, input: unknown, before: unknown): Promise<Decision> {
  const { contract, handler, pulse } = call;
  let answer: ProbeAnswer;
  try {
    answer = handler.probe
      ? await pulse.within(timeoutOf(contract), handler.probe(input, before))
      : { state: 'unknown', say: 'there is no probe.' };
  } catch (error) {
    if (pulse.stoppedBy() === 'shutdown') return { do: 'again', notBefore: deps.clock.now(), outside: 'maybe' };
    answer = { state: 'unknown', say: toRecord(error).message };
  }
  await note(deps, call, 'probe', answer.state);
  return call.row.kind === 'undo' ? afterUndoProbe(situationOf(deps, call), answer) : afterProbe(situationOf(deps, call), answer);
}

async function undoPartial(call: Call, input: unknown, before: unknown): Promise<Decision> {
  const { contract, handler, pulse, row } = call;
  if (!handler.undo) throw new TypeError(`${contract.name} says undo_then_run without undo`);
  await pulse.within(timeoutOf(contract), handler.undo(input, before, undefined));
  return row.failing ? { do: 'fail', error: row.failing, outside: 'absent' } : { do: 'run' };
}

async function attemptUndo(deps: AttemptDeps, call: Call): Promise<Decision> {
  const { row, contract, handler, pulse } = call;
  const done = await deps.store.effect(row.undoOf ?? '');
  if (!done) throw new TypeError(`${row.key} undoes nothing that is known`);
  const before = done.hasBefore ? await readBefore(deps, done.key) : undefined;
  const next: Decision = handler.probe ? await probeOnce(deps, call, done.input, before) : { do: 'undo' };
  if (next.do !== 'undo') return next;
  if (!handler.undo) return { do: 'ask', error: noUndo(contract, row), outside: 'maybe' };
  if (!(await launch(deps, call))) return next;
  try {
    await pulse.within(timeoutOf(contract), handler.undo(done.input, before, done.output ?? undefined));
    await note(deps, call, 'undo', 'done');
    return { do: 'done', output: undefined };
  } catch (error) {
    await note(deps, call, 'undo', toRecord(error).code);
    if (pulse.stoppedBy() !== undefined) return { do: 'again', notBefore: deps.clock.now(), outside: 'maybe' };
    return afterError(situationOf(deps, call), error);
  }
}

/** Writes the decision down under our token. */
async function carryOut(deps: AttemptDeps, call: Call, decision: Decision): Promise<void> {
  const { row, token, contract, staged, pulse } = call;
  switch (decision.do) {
    case 'done': {
      if (row.kind === 'undo') return deps.settle(row, token, { status: 'done', outside: 'undone', output: undefined, writes: staged() });
      const output = contract.output.safeParse(decision.output);
      if (output.success)
        return deps.settle(row, token, {
          status: 'done',
          outside: isMutating(contract) ? 'applied' : row.outside,
          output: output.data,
          writes: staged(),
        });
      const error = badShape('OUTPUT_INVALID', contract, 'output', output.error.issues);
      await deps.store.release(row.key, token, { attention: error, error, outside: isMutating(contract) ? 'maybe' : row.outside });
      return;
    }
    case 'fail':
      return deps.settle(row, token, { status: 'failed', outside: decision.outside, error: decision.error });
    case 'cancel':
      return deps.settle(row, token, { status: 'cancelled', outside: decision.outside });
    case 'again':
      await deps.store.release(row.key, token, {
        notBefore: decision.notBefore,
        outside: decision.outside,
        probed: pulse.launchedAt() === null,
        ...(decision.failing ? { failing: decision.failing } : {}),
        ...(decision.error ? { error: decision.error } : {}),
        ...(decision.signAt === undefined ? {} : { lastSignAt: decision.signAt }),
        ...(pulse.launchedAt() === null ? {} : { lastSignAt: deps.clock.now() }),
      });
      return;
    case 'ask':
      await deps.store.release(row.key, token, { attention: decision.error, error: decision.error, outside: decision.outside });
      return;
    case 'run':
    case 'undo':
    case 'undo_then_run':
      throw new TypeError(`the decision ${decision.do} was not carried out`);
    default:
      decision satisfies never;
  }
}

function situationOf(deps: AttemptDeps, call: Call): Situation {
  return { row: call.row, contract: call.contract, now: deps.clock.now(), random: deps.clock.random() };
}

async function note(deps: AttemptDeps, call: Call, step: 'run' | 'probe' | 'undo', result: string): Promise<void> {
  if (!isMutating(call.contract)) return;
  await deps.store.noteAttempt({ key: call.row.key, n: call.row.attempt, step, result, at: deps.clock.now() });
}

function badShape(
  code: string,
  contract: ContractLike,
  side: string,
  issues: readonly { path: readonly PropertyKey[]; message: string }[],
) {
  const what = issues.map((issue) => `${issue.path.map(String).join('.') || side} ${issue.message}`).join('; ');
  return toRecord(
    new AppError(code, {
      message: `The ${side} of "${contract.title}" has the wrong shape: ${what.slice(0, 300)}.`,
      retry: 'ask',
      fix: 'Report this fault; the run keeps its place.',
    }),
  );
}

function noUndo(contract: ContractLike, row: EffectRow) {
  return toRecord(
    new AppError('UNDO_MISSING', {
      message: `"${contract.title}" cannot be taken back by Capstan.`,
      fix: `Take it back by hand, then: capstan runs resolve ${row.runId} --effect ${row.key} --as undone.`,
      retry: 'ask',
    }),
  );
}
