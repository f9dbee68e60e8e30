/**
 * Approvals (engine.md A1, A2, B1). Invariants:
 * 1. A grant is bound to run, version, event, payload hash, definition hash, plan hash, principal and expiry by a signature.
 * 2. It is consumed in the commit of what it allows, once.
 * 3. A request that expired or went stale is asked again; the run stays where it is.
 * 4. An agent's token is refused unless the owner switched tokens on, and for production always (approval-tokens.ts).
 * 5. Where a target asks for a seal, a grant of any other level is refused, when it is given and again when it is used.
 */
import { AppError } from '../errors.ts';
import { concerned, keptForPersons, ruleFor, sealedAmong } from './approval-policy.ts';
import { isTokenOf, productionTag, tokenOf } from './approval-tokens.ts';
import type { Approver, KnownTarget, Seal } from './approver-port.ts';
import type { Catalog } from './catalog.ts';
import { locksOf } from './change.ts';
import type { ApprovalLevel, ApprovalRow, Clock, Crypto, RunRow, Store } from './ports.ts';

const validMs = 60 * 60_000;

export type ApprovalSubject = Pick<ApprovalRow, 'kind' | 'event' | 'payload' | 'payloadHash' | 'planHash' | 'statement'>;

/** Who says yes, and how that is proven; `seal` comes with the level `sealed` alone, `vouch` with `agent-vouched`. */
export type Granter = { principal: string; level: ApprovalLevel; seal?: Seal; vouch?: { token: string; run: string } };

export type Approvals = {
  /**
   * Writes the request down (once per subject and version) and throws APPROVAL_REQUIRED that carries its id;
   * where a standing rule allows it, grants it by that rule instead and returns it.
   */
  require(run: RunRow, subject: ApprovalSubject, asker: { principal: string; requestKey: string | undefined }): Promise<ApprovalRow>;
  /** Signs a request. Throws APPROVAL_STALE, APPROVAL_EXPIRED, APPROVAL_UNKNOWN, APPROVAL_FORGED and what the level throws. */
  grant(id: string, by: Granter): Promise<ApprovalRow>;
  /** Refuses it; the run goes on waiting. The request, when it was still open. */
  decline(id: string): Promise<ApprovalRow | undefined>;
  /** Checks a granted approval against what is about to happen; throws APPROVAL_STALE, APPROVAL_FORGED or APPROVAL_NEEDS_SEAL. */
  check(run: RunRow, subject: ApprovalSubject, id: string): Promise<ApprovalRow>;
  /** The name of the target for which only a seal will do, if there is one (A2). */
  sealedTarget(run: RunRow): Promise<string | undefined>;
  /** What this principal may hand back for a person's yes to an open request; undefined where no token counts. */
  tokenFor(id: string, principal: string): Promise<string | undefined>;
};

type Deps = { store: Store; crypto: Crypto; clock: Clock; catalog: Catalog; approver?: Approver; approvalTokens?: boolean };

export function createApprovals({ store, crypto, clock, catalog, approver, approvalTokens = false }: Deps): Approvals {
  const targetsOf = async (run: RunRow): Promise<KnownTarget[]> => {
    const known = approver ? await approver.targets() : [];
    if (known.length === 0) return [];
    const effects = await store.effects(run.id);
    return concerned(
      run.snapshot,
      effects.flatMap((row) => locksOf(catalog.contract(row.contract), row.input)),
      known,
    );
  };

  const sealedTarget = async (run: RunRow): Promise<string | undefined> =>
    sealedAmong(await targetsOf(run), approver?.sealedTags ?? [])?.name;

  /** Throws APPROVAL_TOKENS_OFF, or APPROVAL_NEEDS_PERSON for production. */
  const requireTokens = async (run: RunRow): Promise<void> => {
    if (!approvalTokens)
      throw new AppError('APPROVAL_TOKENS_OFF', {
        message: "On this installation an agent's token does not count as an approval.",
        fix: `Ask the person to approve the run ${run.name} on the approval page or at a terminal.`,
      });
    const tags = new Set([productionTag, ...(approver?.sealedTags ?? [])]);
    const kept = keptForPersons(run.snapshot, await targetsOf(run), tags);
    if (kept === undefined) return;
    throw new AppError('APPROVAL_NEEDS_PERSON', {
      message: `The run ${run.name} is about ${kept}, which no agent's token approves.`,
      fix: 'The person approves on the approval page or at a terminal.',
    });
  };

  /** Throws APPROVAL_NEEDS_SEAL, or APPROVER_MISSING where nobody could seal yet, and what an agent's word throws. */
  const requireLevel = async (run: RunRow, level: ApprovalLevel | null): Promise<void> => {
    if (level === 'agent-vouched') await requireTokens(run);
    if (level === 'sealed' || level === 'rule') return; // a rule was chosen, and is checked, under the same tags
    const target = await sealedTarget(run);
    if (target === undefined) return;
    if (await approver?.exists())
      throw new AppError('APPROVAL_NEEDS_SEAL', {
        message: `The run ${run.name} works on the target ${target}, which takes only approvals sealed by the approver key.`,
        fix: `The person approves with the passphrase: capstan approve ${run.name}, or on the approval page.`,
      });
    throw new AppError('APPROVER_MISSING', {
      message: `The run ${run.name} works on the target ${target}, which takes only sealed approvals, and there is no approver key yet.`,
      fix: 'The owner makes one at a terminal: capstan approver init.',
    });
  };

  /** The rule that allows this now; its id stands in `grantedBy`. */
  const allowing = async (run: RunRow, subject: Pick<ApprovalSubject, 'kind' | 'event'>) => {
    if (!approver) return undefined;
    const { kind, event } = subject;
    const rules = await approver.rules();
    if (rules.length === 0) return undefined;
    const asked = { kind, event, workflow: run.workflow, targets: await targetsOf(run), sealedTags: approver.sealedTags, now: clock.now() };
    return ruleFor(rules, asked);
  };

  /** True for a signature that belongs to the level that the row claims. */
  const isSigned = async (row: ApprovalRow): Promise<boolean> => {
    if (row.status !== 'granted' || row.signature === null) return false;
    if (row.level !== 'sealed') return crypto.verify(signedText(row), row.signature);
    return (await approver?.verify(signedText(row), row.signature)) ?? false;
  };

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
      const rule = await allowing(run, subject);
      if (rule) {
        const granted = signed({ ...row, status: 'granted', level: 'rule', grantedBy: `rule:${rule.id}` });
        await store.saveApproval(granted);
        return granted;
      }
      if (!known) await store.saveApproval(row);
      const sealed = await sealedTarget(run);
      throw new AppError('APPROVAL_REQUIRED', {
        message: `A person must approve this first: ${subject.statement}`,
        fix: `Ask the person to approve the run ${run.name} at a terminal, then look at the run again.`,
        details: { approval: row.id, run: run.id, statement: subject.statement, ...(sealed === undefined ? {} : { sealed }) },
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
      await requireLevel(run, by.level);
      if (by.level === 'agent-vouched' && (by.vouch?.run !== row.runId || !isTokenOf(crypto, row, by.principal, by.vouch.token)))
        throw forged();
      const granted = signed({ ...row, status: 'granted', level: by.level, grantedBy: by.principal }, by.seal);
      if (by.level === 'rule' || !(await isSigned(granted))) throw forged();
      await store.saveApproval(granted);
      return granted;
    },
    async decline(id) {
      const row = await load(id);
      if (row.status !== 'requested') return undefined;
      await store.saveApproval({ ...row, status: 'void' });
      return row;
    },
    async check(run, subject, id) {
      const row = await load(id);
      if (!(await isSigned(row))) throw forged();
      if (row.runId !== run.id || !isLive(row, run, subject)) throw stale(row);
      if (row.level === 'rule' && `rule:${(await allowing(run, subject))?.id}` !== row.grantedBy) throw stale(row);
      await requireLevel(run, row.level);
      return row;
    },
    sealedTarget,
    async tokenFor(id, principal) {
      const row = await store.approval(id);
      const run = row && (await store.load(row.runId))?.run;
      if (!run || row.status !== 'requested' || run.version !== row.version || row.expiresAt <= clock.now()) return undefined;
      try {
        await requireLevel(run, 'agent-vouched');
      } catch (error) {
        if (error instanceof AppError) return undefined;
        throw error;
      }
      return tokenOf(crypto, row, principal);
    },
  };

  function signed(row: ApprovalRow, seal?: Seal): ApprovalRow {
    const text = signedText(row);
    return { ...row, signature: row.level === 'sealed' && seal ? seal.sign(text) : crypto.sign(text) };
  }
}

function forged(): AppError {
  return new AppError('APPROVAL_FORGED', {
    message: 'The approval was not granted by a person through Capstan.',
    fix: 'Ask for the approval again.',
  });
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
