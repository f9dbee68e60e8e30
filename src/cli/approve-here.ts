/**
 * A person's yes at a terminal (engine.md A2): what is asked, where the run is, the plan, and the run's name typed exactly (level
 * `terminal`); where a target asks for it, the passphrase of the approver key too (level `sealed`).
 */
import { userInfo } from 'node:os';
import type { App } from '../app.ts';
import type { Answer } from '../engine/engine.ts';
import type { ApprovalRow } from '../engine/ports.ts';
import { AppError } from '../errors.ts';
import { note } from './output.ts';
import { planText } from './render.ts';
import { askSecret, requireTerminal, typesExactly } from './terminal.ts';

/** What approvals need of the app. */
export type Approving = Pick<App, 'engine' | 'approver'>;

/** The answer after the yes. Throws TERMINAL_REQUIRED, APPROVAL_NOT_GIVEN when something else was typed, and what `unlock` throws. */
export async function approveHere(
  { engine, approver }: Approving,
  asked: Pick<ApprovalRow, 'id' | 'runId' | 'statement'>,
): Promise<Answer> {
  requireTerminal('An approval');
  const view = await engine.inspect(asked.runId);
  note(`\nRun ${view.name} in "${view.state}" (${view.title}), version ${view.version}`);
  const plan = planText(view.details);
  if (plan !== '') note(`\n${plan}`);
  note(`\n${asked.statement}\n`);
  const sealedFor = await engine.sealedTarget(asked.runId);
  if (await typesExactly(`To approve, type the run's name: ${view.name}`, view.name)) {
    const by = { principal: principal(), door: 'cli' };
    if (sealedFor === undefined) return engine.approve(asked.id, { ...by, level: 'terminal' });
    const passphrase = await askSecret(`Passphrase of the approver key (the target ${sealedFor} asks for a seal)`);
    const seal = await approver.unlock(passphrase, { ...by, run: asked.runId });
    return engine.approve(asked.id, { ...by, level: 'sealed', seal });
  }
  throw new AppError('APPROVAL_NOT_GIVEN', {
    message: `That was not the name of the run ${view.name}, so nothing was approved.`,
    fix: `The request stands: capstan approve ${view.name}.`,
  });
}

/** Does what may need a yes; asks for it here when a person is there, else leaves the request and its error as they are. */
export async function withApproval(approving: Approving, terminal: boolean, act: () => Promise<Answer>): Promise<Answer> {
  try {
    return await act();
  } catch (error) {
    const id = error instanceof AppError && error.code === 'APPROVAL_REQUIRED' ? error.details?.['approval'] : undefined;
    const run = error instanceof AppError ? error.details?.['run'] : undefined;
    if (!terminal || typeof id !== 'string' || typeof run !== 'string') throw error;
    const asked = (await approving.engine.pendingApprovals(run)).find((row) => row.id === id);
    if (!asked) throw error;
    return approveHere(approving, asked);
  }
}

/** As whom this door acts. */
export const cliCaller = (): { principal: string; door: string } => ({ principal: principal(), door: 'cli' });

/** Who works at this terminal, for the audit. */
export function principal(): string {
  try {
    return `local:${userInfo().username}`;
  } catch {
    return 'local'; // a user without an entry in the system's list
  }
}
