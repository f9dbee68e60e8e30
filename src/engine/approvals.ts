/**
 * Approvals (engine.md A1, A2, B1). Invariants:
 * 1. A grant is bound to run, version, event, payload hash, definition hash, plan hash, principal and expiry by a signature.
 * 2. It is consumed in the commit of what it allows, once.
 * 3. A request that expired or went stale is asked again; the run stays where it is.
 */
import { AppError } from '../errors.ts';
import type { ApprovalLevel, ApprovalRow, Clock, Crypto, RunRow, Store } from './ports.ts';

const validMs = 60 * 60_000;

export type ApprovalSubject = Pick<ApprovalRow, 'kind' | 'event' | 'payload' | 'payloadHash' | 'planHash' | 'statement'>;

export type Approvals = {
  /** Writes the request down (once per subject and version) and throws APPROVAL_REQUIRED that carries its id. */
  require(run: RunRow, subject: ApprovalSubject, asker: { principal: string; requestKey: string | undefined }): Promise<never>;
  /** Signs a request. Throws APPROVAL_STALE, APPROVAL_EXPIRED or APPROVAL_UNKNOWN. */
  grant(id: string, by: { principal: string; level: ApprovalLevel }): Promise<ApprovalRow>;
  /** Refuses it; the run goes on waiting. */
  decline(id: string): Promise<void>;
  /** Checks a granted approval against what is about to happen; throws APPROVAL_STALE or APPROVAL_FORGED. */
  check(run: RunRow, subject: ApprovalSubject, id: string): Promise<ApprovalRow>;
};

export function createApprovals({ store, crypto, clock }: { store: Store; crypto: Crypto; clock: Clock }): Approvals {
  const isLive = (row: ApprovalRow, run: RunRow, subject: ApprovalSubject): boolean =>
    row.version === run.version &&
    row.kind === subject.kind &&
    row.event === subject.event &&
    row.payloadHash === subject.payloadHash &&
    row.planHash === subject.planHash &&
    row.definitionHash === run.definitionHash &&
    row.expiresAt > clock.now();

  const load = async (id: string): Promise<ApprovalRow> => {
    const row = await store.approval(id);
    if (row) return row;
    throw new AppError('APPROVAL_UNKNOWN', {
      message: 'There is no such approval request.',
      fix: 'Look at the run again; it says what it waits for.',
    });
  };

  return {
    async require(run, subject, { principal, requestKey }) {
      const known = (await store.approvals(run.id)).find((row) => row.status === 'requested' && isLive(row, run, subject));
      const at = clock.now();
      const row: ApprovalRow = known ?? {
        ...subject,
        id: crypto.newId(),
        runId: run.id,
        version: run.version,
        definitionHash: run.definitionHash,
        requestedBy: principal,
        requestKey: requestKey ?? null,
        status: 'requested',
        level: null,
        grantedBy: null,
        signature: null,
        expiresAt: at + validMs,
        createdAt: at,
      };
      if (!known) await store.saveApproval(row);
      throw new AppError('APPROVAL_REQUIRED', {
        message: `A person must approve this first: ${subject.statement}`,
        fix: `Ask the person to approve the run ${run.name} at a terminal, then look at the run again.`,
        details: { approval: row.id, run: run.id, statement: subject.statement },
      });
    },
    async grant(id, by) {
      const row = await load(id);
      const run = (await store.load(row.runId))?.run;
      if (row.status !== 'requested' || !run || run.version !== row.version) throw stale(row);
      if (row.expiresAt <= clock.now())
        throw new AppError('APPROVAL_EXPIRED', {
          message: 'The approval request is older than an hour.',
          fix: 'Ask for it again; nothing was changed.',
        });
      const granted: ApprovalRow = { ...row, status: 'granted', level: by.level, grantedBy: by.principal, signature: null };
      granted.signature = crypto.sign(signedText(granted));
      await store.saveApproval(granted);
      return granted;
    },
    async decline(id) {
      const row = await load(id);
      if (row.status === 'requested') await store.saveApproval({ ...row, status: 'void' });
    },
    async check(run, subject, id) {
      const row = await load(id);
      if (row.status !== 'granted' || row.signature === null || !crypto.verify(signedText(row), row.signature)) {
        throw new AppError('APPROVAL_FORGED', {
          message: 'The approval was not granted by a person through Capstan.',
          fix: 'Ask for the approval again.',
        });
      }
      if (row.runId !== run.id || !isLive(row, run, subject)) throw stale(row);
      return row;
    },
  };
}

function stale(row: ApprovalRow): AppError {
  return new AppError('APPROVAL_STALE', {
    message: 'The run, its plan or the request has changed since this approval was asked for, or it was used already.',
    fix: 'Look at the run again and approve what it shows now.',
    details: { run: row.runId },
  });
}

function signedText(row: ApprovalRow): string {
  return JSON.stringify([
    row.id,
    row.runId,
    row.version,
    row.kind,
    row.event,
    row.payloadHash,
    row.definitionHash,
    row.planHash,
    row.grantedBy,
    row.level,
    row.expiresAt,
  ]);
}
