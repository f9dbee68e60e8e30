/** The approver key with every failed attempt to open it in the audit (engine.md A2): a wrong passphrase is a decision that somebody tried to make. */
import type { Seal } from './engine/approver-port.ts';
import type { Kept } from './engine/audited.ts';
import type { Caller } from './engine/engine.ts';
import type { ApproverDesk, ApproverInfo } from './store/approver.ts';

/** Who tries, and for which run, if for one. */
export type Unlocking = Caller & { run?: string };

export type AuditedApprover = Omit<ApproverDesk, 'unlock' | 'init'> & {
  /** Throws APPROVER_MISSING, APPROVER_FOREIGN, PASSPHRASE_WRONG. */
  unlock(passphrase: string, by: Unlocking): Promise<Seal>;
  /** Throws APPROVER_EXISTS, PASSPHRASE_WRONG, PASSPHRASE_WEAK. */
  init(passphrase: string, present: string | undefined, by: Unlocking): Promise<ApproverInfo>;
};

export function auditedApprover(approver: ApproverDesk, kept: Kept): AuditedApprover {
  return {
    ...approver,
    unlock: (passphrase, by) => kept(by, 'unlock the approver key', by.run, () => approver.unlock(passphrase), 'sealed'),
    init: (passphrase, present, by) => kept(by, 'approver init', undefined, () => approver.init(passphrase, present), 'sealed'),
  };
}
