/** The tools of the toolset `development` as data. */
import { z } from 'zod';
import type { Annotations, ToolDefinition } from '../tool.ts';

/** Reads a database and writes a new file of ours beside it. */
const looks: Annotations = { readOnlyHint: true, destructiveHint: false, idempotentHint: false, openWorldHint: true };
const target = z.string();
const schemas = z.array(z.string()).min(1).max(50).optional();
const text = { type: 'string' };
const file = { type: 'object', properties: { path: text, bytes: { type: 'integer' } } };

export const generateTypes = {
  name: 'generate_types',
  description: 'Write the TypeScript types of a database, as supabase gen types does, to a file on the machine that runs Capstan.',
  input: z.strictObject({ target, schemas: schemas.describe('Default: public') }),
  output: { type: 'object', properties: { file, next: { type: 'object' } }, required: ['file'] },
  annotations: looks,
} satisfies ToolDefinition;

export const describeSchema = {
  name: 'describe_schema',
  description: 'Write a Markdown document of the schema of a database to a file on the machine that runs Capstan.',
  input: z.strictObject({ target, schemas: schemas.describe('Default: those of the user') }),
  output: { type: 'object', properties: { file, next: { type: 'object' } }, required: ['file'] },
  annotations: looks,
} satisfies ToolDefinition;
