import type { Hints } from './walk.ts';

/** Of a plan only the kind leads anywhere; what it shows to people is one sample. */
const plan = { changes: [], recreated: [], databaseRestarts: false, writes: [], warnings: [] };

/** What the schemas of our own contracts cannot say, because a later step reads an entry of a free record by name. */
export const houseHints: Hints = {
  outputs: {
    'target.takeSnapshot@1': { hosts: [] },
    'target.prove@1': { url: null, checks: [] },
    'repairKeys.planChange@1': plan,
    'rotateSecrets.planChange@1': plan,
    'resizePool.planChange@1': plan,
    'supabase.changeDatabase@1': { changed: [] },
    'updateEnv.planChange@1': plan,
    'restoreConfig.planChange@1': plan,
    'target.listSnapshots@1': { snapshots: [] },
    'rebuild.planChange@1': plan,
    'manageDomain.planChange@1': plan,
    'dokploy.writeConfiguration@1': { written: [] },
    'dokploy.redeploy@1': { status: 'done', recreated: null },
    'target.noteChange@1': { secrets: [] },
    'backup.planBackup@1': {
      parts: ['roles', 'database'].map((kind) => ({ part: kind, kind, database: null, file: `${kind}.sql.zst.pgp`, expectBytes: 1 })),
    },
    'secrets.generateSupabase@1': {
      references: {
        ANON_KEY: 'secret:sample-anon',
        SERVICE_ROLE_KEY: 'secret:sample-service',
        POSTGRES_PASSWORD: 'secret:sample-password',
      },
    },
  },
};
