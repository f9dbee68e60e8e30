/** The verdict on a stack's containers. Pure. Invariant: unknown is never healthy, and a missing container is not a healthy one. */
import type { Container, Containers } from './containers.ts';

export type ServiceWish = { name: string; healthcheck: boolean };

export type Health = {
  verdict: 'healthy' | 'pending' | 'unknown';
  healthy: number;
  withoutCheck: number;
  /** Ended with exit code 0 and without a health check: a one-shot task. */
  finished: number;
  /** Services that are not there yet, each with what is known. */
  waiting: { service: string; state: string }[];
  say: string;
};

export function judgeHealth(services: readonly ServiceWish[], containers: Containers): Health {
  if (containers.state === 'unknown') {
    return {
      verdict: 'unknown',
      healthy: 0,
      withoutCheck: 0,
      finished: 0,
      waiting: services.map(({ name }) => ({ service: name, state: 'unknown' })),
      say: containers.say,
    };
  }
  const health: Health = { verdict: 'pending', healthy: 0, withoutCheck: 0, finished: 0, waiting: [], say: '' };
  for (const service of services) {
    const rows = containers.rows.filter((row) => row.service === service.name);
    const states = rows.map((row) => judgeContainer(row, service));
    const worst = states.find((state) => state !== 'healthy' && state !== 'running' && state !== 'finished');
    const first = states[0];
    if (first === undefined) health.waiting.push({ service: service.name, state: 'no container' });
    else if (worst !== undefined) health.waiting.push({ service: service.name, state: worst });
    else if (first === 'healthy') health.healthy += 1;
    else if (first === 'running') health.withoutCheck += 1;
    else health.finished += 1;
  }
  const ready = health.healthy + health.withoutCheck + health.finished;
  if (services.length > 0 && health.waiting.length === 0) health.verdict = 'healthy';
  health.say = `${ready} of ${services.length} services are ready`;
  return health;
}

/** `healthy`, `running` and `finished` are good; anything else names what is wrong. */
function judgeContainer(row: Container, service: ServiceWish): string {
  switch (row.health) {
    case 'healthy':
      return 'healthy';
    case 'none':
      if (row.state !== 'running') return row.state;
      // A service that has a check shows "starting" until the first one; without any sign its check was not taken over.
      return service.healthcheck ? 'running, its check has not reported' : 'running';
    case 'exited':
      if (row.exitCode === 0 && !service.healthcheck) return 'finished';
      return row.exitCode === null ? 'exited' : `exited with code ${row.exitCode}`;
    case 'unhealthy':
    case 'starting':
    case 'restarting':
      return row.health;
    default:
      return row.health satisfies never;
  }
}
