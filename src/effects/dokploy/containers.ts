/** What Dokploy says about containers, read without wishful thinking: an empty list is unknown, never "stopped". Pure. */
import type { ContainerAnswer } from './schemas.ts';

export type ContainerHealth = 'healthy' | 'unhealthy' | 'starting' | 'none' | 'exited' | 'restarting';

export type Container = {
  containerId: string;
  name: string;
  /** Compose service, read from `<appName>-<service>-<n>`; null when the name is of another form. */
  service: string | null;
  /** Docker's word: running, exited, restarting, created, paused, dead. */
  state: string;
  health: ContainerHealth;
  /** Set for exited containers. */
  exitCode: number | null;
};

export type Containers = { state: 'known'; rows: Container[] } | { state: 'unknown'; say: string };

/** Reads one row; `none` means running without a health check, or not yet started. */
export function parseContainer(row: ContainerAnswer, appName: string): Container {
  const exit = /^Exited \((\d+)\)/i.exec(row.status);
  return {
    containerId: row.containerId,
    name: row.name,
    service: serviceOf(row.name, appName),
    state: row.state,
    health: healthOf(row.state.toLowerCase(), row.status),
    exitCode: exit ? Number(exit[1]) : null,
  };
}

function serviceOf(name: string, appName: string): string | null {
  const bare = name.replace(/^\//, '');
  if (!bare.startsWith(`${appName}-`) && !bare.startsWith(`${appName}_`)) return null;
  const match = /^(.+?)[-_]\d+$/.exec(bare.slice(appName.length + 1));
  return match?.[1] ?? null;
}

function healthOf(state: string, status: string): ContainerHealth {
  if (state === 'restarting' || /^Restarting/i.test(status)) return 'restarting';
  if (state === 'exited' || state === 'dead' || /^(Exited|Dead)/i.test(status)) return 'exited';
  if (/\(unhealthy\)/i.test(status)) return 'unhealthy';
  if (/\(health: starting\)/i.test(status)) return 'starting';
  if (/\(healthy\)/i.test(status)) return 'healthy';
  return 'none';
}

/** Dokploy answers an empty list, or nothing, when it cannot reach Docker at all. */
export function toContainers(answer: ContainerAnswer[] | undefined, appName: string): Containers {
  if (answer === undefined || answer.length === 0) {
    return { state: 'unknown', say: 'Dokploy lists no containers; it answers so both when none exist and when it cannot ask Docker.' };
  }
  return { state: 'known', rows: answer.map((row) => parseContainer(row, appName)) };
}
