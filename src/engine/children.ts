/**
 * Child runs (engine.md E12). Invariants:
 * 1. The parent's commit inserts the child, and the child's last commit writes the parent's outcome: no instant in between.
 * 2. No slot is held meanwhile: the parent's effect is `running` without a worker.
 * 3. A child is taken back through its parent only; stopping the parent's effect cancels the child.
 */
import { AppError, type ErrorRecord } from '../errors.ts';
import type { Catalog } from './catalog.ts';
import { changeOf } from './change.ts';
import type { ContractLike } from './hands-port.ts';
import { begin } from './plan.ts';
import type { Change, Clock, Crypto, EffectRow, NewEffect, RunRow, Store } from './ports.ts';
import type { WorkflowLike } from './registration.ts';

export const maxDepth = 4;

type Deps = { store: Store; catalog: Catalog; crypto: Crypto; clock: Clock };
/** Its name leads the child's name, and its trace goes on in the child (L3). */
type Parent = Pick<RunRow, 'name' | 'traceId'>;

/** Faults of the calls between workflows: an unknown child, a cycle, a chain deeper than four. */
export function childFaults(workflows: readonly WorkflowLike[], contracts: Record<string, ContractLike>): string[] {
  const calls = new Map(workflows.map((workflow) => [workflow.name, childrenOf(workflow, contracts)]));
  const faults: string[] = [];
  const walk = (name: string, path: string[]): void => {
    for (const child of calls.get(name) ?? []) {
      const way = [...path, child].join(' > ');
      if (!calls.has(child)) faults.push(`E12 ${path.join(' > ')}: the child workflow ${child} is not registered`);
      else if (path.includes(child)) faults.push(`E12 ${way}: a workflow may not run itself`);
      else if (path.length >= maxDepth) faults.push(`E12 ${way}: deeper than ${maxDepth}`);
      else walk(child, [...path, child]);
    }
  };
  for (const workflow of workflows) walk(workflow.name, [workflow.name]);
  return [...new Set(faults)];
}

function childrenOf(workflow: WorkflowLike, contracts: Record<string, ContractLike>): string[] {
  return Object.keys(workflow.machine.implementations.actors).flatMap((name) => contracts[name]?.child ?? []);
}

/** The change with a child run for each opened effect that is one; an effect whose input is not right stays an ordinary, failing one. */
export function withChildren(deps: Deps, change: Change, parent: Parent): Change {
  const also: Change[] = [];
  const open = change.open?.map((row): NewEffect => {
    const contract = row.kind === 'do' ? deps.catalog.contract(row.contract) : undefined;
    if (!contract?.child || !contract.input.safeParse(row.input).success) return row;
    also.push(childOf(deps, change, row, contract.child, parent));
    return { ...row, child: true };
  });
  if (also.length === 0 || !open) return change;
  return { ...change, open, also: also.map((child) => (child.create ? withChildren(deps, child, child.create) : child)) };
}

function childOf(deps: Deps, change: Change, row: NewEffect, workflow: string, parent: Parent): Change {
  const definition = deps.catalog.workflow(workflow);
  const input = definition.input.safeParse(row.input);
  if (!input.success) throw new TypeError(`the input contract of ${row.contract} lets through what ${workflow} refuses`);
  const runId = deps.crypto.newId();
  const started = changeOf({
    runId,
    expect: 'new',
    at: change.at,
    cause: { type: 'capstan.started', payload: input.data, source: 'engine', principal: null, effectKey: row.key },
    step: begin(definition.machine, input.data),
    definition,
    contractOf: deps.catalog.contract,
  });
  const create = {
    workflow: definition.name,
    definitionHash: definition.hash,
    name: `${parent.name}/${row.invokeId}`,
    principal: 'capstan',
    traceId: parent.traceId,
    parentId: change.runId,
    parentKey: row.key,
  };
  return { ...started, create };
}

export type ChildEnd = { status: 'done' | 'failed'; outside: EffectRow['outside']; output?: unknown; error?: ErrorRecord };

/** What the parent hears of a child that ends with this change, or undefined when it does not end. */
export function endOf(change: Change, contract: ContractLike): ChildEnd | undefined {
  const phase = change.run?.phase;
  if (phase === 'done') {
    const output = contract.output.safeParse(change.run?.output ?? {});
    if (output.success) return { status: 'done', outside: 'applied', output: output.data };
    return {
      status: 'failed',
      outside: 'maybe',
      error: ended('OUTPUT_INVALID', `The child run of "${contract.title}" ended with an output of the wrong shape.`),
    };
  }
  if (phase === 'failed')
    return {
      status: 'failed',
      outside: 'maybe',
      error: change.run?.error ?? ended('CHILD_FAILED', `The child run of "${contract.title}" failed.`),
    };
  if (phase === 'cancelled')
    return { status: 'failed', outside: 'maybe', error: ended('CHILD_CANCELLED', `The child run of "${contract.title}" was cancelled.`) };
  return undefined;
}

function ended(code: string, message: string): ErrorRecord {
  return { code, message, fix: 'Look at the child run; its timeline says what happened.', retry: 'never' };
}

/** A child that is still active is cancelled when its parent lets go of it; `open` counts what it has not settled yet. */
export async function cancelChild(
  deps: Pick<Deps, 'store' | 'clock'>,
  parentKey: string,
): Promise<{ open: number; outside: EffectRow['outside'] }> {
  const child = await deps.store.childOf(parentKey);
  if (!child) return { open: 0, outside: 'absent' };
  const loaded = await deps.store.load(child);
  if (!loaded) return { open: 0, outside: 'absent' };
  if (loaded.run.phase === 'active') {
    await deps.store.commit({
      runId: child,
      expect: loaded.run.version,
      at: deps.clock.now(),
      event: {
        type: 'capstan.cancelled',
        payload: { by: 'parent' },
        source: 'engine',
        principal: null,
        effectKey: parentKey,
        delivered: true,
      },
      run: { phase: 'cancelled', attention: null },
      stop: '*',
      disarm: '*',
      releases: true,
    });
    return { open: 1, outside: 'maybe' };
  }
  const touched = (await deps.store.effects(child)).some((row) => row.outside === 'applied' || row.outside === 'maybe');
  return { open: loaded.open.length, outside: touched ? 'maybe' : 'absent' };
}

/** A child answers to its parent alone. Throws CHILD_RUN. */
export function refuseChild(run: RunRow): void {
  if (run.parentId === null) return;
  throw new AppError('CHILD_RUN', {
    message: `The run ${run.name} is part of another run and is taken back with it.`,
    fix: `Roll back ${run.parentId} instead.`,
  });
}
