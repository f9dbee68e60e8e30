/** The restored database is a database like any other: our mark goes, and it counts its rows. */
import * as contract from '../../../machines/effects/restore.ts';
import { changedBySomebodyElse } from '../dokploy/session.ts';
import { defineHandler, type Probe } from '../handler.ts';
import { openSession } from './connection.ts';
import type { BackupDeps } from './deps.ts';
import { beside, markOn, openPlan, openRestore, type RestorePlan, setMark } from './restore-document.ts';
import { identifier, literal } from './roles.ts';
import { contentsOf } from './verify.ts';

export function finishRestore(deps: BackupDeps) {
  return defineHandler(contract.finishRestore, {
    async prepare(ctx, input): Promise<{ mark: string | undefined }> {
      const { plan, place } = await openPlan(ctx, input);
      return { mark: await beside(place, ctx, plan, (client) => markOn(client, nameOf(plan, input.inPlace), ctx.runId)) };
    },
    async run(ctx, input) {
      const { plan, place, backup, file } = await openRestore(deps, ctx, input);
      const name = nameOf(plan, input.inPlace);
      const { properties } = await contentsOf(backup, file);
      await beside(place, ctx, plan, async (client) => {
        if ((await markOn(client, name, ctx.runId)) === 'foreign') throw changedBySomebodyElse(`The database ${name}`, { database: name });
        const inside = await openSession(place, ctx.key, name);
        try {
          await inside.query('analyze');
        } finally {
          await inside.end();
        }
        await client.query(
          `comment on database ${identifier(name)} is ${properties.comment === null ? 'null' : literal(properties.comment)}`,
        );
      });
      return { database: name };
    },
    async probe(ctx, input): Promise<Probe<{ database: string }>> {
      const { plan, place } = await openPlan(ctx, input);
      const name = nameOf(plan, input.inPlace);
      const mark = await beside(place, ctx, plan, (client) => markOn(client, name, ctx.runId));
      return mark === 'restored' ? { state: 'absent' } : { state: 'applied', output: { database: name } };
    },
    async undo(ctx, input) {
      const { plan, place } = await openPlan(ctx, input);
      const name = nameOf(plan, input.inPlace);
      await beside(place, ctx, plan, async (client) => {
        if ((await markOn(client, name, ctx.runId)) !== undefined) await setMark(client, name, ctx.runId, 'restored');
      });
    },
  });
}

const nameOf = (plan: RestorePlan, inPlace: boolean): string => (inPlace ? plan.database : plan.into);
