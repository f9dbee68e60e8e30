/** What exactly a person approves (engine.md A1, B1): the words shown and the hashes bound. Pure. */
import type { ApprovalSubject } from './approvals.ts';
import type { Definition } from './catalog.ts';
import { contextOf, type EventDescription } from './describe.ts';
import { restore } from './plan.ts';
import type { Crypto, RunRow } from './ports.ts';
import type { RollbackPreview } from './rollback.ts';

const maxNote = 1_000;

export function advanceSubject(
  crypto: Crypto,
  definition: Definition,
  run: RunRow,
  event: EventDescription,
  payload: unknown,
): ApprovalSubject {
  const context = contextOf(restore(definition.machine, run.snapshot));
  const planHash = typeof context['planHash'] === 'string' ? context['planHash'] : '';
  const plan = planHash === '' ? '' : ` Plan ${planHash.slice(0, 12)}.`;
  // What of the plan belongs into the question itself: plain words of our own, made by the effect that planned.
  const said = context['approvalNote'];
  const note = typeof said === 'string' && said !== '' ? ` ${said.slice(0, maxNote)}` : '';
  return {
    kind: 'advance',
    event: event.type,
    payload,
    payloadHash: crypto.hash(payload),
    planHash,
    statement: `${event.confirm ?? event.title}${note}${plan}`,
  };
}

export function rollbackSubject(crypto: Crypto, run: RunRow, preview: RollbackPreview): ApprovalSubject {
  const items = preview.undo.map((item) => (item.how === 'ifItLands' ? `${item.title} (if it lands)` : item.title)).join('; ');
  const payload = { to: preview.to };
  return {
    kind: 'rollback',
    event: String(preview.to),
    payload,
    payloadHash: crypto.hash(payload),
    planHash: preview.listHash,
    statement: `Roll ${run.name} back to "${preview.name}" and take back, newest first: ${items}.`,
  };
}

export function cancelSubject(crypto: Crypto, run: RunRow, outside: { effect: string; what: string }[]): ApprovalSubject {
  return {
    kind: 'cancel',
    event: 'cancel',
    payload: {},
    payloadHash: crypto.hash({}),
    planHash: crypto.hash(outside.map((row) => row.effect).sort()),
    statement: `Cancel ${run.name} and leave outside: ${outside.map((row) => row.what).join('; ')}.`,
  };
}
