/** From a planned step to the change that one commit writes (engine.md P4, C1, T1, T2). Pure. */

import type { ErrorRecord } from '../errors.ts';
import type { Definition } from './catalog.ts';
import { contextOf, describe } from './describe.ts';
import type { ContractLike } from './hands-port.ts';
import type { Step } from './plan.ts';
import type { Change, EventRow, NewEffect, RunRow } from './ports.ts';

type Cause = Pick<EventRow, 'type' | 'payload' | 'source' | 'principal' | 'effectKey'>;

export function effectKey(runId: string, entrySeq: number, invokeId: string): string {
  return `${runId}:${entrySeq}:${invokeId}`;
}

/** The change of an accepted step; `expect` is the version it was planned on. */
export function changeOf(args: {
  runId: string;
  expect: number | 'new';
  at: number;
  cause: Cause;
  step: Step;
  definition: Definition;
  contractOf: (name: string) => ContractLike;
}): Change {
  const { runId, expect, at, cause, step, definition, contractOf } = args;
  const seq = expect === 'new' ? 1 : expect + 1;
  const shape = describe(step.snapshot);
  const ended = step.snapshot.status === 'done';
  const open: NewEffect[] = [];
  const stop: string[] = [];
  const arm: NonNullable<Change['arm']> = [];
  const disarm: string[] = [];
  for (const operation of step.operations) {
    switch (operation.op) {
      case 'start':
        open.push({
          key: effectKey(runId, seq, operation.invokeId),
          kind: 'do',
          undoOf: null,
          entrySeq: seq,
          invokeId: operation.invokeId,
          contract: operation.contract,
          input: operation.input,
          locks: locksOf(contractOf(operation.contract), operation.input),
        });
        break;
      case 'stop':
        stop.push(operation.invokeId);
        break;
      case 'arm':
        arm.push({ timerId: operation.timerId, dueAt: at + operation.delayMs, event: operation.event });
        break;
      case 'disarm':
        disarm.push(operation.timerId);
        break;
      default:
        operation satisfies never;
    }
  }
  return {
    runId,
    expect,
    at,
    event: { ...cause, delivered: true },
    run: {
      phase: ended ? (shape.outcome ?? 'done') : 'active',
      state: shape.state,
      snapshot: step.persisted,
      attention: null,
      ...(ended ? { output: step.snapshot.output ?? null, error: endError(step) } : {}),
    },
    stop: ended ? '*' : stop,
    open,
    disarm: ended ? '*' : disarm,
    arm: ended ? [] : arm,
    ...(ended || shape.releases ? { releases: true as const } : {}),
    ...(shape.checkpoint && !ended ? { checkpoint: checkpointOf(shape.checkpoint, shape.state, step.persisted, definition.hash) } : {}),
  };
}

/** The names that an effect excludes other runs from, sorted; none while its input is not right. */
export function locksOf(contract: ContractLike, input: unknown): string[] {
  const parsed = contract.input.safeParse(input);
  return parsed.success && contract.locks ? [...new Set(contract.locks(parsed.data))].sort() : [];
}

/** A checkpoint that a run resting in this snapshot deserves, if any (T2). */
export function checkpointFor(run: RunRow, shape: { checkpoint: string | undefined; state: string }): Change['checkpoint'] {
  if (run.phase !== 'active' || shape.checkpoint === undefined) return undefined;
  return checkpointOf(shape.checkpoint, shape.state, run.snapshot, run.definitionHash);
}

function checkpointOf(name: string, state: string, snapshot: unknown, definitionHash: string) {
  return { name, state, snapshot, definitionHash };
}

function endError(step: Step): ErrorRecord | null {
  const error = contextOf(step.snapshot)['error'];
  // Machines keep the last ErrorRecord in context.error by convention (meta.ts); anything else is no error.
  return typeof error === 'object' && error !== null && 'code' in error ? (error as ErrorRecord) : null;
}
