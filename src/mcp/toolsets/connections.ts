/** Tools of the group `connections` as data. */
import { z } from 'zod';
import type { ToolDefinition } from '../tool.ts';

const looks = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true };
const target = z.string();

export const testConnection = {
  name: 'test_connection',
  description:
    'Try every way to the database of an instance: direct, pooler, /pg/query, container exec; as which role, and why others fail.',
  input: z.strictObject({ target }),
  output: { type: 'object', properties: { reachable: { type: 'boolean' }, ways: { type: 'array' } }, required: ['reachable', 'ways'] },
  annotations: looks,
} satisfies ToolDefinition;

export const connect = {
  name: 'connect',
  description:
    'Say how SQL of an agent reaches an instance: the first way that works, its role and Postgres, and why better ones were passed over.',
  input: z.strictObject({ target, purpose: z.enum(['model-read', 'model-write', 'ddl']).optional() }),
  output: { type: 'object', properties: { rung: { type: 'string' }, role: { type: 'string' } }, required: ['rung', 'role'] },
  annotations: looks,
} satisfies ToolDefinition;

export const checkAccess = {
  name: 'check_access',
  description:
    'Show which role may do what in which schema. With role, schema and want: the exact grants that are missing, which grant-access gives.',
  input: z.strictObject({
    target,
    schema: z.string().optional(),
    role: z.string().optional(),
    want: z.enum(['read', 'write']).optional(),
  }),
  output: { type: 'object', properties: { access: { type: 'object' }, grants: { type: 'array' } }, required: ['access'] },
  annotations: looks,
} satisfies ToolDefinition;
