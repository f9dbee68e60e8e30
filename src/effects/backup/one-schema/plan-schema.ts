/** What exchanging one schema will do, read from the database in use and from the proven copy beside it; nothing is written. */
import { planSchema as contract } from '../../../../machines/effects/restore-schema.ts';
import type { Warning } from '../../../../machines/effects/shapes.ts';
import { defineHandler } from '../../handler.ts';
import { escapeInvisible, quoteVendorText } from '../../http/vendor-text.ts';
import { sha256Of } from '../book.ts';
import { compareCatalogs } from '../compare-catalogs.ts';
import type { BackupDeps } from '../deps.ts';
import { insideOf, openRestore } from '../restore-document.ts';
import { contentsOf } from '../verify.ts';
import { requireCopy } from './copy.ts';
import { type SchemaPlan, schemaOf } from './document.ts';
import { type Look, lookAtSchema, requireMovable, requireSchema } from './look.ts';
import { goneOf, lostOf, noneLost } from './lost.ts';
import { describeReferences, type Membership, membershipsOf } from './repoint.ts';
import { catalogWithin, rowsWithin } from './within.ts';

const shown = 50;

export function planSchema(deps: BackupDeps) {
  return defineHandler(contract, {
    async run(ctx, input) {
      const { plan, place, backup, file } = await openRestore(deps, ctx, input);
      const schema = schemaOf(plan);
      const contents = await contentsOf(backup, file);
      requireSchema(contents, schema);
      await requireCopy(ctx, { place, plan });
      const inUse = await insideOf(place, ctx, plan.database, (client) => lookAtSchema(client, schema));
      const copy = await insideOf(place, ctx, plan.into, (client) => lookAtSchema(client, schema));
      requireMovable(schema, inUse.references, copy.references);
      const stamp = new Date(ctx.now()).toISOString().replace(/\D/g, '').slice(0, 14);
      const wanted = membershipsOf(copy.catalog, schema);
      const publications = inUse.catalog.publications.filter(({ allTables }) => !allTables).map(({ name }) => name);
      const lost = input.leaveLost ? noneLost : lostOf(copy.references, inUse.catalog);
      const { tables, rows } = rowsWithin(contents, schema);
      const within = catalogWithin(contents.catalog, schema, publications);
      const document: SchemaPlan = {
        version: 1,
        schema,
        keepAs: `${beginning(schema)}_before_${stamp}`,
        asideAs: `${beginning(schema)}_undone_${stamp}`,
        existed: inUse.existed,
        references: inUse.references,
        lost,
        publications,
        members: membershipsOf(inUse.catalog, schema),
        joins: wanted.filter(({ name }) => publications.includes(name)),
        tables: tables.length,
        rows,
        objects: compareCatalogs(within, within).objects,
      };
      const gone = goneOf(copy.references, inUse.catalog);
      const text = JSON.stringify(document);
      return {
        schemaPlan: await ctx.artifacts.put('plan', 'application/json', text),
        schemaPlanHash: sha256Of(text),
        schema,
        keepAs: document.keepAs,
        tables: tables.length,
        rows,
        ...tablesThatChange(inUse, copy, schema),
        repoints: describeReferences(inUse.references).slice(0, shown),
        makesAgain: describeReferences(lost).slice(0, shown),
        moreRepoints: Math.max(0, describeReferences(inUse.references).length - shown),
        publications: document.joins.map(({ name }) => said(name)),
        keepCopy: plan.keepCopy,
        say: sayFor(document),
        writes: writesOf(document, plan.keepCopy ? null : plan.into),
        warnings: warningsOf(document, wanted, gone),
      };
    },
  });
}

/** What of the plan belongs into the question to a person. */
function sayFor({ schema, keepAs, existed, references, lost, rows }: SchemaPlan): string {
  const again = describeReferences(lost).length;
  return [
    `The schema ${quoteVendorText(schema)} returns with ${rows} rows.`,
    existed ? `What it is now stays as ${quoteVendorText(keepAs)}.` : 'There is none of that name now.',
    `${describeReferences(references).length} objects of other schemas follow it${again === 0 ? '' : `, and ${again} that were dropped since are made again`}.`,
  ].join(' ');
}

/** Names are cut by their bytes: Postgres keeps 63. */
function beginning(schema: string): string {
  let text = schema;
  while (Buffer.byteLength(text) > 40) text = [...text].slice(0, -1).join('');
  return text;
}

const said = (name: string): string => escapeInvisible(name).slice(0, 200);

/** Tables and views that are in one of the two only. */
function tablesThatChange(inUse: Look, copy: Look, schema: string): { returns: string[]; goes: string[] } {
  const namesIn = ({ catalog }: Look) => catalog.relations.filter((row) => row.schema === schema).map(({ name }) => name);
  const [now, then] = [namesIn(inUse), namesIn(copy)];
  const without = (names: string[], others: string[]) =>
    names
      .filter((name) => !others.includes(name))
      .map(said)
      .slice(0, shown);
  return { returns: without(then, now), goes: without(now, then) };
}

function writesOf({ schema, keepAs, existed, references, lost, joins, rows }: SchemaPlan, drops: string | null): string[] {
  const [name, kept] = [said(schema), said(keepAs)];
  const count = describeReferences(references).length;
  const again = describeReferences(lost).length;
  return [
    'in one transaction on the database in use, which a failure anywhere takes back whole:',
    existed ? `rename the schema ${name} to ${kept}` : `make an empty schema ${kept}, since there is no ${name} now`,
    `make the schema ${name} as in the backup, with ${rows} rows, owners, grants and default privileges`,
    ...(count === 0 ? [] : [`point ${count} objects of other schemas to it`]),
    ...(again === 0 ? [] : [`make ${again} of them again that were dropped since the backup`]),
    ...(joins.length === 0 ? [] : [`make its tables members of ${joins.length} publications, as in the backup`]),
    'compare definitions, owners, grants, sequences and every row with the backup before it is confirmed',
    ...(drops === null ? [] : [`afterwards drop the copy ${said(drops)}, which was only where it came from`]),
  ];
}

function warningsOf({ keepAs, existed, references, joins }: SchemaPlan, wanted: readonly Membership[], gone: readonly string[]): Warning[] {
  const absent = wanted.filter(({ name }) => !joins.some((each) => each.name === name));
  const refusing = references.pointOut.filter(({ gives }) => !gives);
  const following = references.pointOut.length - refusing.length;
  const [first] = refusing;
  return [
    ...(existed
      ? []
      : [{ code: 'SCHEMA_ABSENT', say: 'The database in use has no such schema now: nothing is replaced, it only returns.' }]),
    ...(gone.length === 0
      ? []
      : [
          {
            code: 'NOT_MADE_AGAIN',
            say: `Other schemas had ${gone.length} views or routines on this one that are not there any more and are not made again: ${gone
              .slice(0, 10)
              .map((line) => quoteVendorText(line))
              .join(', ')}. Their definitions are in the copy beside, which stays with keepCopy.`,
          },
        ]),
    ...(absent.length === 0
      ? []
      : [
          {
            code: 'PUBLICATION_ABSENT',
            say: `Publications of the backup are not there any more, so no table joins them: ${absent.map(({ name }) => quoteVendorText(name)).join(', ')}.`,
          },
        ]),
    ...(first === undefined
      ? []
      : [
          {
            code: 'KEPT_REFUSES',
            say: `What is kept as ${quoteVendorText(keepAs)} still refers to other schemas by ${refusing.length} foreign keys: as long as it is kept, a row that it refers to cannot be deleted there, such as of ${quoteVendorText(`${first.to.schema}.${first.to.name}`)}.`,
          },
        ]),
    ...(following === 0
      ? []
      : [
          {
            code: 'KEPT_FOLLOWS',
            say: `${following} foreign keys of what is kept follow a deletion in other schemas: the kept rows go with the row that they refer to.`,
          },
        ]),
  ];
}
