import { backup } from './backup.ts';
import { cleanupBackups } from './cleanup-backups.ts';
import { enableReadOnly } from './enable-read-only.ts';
import { grantAccess } from './grant-access.ts';
import { installBridge } from './install-bridge.ts';
import { manageDomain } from './manage-domain.ts';
import { rebuild } from './rebuild.ts';
import { removeBridge } from './remove-bridge.ts';
import { removeInstance } from './remove-instance.ts';
import { repairKeys } from './repair-keys.ts';
import { resizePool } from './resize-pool.ts';
import { restartService } from './restart-service.ts';
import { restore } from './restore.ts';
import { restoreConfig } from './restore-config.ts';
import { rotateSecrets } from './rotate-secrets.ts';
import { runSql } from './run-sql.ts';
import { seedDatabase } from './seed-database.ts';
import { setupSupabase } from './setup-supabase.ts';
import { updateEnv } from './update-env.ts';
import type { WorkflowDefinition } from './workflow.ts';

/** Every workflow of the house, by name; each is defined beside its machine. */
export const workflows = {
  'setup-supabase': setupSupabase,
  'restart-service': restartService,
  'repair-keys': repairKeys,
  'seed-database': seedDatabase,
  'update-env': updateEnv,
  'restore-config': restoreConfig,
  backup,
  restore,
  'run-sql': runSql,
  'grant-access': grantAccess,
  'enable-read-only': enableReadOnly,
  'install-bridge': installBridge,
  'remove-bridge': removeBridge,
  rebuild,
  'rotate-secrets': rotateSecrets,
  'resize-pool': resizePool,
  'manage-domain': manageDomain,
  'remove-instance': removeInstance,
  'cleanup-backups': cleanupBackups,
} as const satisfies Record<string, WorkflowDefinition>;

export type WorkflowName = keyof typeof workflows;
