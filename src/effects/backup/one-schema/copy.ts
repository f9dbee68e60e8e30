/** The copy beside, from which a schema comes: it is used as long as its mark says that this run proved it, and goes when nothing else was wanted. */
import { dropCopy as contract } from '../../../../machines/effects/restore-schema.ts';
import { AppError } from '../../../errors.ts';
import { changedBySomebodyElse } from '../../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe } from '../../handler.ts';
import { beside, insideOf, maintenance, markOn, type Opened, openPlan } from '../restore-document.ts';
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

/** Throws COPY_GONE where the copy that this run made and proved is not there any more, CHANGED_BY_SOMEBODY_ELSE where another one is. */
export async function requireCopy(ctx: EffectContext, { place, plan }: Pick<Opened, 'place' | 'plan'>): Promise<void> {
  const mark = await insideOf(place, ctx, maintenance(plan.database), (client) => markOn(client, plan.into, ctx.runId));
  if (mark === 'restored') return;
  if (mark !== undefined) throw changedBySomebodyElse(`The database ${plan.into}`, { database: plan.into });
  throw new AppError('COPY_GONE', {
    message: `The copy ${plan.into} is not there any more, so there is nothing to take the schema from.`,
    fix: 'Roll the run back to review and approve again: the copy is then made anew.',
  });
}
