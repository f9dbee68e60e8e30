/** The copy beside goes when it was only where a schema came from. It is dropped as long as its mark says that it is ours. */
import { dropCopy as contract } from '../../../../machines/effects/restore-schema.ts';
import { changedBySomebodyElse } from '../../dokploy/session.ts';
import { defineHandler, type Probe } from '../../handler.ts';
import { beside, markOn, openPlan } from '../restore-document.ts';
import { identifier } from '../roles.ts';

export function dropCopy() {
  return defineHandler(contract, {
    async prepare(ctx, input): Promise<{ mark: string | undefined }> {
      const { plan, place } = await openPlan(ctx, input);
      return { mark: await beside(place, ctx, plan, (client) => markOn(client, plan.into, ctx.runId)) };
    },
    async run(ctx, input) {
      const { plan, place } = await openPlan(ctx, input);
      await beside(place, ctx, plan, async (client) => {
        if ((await markOn(client, plan.into, ctx.runId)) === 'foreign')
          throw changedBySomebodyElse(`The database ${plan.into}`, { database: plan.into });
        await client.query(`drop database if exists ${identifier(plan.into)} with (force)`);
      });
      return { database: plan.into };
    },
    async probe(ctx, input): Promise<Probe<{ database: string }>> {
      const { plan, place } = await openPlan(ctx, input);
      const mark = await beside(place, ctx, plan, (client) => markOn(client, plan.into, ctx.runId));
      return mark === undefined ? { state: 'applied', output: { database: plan.into } } : { state: 'absent' };
    },
  });
}
