import { createHash, randomBytes } from 'node:crypto';
import type { DomainRow } from '../rows.ts';
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

/** How long after a restart the first check of a container's health reports. */
const firstCheckMs = 1_000;

/** The health that docker would show in brackets. */
function healthOf(stack: StackRecord, service: StackService, now: number): string {
  if (!service.healthcheck) return '';
  const own = stack.containers?.[service.name];
  if (stack.phase === 'healthy' && own?.ill === true) return ' (unhealthy)';
  if (stack.phase === 'healthy' && now - (own?.restartedAt ?? 0) < firstCheckMs) return ' (health: starting)';
  if (stack.phase === 'healthy') return ' (healthy)';
  if (stack.phase === 'unhealthy' && service.name === 'db') return ' (unhealthy)';
  return ' (health: starting)';
}

type Containers = NonNullable<StackRecord['containers']>;

/** As docker compose decides: a service whose settings or labels changed gets a new container, any other keeps its own. */
export function containersAfter(
  before: StackRecord | undefined,
  { services, domains }: { services: readonly StackService[]; domains: readonly DomainRow[] },
  now: number,
): Containers {
  return Object.fromEntries(
    services.map((service) => {
      const labels = domains
        .filter(({ serviceName }) => serviceName === service.name)
        .map(({ host, https, port, path }) => [host, https, port, path]);
      const of = createHash('sha256')
        .update(JSON.stringify([service, labels]))
        .digest('hex');
      const kept = before?.containers?.[service.name];
      const fresh = { id: randomBytes(6).toString('hex'), of, createdAt: now };
      if (kept?.of !== of) return [service.name, fresh];
      // One that was stopped is started again, as it is.
      const { stoppedAt, ...own } = kept;
      return [service.name, stoppedAt === undefined ? kept : { ...own, restartedAt: now }];
    }),
  );
}

/** When a container was last started; one that a deployment kept runs on. */
export function startOf(stack: StackRecord, service: string): number {
  const own = stack.containers?.[service];
  return own?.restartedAt ?? Math.min(stack.startedAt, own?.createdAt ?? stack.startedAt);
}

/** One row per service of a stack, as `docker ps -a` lists them. */
export function containersOf(stack: StackRecord, now: number): Container[] {
  return stack.services.map((service) => {
    const name = `${stack.appName}-${service.name}-1`;
    const own = stack.containers?.[service.name];
    const containerId = own?.id ?? createHash('sha256').update(name).digest('hex').slice(0, 12);
    const since = dockerDuration(now - startOf(stack, service.name));
    if (stack.phase === 'stopped') return { containerId, name, state: 'exited', status: `Exited (0) ${since} ago`, image: service.image };
    if (own?.stoppedAt !== undefined) {
      const ago = dockerDuration(now - own.stoppedAt);
      return { containerId, name, state: 'exited', status: `Exited (0) ${ago} ago`, image: service.image };
    }
    // What waits for an unhealthy database is created and never started.
    if (stack.phase === 'unhealthy' && service.name !== 'db')
      return { containerId, name, state: 'created', status: 'Created', image: service.image };
    return { containerId, name, state: 'running', status: `Up ${since}${healthOf(stack, service, now)}`, image: service.image };
  });
}
