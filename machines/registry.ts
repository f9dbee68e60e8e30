import { repairKeys } from './repair-keys.ts';
import { backup } from './backup.ts';
import { restartService } from './restart-service.ts';
import { setupSupabase } from './setup-supabase.ts';
import type { WorkflowDefinition } from './workflow.ts';

/** Every workflow of the house, by name; each is defined beside its machine. */
export const workflows = {
  backup,
  'setup-supabase': setupSupabase,
  'restart-service': restartService,
  'repair-keys': repairKeys,
} as const satisfies Record<string, WorkflowDefinition>;

export type WorkflowName = keyof typeof workflows;
