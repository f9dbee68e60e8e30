import type { z } from 'zod';
import type { backupPlan, prepareKey, publishBackup, verifyBackup, writtenPart } from './effects/backup.ts';
import type { Warning } from './effects/shapes.ts';
import type { RunError } from './run-context.ts';

export type BackupError = RunError;

export type BackupContext = {
  target: string;
  store: string;
  kind: 'full' | 'schema' | 'data';
  parts: z.infer<typeof backupPlan>['parts'][number]['kind'][] | null;
  key: z.infer<(typeof prepareKey)['output']> | null;
  plan: z.infer<typeof backupPlan> | null;
  /** Parts that are whole, in the order of the plan; the next one is `plan.parts[written.length]`. */
  written: z.infer<typeof writtenPart>[];
  published: z.infer<(typeof publishBackup)['output']> | null;
  verified: z.infer<(typeof verifyBackup)['output']> | null;
  failedAt: 'writing' | 'publishing' | null;
  error: BackupError | null;
  warnings: Warning[];
};
