/** The tools of the toolset `monitoring` as data. */
import { z } from 'zod';
import type { Annotations, ToolDefinition } from '../tool.ts';

const looks: Annotations = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true };
const target = z.string();
const text = { type: 'string' };
const object = { type: 'object' };

export const monitorConnections = {
  name: 'monitor_connections',
  description:
    'Show who holds the database connections, by service and idle ones too, how near the limit is, and which change takes effect.',
  input: z.strictObject({ target }),
  output: {
    type: 'object',
    properties: { level: text, current: { type: 'integer' }, byService: { type: 'array' } },
    required: ['level', 'current', 'byService'],
  },
  annotations: looks,
} satisfies ToolDefinition;

export const databaseStats = {
  name: 'database_stats',
  description: 'Show sizes, cache hits, slow statements, locks, long transactions, replication slots and lag of a database.',
  input: z.strictObject({ target }),
  output: { type: 'object', properties: { findings: { type: 'array' }, tables: object }, required: ['findings', 'tables'] },
  annotations: looks,
} satisfies ToolDefinition;

export const advisors = {
  name: 'advisors',
  description: 'Check a database for security and performance mistakes, such as tables without row security or foreign keys without index.',
  input: z.strictObject({ target, category: z.enum(['SECURITY', 'PERFORMANCE']).optional() }),
  output: { type: 'object', properties: { advice: { type: 'array' }, objects: object }, required: ['advice'] },
  annotations: looks,
} satisfies ToolDefinition;
