/** Planning a rebuild: nothing is written, what is stored is deployed; the plan says what that changes in what runs. */
import { planRebuild as contract } from '../../../machines/effects/rebuild.ts';
import { AppError } from '../../errors.ts';
import type { DokployClient } from '../dokploy/client.ts';
import { type DokployDeps, openDokploy } from '../dokploy/session.ts';
import { defineHandler } from '../handler.ts';
import { planChange } from './plan.ts';
import { pendingChanges, type Running } from './running.ts';
import { readSnapshot } from './snapshot.ts';

export function planRebuild(deps: DokployDeps) {
  return defineHandler(contract, {
    async run(ctx, input) {
      const snapshot = await readSnapshot(ctx, input.snapshot);
      const client = await openDokploy(deps, ctx, input.dokploy);
      const running = await runningContainers(client, snapshot.appName, snapshot.serverId);
      const pending = running && pendingChanges(snapshot.compose, snapshot.env, running);
      const names = pending?.recreated ?? [];
      return planChange(ctx, snapshot, {
        workflow: 'rebuild',
        deploy: true,
        ...(pending ? { recreated: names } : {}),
        say:
          pending && names.length === 0
            ? 'What is stored is deployed again; by their settings no container has to be made anew.'
            : pending
              ? `What is stored is deployed; it differs from what runs in ${names.join(', ')}.`
              : 'What is stored is deployed.',
        warnings: names.map((service) => ({
          code: `DIFFERS_${service.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`,
          say: `${service} runs with other settings than are stored: ${pending?.why[service] ?? ''}.`,
        })),
      });
    },
  });
}

/** Null when Docker cannot be asked. */
async function runningContainers(client: DokployClient, appName: string, serverId: string | null): Promise<Running[] | null> {
  const found = await client.containers(appName, serverId);
  if (found.state === 'unknown') return null;
  const out: Running[] = [];
  for (const { service, containerId } of found.rows) {
    if (service === null) continue;
    const config = await client.containerConfig(containerId, serverId).catch((error: unknown) => {
      if (error instanceof AppError && error.code !== 'ABORTED') return undefined;
      throw error;
    });
    if (!config) return null;
    out.push({ service, ...config });
  }
  return out;
}
