/**
 * One command inside a container of a service: a disabled schedule run by hand is Dokploy's only way. Invariants:
 * 1. The schedule carries our sign and a random part; it is removed again whatever happens, and with it its log.
 * 2. Left-overs of processes that died are removed before a new one is made, once they are an hour old: a younger one may still be running.
 */
import { randomBytes } from 'node:crypto';
import { AppError } from '../../errors.ts';
import type { DokployClient } from './client.ts';

type Client = Pick<DokployClient, 'schedules' | 'createSchedule' | 'runSchedule' | 'deploymentLog' | 'deleteSchedule'>;
export type ContainerPlace = { composeId: string; serviceName: string };

const sign = 'capstan exec';
const leftOverMs = 60 * 60_000;

/** Answers what the command printed. Throws EXEC_FAILED when this Dokploy does not tell, and the codes of the client. */
export async function runInContainer(
  client: Client,
  place: ContainerPlace,
  command: string,
  timeoutMs: number,
  now = Date.now(),
): Promise<string> {
  await removeLeftOvers(client, place.composeId, now);
  const { scheduleId } = await client.createSchedule({ name: `${sign} ${now} ${randomBytes(4).toString('hex')}`, ...place, command });
  try {
    const run = await client.runSchedule(scheduleId, timeoutMs);
    if (run === true)
      throw new AppError('EXEC_FAILED', {
        message: 'This Dokploy ran the command without saying where its output is.',
        fix: 'Update Dokploy to 0.29.14 or later.',
        applied: 'unknown',
      });
    return await client.deploymentLog(run.deploymentId, 10_000);
  } finally {
    await client.deleteSchedule(scheduleId);
  }
}

async function removeLeftOvers(client: Client, composeId: string, now: number): Promise<void> {
  for (const { name, scheduleId } of await client.schedules(composeId)) {
    const madeAt = new RegExp(`^${sign} (\\d+) `).exec(name)?.[1];
    if (madeAt !== undefined && Number(madeAt) < now - leftOverMs) await client.deleteSchedule(scheduleId);
  }
}
