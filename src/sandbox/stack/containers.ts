import { createHash } from 'node:crypto';
import type { StackRecord, StackService } from '../state.ts';

export type Container = { containerId: string; name: string; state: string; status: string; image: string };

/** "5 seconds", "About a minute": how docker words a length of time. */
export function dockerDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds < 60) return `${seconds} second${seconds === 1 ? '' : 's'}`;
  if (seconds < 120) return 'About a minute';
  if (seconds < 3600) return `${Math.floor(seconds / 60)} minutes`;
  if (seconds < 7200) return 'About an hour';
  return `${Math.floor(seconds / 3600)} hours`;
}

/** The health that docker would show in brackets. */
function healthOf(stack: StackRecord, service: StackService): string {
  if (!service.healthcheck) return '';
  if (stack.phase === 'healthy') return ' (healthy)';
  if (stack.phase === 'unhealthy' && service.name === 'db') return ' (unhealthy)';
  return ' (health: starting)';
}

/** One row per service of a stack, as `docker ps -a` lists them. */
export function containersOf(stack: StackRecord, now: number): Container[] {
  const since = dockerDuration(now - stack.startedAt);
  return stack.services.map((service) => {
    const name = `${stack.appName}-${service.name}-1`;
    const containerId = createHash('sha256').update(name).digest('hex').slice(0, 12);
    if (stack.phase === 'stopped') return { containerId, name, state: 'exited', status: `Exited (0) ${since} ago`, image: service.image };
    // What waits for an unhealthy database is created and never started.
    if (stack.phase === 'unhealthy' && service.name !== 'db')
      return { containerId, name, state: 'created', status: 'Created', image: service.image };
    return { containerId, name, state: 'running', status: `Up ${since}${healthOf(stack, service)}`, image: service.image };
  });
}
