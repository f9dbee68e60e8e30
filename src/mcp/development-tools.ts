/** The tools for people who write applications: what they make goes to a file that the answer names. */
import { fenced } from './fence.ts';
import { defineTool } from './tool.ts';
import * as development from './toolsets/development.ts';
import { waited } from './waiting.ts';

/** As much text as an answer carries beside the file. */
const shownBytes = 16_000;

export const generateTypes = defineTool(development.generateTypes, async ({ target, schemas = ['public'] }, call) => {
  call.progress('Reading the catalog and writing the types');
  const { text, ...rest } = await call.app.database.types(target, schemas, { toFile: true, signal: call.signal });
  return { ...rest, ...shown('TypeScript types', text), next: copyIt('the types') };
});

export const describeSchema = defineTool(development.describeSchema, async ({ target, schemas }, call) => {
  call.progress('Reading the catalog and writing the document');
  const { text, ...rest } = await call.app.database.describe(target, schemas, { toFile: true, signal: call.signal });
  return { ...rest, ...shown('Markdown document', text), next: copyIt('the document') };
});

/** The run plans and waits for a person; nothing is written by this call. */
export const seedDatabase = defineTool(development.seedDatabase, async ({ target, file, as, requestKey, waitMs }, call) => {
  const input = { target, file, ...(as === undefined ? {} : { as }) };
  return waited(await call.app.engine.start({ workflow: 'seed-database', input, requestKey }, call.caller), waitMs, call);
});

function shown(what: string, text: string): { content?: ReturnType<typeof fenced> } {
  return Buffer.byteLength(text) > shownBytes ? {} : { content: fenced(what, text, { maxBytes: shownBytes }) };
}

function copyIt(what: string): { who: 'you'; say: string } {
  return { who: 'you', say: `Copy ${what} from the file to where the project wants it; the file is removed after a day.` };
}
