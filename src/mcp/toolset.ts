import { diagnoseTarget, inspectRun, listTargets, listWorkflows } from './look-tools.ts';
import { advanceRun, cancelRun, listRuns, rollbackRun, startWorkflow } from './run-tools.ts';
import type { Tool } from './tool.ts';

/** The tools that are always on, in the order in which they are listed. */
export const coreTools: readonly Tool[] = [
  listWorkflows,
  startWorkflow,
  advanceRun,
  inspectRun,
  rollbackRun,
  cancelRun,
  listRuns,
  listTargets,
  diagnoseTarget,
];
