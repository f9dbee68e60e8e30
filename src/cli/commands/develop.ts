import { resolve } from 'node:path';
import { valuesOf } from '../arguments.ts';
import { command, withApp } from '../command.ts';
import { exitCodes } from '../exit-codes.ts';
import { writeGenerated } from '../generated-file.ts';
import type { Outcome } from '../output.ts';

const target = { type: 'string', valueHint: 'NAME', description: 'A registered target', required: true } as const;
const out = { type: 'string', valueHint: 'FILE', description: 'Write there, over an older one; default: standard output' } as const;
const schema = (usual: string) =>
  ({ type: 'string', valueHint: 'SCHEMA', description: `May be given more than once. Default: ${usual}` }) as const;

export const types = command(
  'types',
  'Write the TypeScript types of a database, as supabase gen types does',
  { target, schema: schema('public'), out },
  async ({ target: name, out: file }, raw) => {
    const named = valuesOf(raw, 'schema');
    const { text, ...rest } = await withApp((app) => app.database.types(name, named.length === 0 ? ['public'] : named));
    return printed(text, rest, file, /^export type Database = \{/m);
  },
);

export const describe = command(
  'describe',
  'Write a Markdown document of the schema of a database',
  { target, schema: schema('every schema that Supabase does not manage'), out },
  async ({ target: name, out: file }, raw) => {
    const named = valuesOf(raw, 'schema');
    const { text, ...rest } = await withApp((app) => app.database.describe(name, named.length === 0 ? undefined : named));
    return printed(text, rest, file, /^# Database schema$/m);
  },
);

function printed(text: string, rest: object, file: string | undefined, mark: RegExp): Outcome {
  if (file === undefined) return { exit: exitCodes.ok, json: { ...rest, text }, text: text.trimEnd() };
  const written = writeGenerated(resolve(file), text, mark);
  return { exit: exitCodes.ok, json: { ...rest, file: written }, text: `Wrote ${written.path} (${written.bytes} bytes).` };
}
