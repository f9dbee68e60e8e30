/** The tools of the toolset `development` as data. */
import { z } from 'zod';
import type { Annotations, ToolDefinition } from '../tool.ts';
import { maxWaitMs } from './core.ts';

/** Reads a database and writes a new file of ours beside it. */
const looks: Annotations = { readOnlyHint: true, destructiveHint: false, idempotentHint: false, openWorldHint: true };
const target = z.string();
const schemas = z.array(z.string()).min(1).max(50).optional();
const text1000 = z.string().min(1).max(1_000);
const text = { type: 'string' };
const file = { type: 'object', properties: { path: text, bytes: { type: 'integer' } } };

export const generateTypes = {
  name: 'generate_types',
  description: 'Write the TypeScript types of a database, as supabase gen types does, to a file on the machine that runs Capstan.',
  input: z.strictObject({ target, schemas: schemas.describe('Default: public') }),
  output: { type: 'object', properties: { file, next: { type: 'object' } }, required: ['file'] },
  annotations: looks,
} satisfies ToolDefinition;

export const seedDatabase = {
  name: 'seed_database',
  description: 'Start a run that seeds a database from a .sql file in one transaction, once; a person approves the statements first.',
  input: z.strictObject({
    target,
    file: text1000.describe('Absolute path where Capstan runs'),
    as: z.string().optional().describe('Name of its record'),
    requestKey: z.string().min(1).max(120).optional(),
    waitMs: z.int().min(0).max(maxWaitMs).optional(),
  }),
  output: {
    type: 'object',
    properties: { runId: text, status: text, version: { type: 'integer' }, next: { type: 'object' } },
    required: ['runId', 'status', 'version', 'next'],
  },
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
} satisfies ToolDefinition;

export const describeSchema = {
  name: 'describe_schema',
  description: 'Write a Markdown document of the schema of a database to a file on the machine that runs Capstan.',
  input: z.strictObject({ target, schemas: schemas.describe('Default: those of the user') }),
  output: { type: 'object', properties: { file, next: { type: 'object' } }, required: ['file'] },
  annotations: looks,
} satisfies ToolDefinition;
