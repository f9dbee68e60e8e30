/**
 * The rows of the pretended Dokploy server, kept in one JSON file so that a restart finds them again.
 * 1. The file is replaced atomically and readable by its owner only: environments hold secrets.
 * 2. Deploy jobs are not in it: like the real server, a restart loses them, and rows that ran become cancelled.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { ComposeRow, DeploymentRow, DomainRow, EnvironmentRow, MountRow, ProjectRow, ScheduleRow } from './rows.ts';

/** What the last deployment brought up: the settings the containers run with. */
export type StackRecord = {
  composeId: string;
  appName: string;
  services: StackService[];
  /** The domain rows as of the last deployment (labels on the containers). */
  domains: DomainRow[];
  /** Host to the time from which its certificate is served; null = never. */
  certificates: Record<string, number | null>;
  /** Text of the file mount that the gateway reads. */
  kongYml: string;
  /** Gateway key literals differ from the environment (fault bad-key). */
  badKeys: boolean;
  /** The password the roles got at first boot; empty before. */
  bootPassword: string;
  startedAt: number;
  /** Service to its container: a deployment that changes nothing of a service keeps its container, as docker compose does. */
  containers?: Record<string, { id: string; of: string; createdAt: number; restartedAt?: number; ill?: boolean; stoppedAt?: number }>;
  phase: 'starting' | 'healthy' | 'unhealthy' | 'stopped';
};

export type StackService = { name: string; image: string; env: Record<string, string>; command: string[]; healthcheck: boolean };

export type Rows = {
  projects: ProjectRow[];
  environments: EnvironmentRow[];
  composes: ComposeRow[];
  domains: DomainRow[];
  mounts: MountRow[];
  deployments: DeploymentRow[];
  deploymentLogs: Record<string, string>;
  schedules: ScheduleRow[];
  stacks: StackRecord[];
  jobCount: number;
  domainCount: number;
};

export type State = { rows: Rows; save(): void };

const emptyRows = (): Rows => ({
  projects: [],
  environments: [],
  composes: [],
  domains: [],
  mounts: [],
  deployments: [],
  deploymentLogs: {},
  schedules: [],
  stacks: [],
  jobCount: 0,
  domainCount: 0,
});

/** Opens the state file and does what Dokploy does at start: running deployments become cancelled, their services idle. */
export function openState(file: string): State {
  // The file is written only by save() below, in a folder that belongs to this sandbox.
  const rows: Rows = existsSync(file) ? { ...emptyRows(), ...(JSON.parse(readFileSync(file, 'utf8')) as Rows) } : emptyRows();
  for (const deployment of rows.deployments.filter((row) => row.status === 'running')) {
    deployment.status = 'cancelled';
    const compose = rows.composes.find((row) => row.composeId === deployment.composeId);
    if (compose !== undefined) compose.composeStatus = 'idle';
  }
  const state: State = {
    rows,
    save() {
      writeFileSync(`${file}.new`, JSON.stringify(rows), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
  };
  state.save();
  return state;
}
