/** `capstan-mcp/testing`: what covers a workflow of your own (design §10). Every promise here is kept across minor versions. */
import type { OwnWorkflow } from '../define.ts';
import type { ContractLike } from '../engine/hands-port.ts';
import { faultMatrix, type MatrixOptions, type MatrixReport } from './matrix.ts';
import { type PathOptions, type PathReport, pathsOf } from './paths.ts';
import { tableOf } from './table.ts';

export type { MatrixReport, PathReport };

type Choices<T> = Omit<T, 'workflow' | 'contracts'>;

/**
 * Every reachable state by its shortest way and one way per further transition; `leftOut` names what none of them covers.
 * `hints` gives the values that a schema cannot tell, by event and by contract.
 */
export function pathsThrough(workflow: OwnWorkflow, choices: Choices<PathOptions> = {}): PathReport {
  return pathsOf({ ...choices, workflow, contracts: contractsOf(workflow) });
}

/**
 * Plays every path on the real engine and store, with a made-up outside world, and crashes it at every kind of moment.
 * Handlers are not called: what is proven is that the definition and the engine get through, not that a probe tells the truth.
 * Takes some 50 ms a case, a few hundred cases for a small workflow; throws what opening a home throws.
 */
export function crashEverywhere(workflow: OwnWorkflow, choices: Choices<MatrixOptions> = {}): Promise<MatrixReport> {
  return faultMatrix({ ...choices, workflow, contracts: contractsOf(workflow) });
}

/** The matrix as a table, effect × crash kind, with every difference in words. */
export const matrixTable = tableOf;

function contractsOf({ contracts }: OwnWorkflow): Record<string, ContractLike> {
  return Object.fromEntries(contracts.map((contract) => [contract.name, contract]));
}
