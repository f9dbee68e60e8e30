import type { z } from 'zod';
import type {
  ChangePlan,
  changeDatabase,
  noteChange,
  proveTarget,
  redeploy,
  returnConfiguration,
  storeJwtSecret,
  takeSnapshot,
  writeConfiguration,
} from './effects/change.ts';
import type { awaitHealth } from './effects/dokploy.ts';
import type { listSnapshots } from './effects/restore-config.ts';
import type { Warning } from './effects/shapes.ts';
import { need, type RunError } from './run-context.ts';

/**
 * What a run that changes a running instance knows. Invariants:
 * 1. Plain JSON (P5); secrets are references, texts of the configuration stand in artifacts only.
 * 2. `error` is the last ErrorRecord; the next event of a person clears it.
 * 3. `wasGreen` says that every live check passed before the first write: only then is it returned to without a question.
 */

type Out<C extends { output: z.ZodType }> = z.infer<C['output']>;

/** Steps after the approval, in order; `failedAt` names the one to go back into. */
export type ChangeStep = 'changingDatabase' | 'writing' | 'deploying' | 'awaitingHealth' | 'storingSecret' | 'proving' | 'noting';

export type ChangeContext = {
  target: string;
  /** What the workflow was asked for, in its own shape. */
  request: Record<string, unknown>;
  service: Out<typeof takeSnapshot> | null;
  before: Out<typeof proveTarget> | null;
  wasGreen: boolean;
  /** Of restore-config: what may be chosen. */
  snapshots: Out<typeof listSnapshots>['snapshots'] | null;
  plan: ChangePlan | null;
  /** What an approval is bound to (A1). */
  planHash: string | null;
  /** What the database keeps beside the texts. */
  changed: Out<typeof changeDatabase> | null;
  written: Out<typeof writeConfiguration> | null;
  deployment: Out<typeof redeploy> | null;
  health: Out<typeof awaitHealth> | null;
  stored: Out<typeof storeJwtSecret> | null;
  after: Out<typeof proveTarget> | null;
  returned: Out<typeof returnConfiguration> | null;
  noted: Out<typeof noteChange> | null;
  failedAt: ChangeStep | null;
  error: RunError | null;
  warnings: Warning[];
};

export function beginChange(target: string, request: Record<string, unknown>): ChangeContext {
  return {
    target,
    request,
    service: null,
    before: null,
    wasGreen: false,
    snapshots: null,
    plan: null,
    planHash: null,
    changed: null,
    written: null,
    deployment: null,
    health: null,
    stored: null,
    after: null,
    returned: null,
    noted: null,
    failedAt: null,
    error: null,
    warnings: [],
  };
}

/** The service that the target is, as the snapshot found it. */
export function serviceOf(context: ChangeContext) {
  const { target, dokploy, composeId, appName } = need(context.service, 'service');
  return { target, dokploy, composeId, appName };
}

/** Service and approved plan: what every write is about. */
export function changeOf(context: ChangeContext) {
  const { plan, planHash } = need(context.plan, 'plan');
  return { ...serviceOf(context), plan, planHash };
}

/** What a planner is told. */
export function plannedFor(context: ChangeContext) {
  return { ...serviceOf(context), snapshot: need(context.service, 'service').snapshot, before: context.before };
}

/** The output of every workflow that changes a running instance. */
export function changeOutput(context: ChangeContext) {
  return {
    target: context.target,
    changed: context.noted !== null,
    say: context.plan?.say ?? '',
    changes: context.plan?.changes ?? [],
    checks: context.after?.checks ?? [],
    snapshot: context.service?.snapshot ?? null,
    returned: context.returned !== null,
    warnings: context.warnings,
  };
}
