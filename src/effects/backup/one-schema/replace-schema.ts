/**
 * One schema of the proven copy takes the place of the one in use. Whether it took place is read from the mark on what is kept, which
 * was written in the same transaction, never remembered.
 */
import { replaceSchema as contract } from '../../../../machines/effects/restore-schema.ts';
import { AppError } from '../../../errors.ts';
import { changedBySomebodyElse } from '../../dokploy/session.ts';
import { defineHandler, type EffectContext, type MayUndo, type Probe } from '../../handler.ts';
import { quoteVendorText } from '../../http/vendor-text.ts';
import { readCatalog } from '../../postgres/read-catalog.ts';
import { endSessionsOf } from '../connection.ts';
import { type BackupDeps, portOf } from '../deps.ts';
import { insideOf, maintenance, openPlan, openRestore } from '../restore-document.ts';
import { retellViews } from '../retell-views.ts';
import { contentsOf } from '../verify.ts';
import { requireCopy } from './copy.ts';
import { readDefinitions } from './definitions.ts';
import { readSchemaPlan, type SchemaPlan, type Standing, standingOf } from './document.ts';
import { exchangeSchema, type Noted } from './exchange.ts';
import { requireMovable } from './look.ts';
import { readReferences } from './references.ts';
import { describeReferences } from './repoint.ts';
import { takeSchemaBack } from './take-back.ts';
import { inTransaction } from './transaction.ts';

type Input = { plan: string; planHash: string; schemaPlan: string; schemaPlanHash: string };
type Before = { comment: string | null };
type Output = { schema: string; keptAs: string; tables: number; rows: number; objects: number; repointed: number };

export function replaceSchema(deps: BackupDeps) {
  return defineHandler(contract, {
    async prepare(ctx, input): Promise<Before> {
      const { plan, place, schemaPlan } = await open(ctx, input);
      return insideOf(place, ctx, plan.database, async (client) => {
        const { rows } = await client.query<Before>(
          `select pg_catalog.obj_description(oid, 'pg_namespace') as comment from pg_catalog.pg_namespace where nspname = $1`,
          [schemaPlan.schema],
        );
        return rows[0] ?? { comment: null };
      });
    },
    async run(ctx, input): Promise<Output> {
      const { schemaPlan } = await open(ctx, input);
      const { plan, place, backup, file } = await openRestore(deps, ctx, input);
      const contents = await contentsOf(backup, file);
      await requireCopy(ctx, { place, plan });
      const definitions = await readDefinitions(ctx, place, plan.into, schemaPlan.schema);
      await insideOf(place, ctx, plan.into, async (copy) => {
        const catalog = await retellViews(copy, contents.catalog, await readCatalog(portOf(copy)));
        await copy.query("begin transaction isolation level repeatable read, read only; set local search_path = ''");
        return inTransaction(ctx, place, plan.database, (client) =>
          exchangeSchema(ctx, client, schemaPlan, { definitions, contents, catalog, copy }),
        );
      });
      return toOutput(schemaPlan);
    },
    async probe(ctx, input): Promise<Probe<Output>> {
      const { plan, place, schemaPlan } = await open(ctx, input);
      await endSessionsOf({ ...place, database: maintenance(plan.database) }, ctx.key);
      const standing = await insideOf(place, ctx, plan.database, (client) => standingOf(client, schemaPlan, ctx.runId));
      if (standing.is === 'before') return { state: 'absent' };
      if (standing.is === 'foreign') throw otherSchema(schemaPlan, standing);
      return { state: 'applied', output: toOutput(schemaPlan) };
    },
    async mayUndo(ctx, input, _before, output): Promise<MayUndo> {
      const { plan, place, schemaPlan } = await open(ctx, input);
      return insideOf(place, ctx, plan.database, async (client) => {
        const standing = await standingOf(client, schemaPlan, ctx.runId);
        if (standing.is === 'before' && output !== undefined) return keptIsGone(schemaPlan);
        if (standing.is !== 'exchanged') return { ok: true };
        await client.query("select pg_catalog.set_config('search_path', '', false)");
        try {
          requireMovable(schemaPlan.schema, await readReferences(client, schemaPlan.schema));
          return { ok: true };
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          return { ok: false, code: error.code, message: error.message, fix: error.fix ?? 'Remove what holds the restored schema.' };
        }
      });
    },
    async undo(ctx, input, before: Before) {
      const { plan, place, schemaPlan } = await open(ctx, input);
      const noted = await notedOf(deps, ctx, input);
      await inTransaction(ctx, place, plan.database, async (client) => {
        const standing = await standingOf(client, schemaPlan, ctx.runId);
        if (standing.is === 'foreign') throw otherSchema(schemaPlan, standing);
        if (standing.is === 'exchanged') await takeSchemaBack(ctx, client, schemaPlan, noted, before, standing.restored);
      });
    },
  });
}

async function open(ctx: EffectContext, input: Input) {
  const schemaPlan = await readSchemaPlan(ctx, { plan: input.schemaPlan, planHash: input.schemaPlanHash });
  return { ...(await openPlan(ctx, input)), schemaPlan };
}

/** Undefined when the backup cannot be read any more: the way back does not hang on it. */
async function notedOf(deps: BackupDeps, ctx: EffectContext, input: Input): Promise<Noted | undefined> {
  try {
    const { plan, place, backup, file } = await openRestore(deps, ctx, input);
    const contents = await contentsOf(backup, file);
    return await insideOf(place, ctx, plan.database, async (client) => ({
      contents,
      catalog: await retellViews(client, contents.catalog, await readCatalog(portOf(client))),
    }));
  } catch (error) {
    if (ctx.signal.aborted) throw error;
    return undefined;
  }
}

function toOutput({ schema, keepAs, references, lost, tables, rows, objects }: SchemaPlan): Output {
  const made = describeReferences(references).length + describeReferences(lost).length;
  return { schema, keptAs: keepAs, tables, rows, objects, repointed: made };
}

const otherSchema = ({ schema, keepAs }: SchemaPlan, standing: Standing) =>
  changedBySomebodyElse(`The schema ${quoteVendorText(schema)}, or the one kept as ${quoteVendorText(keepAs)},`, { standing });

function keptIsGone({ keepAs }: SchemaPlan): MayUndo {
  return {
    ok: false,
    code: 'KEPT_SCHEMA_GONE',
    message: `What was in use was kept as ${quoteVendorText(keepAs)}, and that schema is not there any more.`,
    fix: 'There is nothing to go back to in this database; restore an earlier backup.',
  };
}
