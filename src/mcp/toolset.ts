/** The groups of tools (design §5): core is always on, the others by `--toolsets` at start; the order is always the same. */
import { AppError } from '../errors.ts';
import { listBackups, verifyBackup } from './backup-tools.ts';
import { checkAccess, connect, testConnection } from './connection-tools.ts';
import { describeSchema, generateTypes, seedDatabase } from './development-tools.ts';
import { readLogs } from './log-tools.ts';
import { diagnoseTarget, inspectRun, listTargets, listWorkflows } from './look-tools.ts';
import { advisors, databaseStats, monitorConnections } from './monitoring-tools.ts';
import { advanceRun, cancelRun, listRuns, rollbackRun, startWorkflow } from './run-tools.ts';
import { inspectSchema } from './schema-tool.ts';
import { executeSql } from './sql-tools.ts';
import { approveRun } from './token-approval.ts';
import type { Tool } from './tool.ts';

/** Group to tools, in the order in which they are listed. */
export const toolsets: Readonly<Record<string, readonly Tool[]>> = {
  core: [
    listWorkflows,
    startWorkflow,
    advanceRun,
    inspectRun,
    rollbackRun,
    cancelRun,
    listRuns,
    listTargets,
    diagnoseTarget,
    executeSql,
    inspectSchema,
    readLogs,
  ],
  connections: [testConnection, connect, checkAccess],
  backups: [listBackups, verifyBackup],
  monitoring: [monitorConnections, databaseStats, advisors],
  development: [generateTypes, describeSchema, seedDatabase],
};

/** Every tool that there can be: `approve_run` is listed by the owner's configuration, by no flag. */
export const everyToolset: Readonly<Record<string, readonly Tool[]>> = { ...toolsets, 'with approvalTokens': [approveRun] };

/** The tools of the named groups, core first; `all` names every group. Throws TOOLSET_UNKNOWN. */
export function toolsOf(names: readonly string[] = []): readonly Tool[] {
  const known = Object.keys(toolsets);
  const unknown = names.find((name) => name !== 'all' && !known.includes(name));
  if (unknown !== undefined)
    throw new AppError('TOOLSET_UNKNOWN', {
      message: `There is no toolset ${JSON.stringify(unknown.slice(0, 60))}.`,
      fix: `Known are: ${known.join(', ')}, and all.`,
    });
  const on = (name: string) => name === 'core' || names.includes('all') || names.includes(name);
  return known.filter(on).flatMap((name) => toolsets[name] ?? []);
}
