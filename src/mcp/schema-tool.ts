/** The tool that looks at schemas: names, comments and definitions are untrusted, so they stand behind a fence, page by page. */
import { legend } from '../catalog/lines.ts';
import { pageOf } from '../catalog/view.ts';
import { fenced } from './fence.ts';
import { defineTool } from './tool.ts';
import * as core from './toolsets/core.ts';

/** One page, with room for what the fence escapes and for the copy as text. */
const pageBytes = 32_000;
const schemaBytes = 8_000;

export const inspectSchema = defineTool(core.inspectSchema, async ({ target, cursor, ...question }, call) => {
  call.progress('Reading the catalog');
  const { via, schemas, lines } = await call.app.database.inspectSchema(target, question, call.signal);
  const page = pageOf(lines, cursor, pageBytes);
  const left = page.total - page.from - page.lines.length;
  return {
    target,
    via,
    ...(schemas.length === 0 ? {} : { schemas: fenced('schemas, one per line', schemas, { maxBytes: schemaBytes }) }),
    legend,
    objects: fenced('objects, one per line', page.lines),
    shown: page.lines.length,
    total: page.total,
    ...(page.nextCursor === undefined ? {} : { nextCursor: page.nextCursor }),
    next: { who: 'you' as const, say: sayNext(page.total, left) },
  };
});

function sayNext(total: number, left: number): string {
  if (total === 0) return 'There is nothing of that kind here; schemas that Supabase manages are shown only when named by schema.';
  if (left === 0) return 'This is all. For one of them whole, send its name as object.';
  return `${left} more follow: send nextCursor as cursor, or narrow by schema or object.`;
}
