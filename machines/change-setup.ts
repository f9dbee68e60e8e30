import { setup } from 'xstate';
import type { z } from 'zod';
import type { ChangeContext, changeOutput } from './change-context.ts';
import type { ChangeEvent } from './change-events.ts';
import { actorOf } from './effects/contract.ts';
import type { StateMeta } from './effects/meta.ts';
import { contracts } from './effects/registry.ts';

/** Where a change starts: a target, and what else its workflow asks for. */
export type ChangeInput = { target: string };

/** Types, contracts and guards of every workflow that changes a running instance; their states are made with `change.createStateConfig`. */
export const change = setup({
  types: {
    input: {} as ChangeInput & Record<string, unknown>, // type carriers: XState reads their types, never their values
    context: {} as ChangeContext,
    events: {} as ChangeEvent,
    output: {} as ReturnType<typeof changeOutput>,
    meta: {} as StateMeta,
  },
  actors: {
    'target.takeSnapshot@1': actorOf(contracts['target.takeSnapshot@1']),
    'target.prove@1': actorOf(contracts['target.prove@1']),
    'repairKeys.planChange@1': actorOf(contracts['repairKeys.planChange@1']),
    'rotateSecrets.planChange@1': actorOf(contracts['rotateSecrets.planChange@1']),
    'updateEnv.planChange@1': actorOf(contracts['updateEnv.planChange@1']),
    'target.listSnapshots@1': actorOf(contracts['target.listSnapshots@1']),
    'restoreConfig.planChange@1': actorOf(contracts['restoreConfig.planChange@1']),
    'rebuild.planChange@1': actorOf(contracts['rebuild.planChange@1']),
    'manageDomain.planChange@1': actorOf(contracts['manageDomain.planChange@1']),
    'manageDomain.recheck@1': actorOf(contracts['manageDomain.recheck@1']),
    'tls.awaitCertificate@1': actorOf(contracts['tls.awaitCertificate@1']),
    'dokploy.writeConfiguration@1': actorOf(contracts['dokploy.writeConfiguration@1']),
    'dokploy.redeploy@1': actorOf(contracts['dokploy.redeploy@1']),
    'dokploy.awaitHealth@1': actorOf(contracts['dokploy.awaitHealth@1']),
    'dokploy.returnConfiguration@1': actorOf(contracts['dokploy.returnConfiguration@1']),
    'supabase.changeDatabase@1': actorOf(contracts['supabase.changeDatabase@1']),
    'resizePool.planChange@1': actorOf(contracts['resizePool.planChange@1']),
    'supabase.storeJwtSecret@1': actorOf(contracts['supabase.storeJwtSecret@1']),
    'target.noteChange@1': actorOf(contracts['target.noteChange@1']),
  },
  guards: {
    nothingToDo: ({ context }) => context.plan?.kind === 'nothing',
    onlyDatabase: ({ context }) => context.plan?.kind === 'database',
    databaseToo: ({ context }) => context.plan?.kind === 'both',
    // Once the database has the new secret, the earlier texts alone are no way back: then the rollback is offered, which takes both.
    wasGreen: ({ context }) => context.wasGreen && context.plan?.kind !== 'database' && context.stored === null,
  },
});

/** A typed view of what a workflow was asked for, refused where it has another shape. */
export function requestOf<S extends z.ZodType>(schema: S, { request }: Pick<ChangeContext, 'request'>): z.infer<S> {
  return schema.parse(request);
}

/** A person has acted: the last error is answered. */
export const answeredChange = { error: null };
