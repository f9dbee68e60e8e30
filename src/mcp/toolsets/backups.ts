/** The tools of the toolset `backups` as data; what writes is a workflow: backup, restore, cleanup-backups. */
import { z } from 'zod';
import type { Annotations, ToolDefinition } from '../tool.ts';

const reads: Annotations = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false };

export const listBackups = {
  name: 'list_backups',
  description:
    'List the backups of the index, newest first. They are made, restored and removed by the workflows backup, restore, cleanup-backups.',
  input: z.strictObject({
    target: z.string().min(1).max(120).optional(),
    limit: z.int().min(1).max(200).optional(),
    cursor: z.string().max(100).optional(),
  }),
  output: { type: 'object', properties: { backups: { type: 'array' }, keyEscrowed: { type: 'boolean' } }, required: ['backups'] },
  annotations: reads,
} satisfies ToolDefinition;

export const verifyBackup = {
  name: 'verify_backup',
  description: 'Read a backup whole: manifest, hashes, decryption to nothing, pg_restore --list, rows counted again. Applies nothing.',
  input: z.strictObject({ backup: z.string().min(1).max(120) }),
  output: {
    type: 'object',
    properties: { id: { type: 'string' }, files: { type: 'integer' }, rows: { type: 'integer' }, next: { type: 'object' } },
    required: ['id', 'next'],
  },
  annotations: { ...reads, openWorldHint: true },
} satisfies ToolDefinition;
