/** The effect around write.ts: values first, then the containers that must see them, where no deployment follows that makes them anew. */
import { changeDatabase as contract } from '../../../../machines/effects/change.ts';
import { AppError } from '../../../errors.ts';
import type { DokployClient } from '../../dokploy/client.ts';
import { openDokploy, orMissing } from '../../dokploy/session.ts';
import { defineHandler, type EffectContext } from '../../handler.ts';
import { type ChangeDocument, readChange } from '../document.ts';
import { type ChangeDeps, untilHealthy } from '../write-effects.ts';
import { nameOf } from './cells.ts';
import { judgeDatabase, putDatabase } from './write.ts';

/** Service to the time of its container's last start. */
type Image = { startedAt: Record<string, string> };

export function changeDatabase(deps: ChangeDeps) {
  return defineHandler(contract, {
    async prepare(ctx, input): Promise<Image> {
      const { client, document } = await open(deps, ctx, input);
      return { startedAt: await starts(client, document) };
    },
    async run(ctx, input, before) {
      const { client, document } = await open(deps, ctx, input);
      if (document.database === null) return { changed: [] };
      await putDatabase(deps, ctx, document, 'after');
      await restart(deps, ctx, client, document, before);
      return { changed: document.database.cells.map(nameOf) };
    },
    async probe(ctx, input, before) {
      const { client, document } = await open(deps, ctx, input);
      if (document.database === null) return { state: 'applied', output: { changed: [] } };
      if (!(await orMissing(client.composeOne(input.composeId)))) return { state: 'absent' };
      const found = await judgeDatabase(deps, ctx, document);
      if (found.every((state) => state === 'before')) return { state: 'absent' };
      if (found.some((state) => state !== 'after'))
        return { state: 'partial', say: 'the database has some of the planned values and some others.' };
      const now = await starts(client, document);
      const waiting = Object.keys(now).filter((service) => now[service] === before?.startedAt[service]);
      if (waiting.length > 0) return { state: 'partial', say: `the values stand there; ${waiting.join(', ')} was not restarted yet.` };
      return { state: 'applied', output: { changed: document.database.cells.map(nameOf) } };
    },
    async undo(ctx, input) {
      const { client, document } = await open(deps, ctx, input);
      if (document.database === null || !(await orMissing(client.composeOne(input.composeId)))) return;
      const put = await putDatabase(deps, ctx, document, 'before');
      if (put.length > 0) await restart(deps, ctx, client, document, { startedAt: await starts(client, document) });
    },
  });
}

async function open(
  deps: ChangeDeps,
  ctx: EffectContext,
  input: { dokploy: string; plan: string; planHash: string },
): Promise<{ client: DokployClient; document: ChangeDocument }> {
  const document = await readChange(ctx, input);
  return { client: await openDokploy(deps, ctx, input.dokploy), document };
}

async function starts(client: DokployClient, document: ChangeDocument): Promise<Record<string, string>> {
  const rows = await containersOf(client, document);
  const found: Record<string, string> = {};
  for (const { service, containerId } of rows) {
    const at = await client.containerStart(containerId, document.serverId);
    if (at === undefined) throw unseen(document, service);
    found[service] = at;
  }
  return found;
}

async function containersOf(client: DokployClient, { appName, serverId, database }: ChangeDocument) {
  const wanted = database?.restarts ?? [];
  if (wanted.length === 0) return [];
  const found = await client.containers(appName, serverId);
  const rows = found.state === 'known' ? found.rows : [];
  return rows.flatMap(({ service, containerId }) => (service !== null && wanted.includes(service) ? [{ service, containerId }] : []));
}

/** Once per container: one that started since the look is left alone. */
async function restart(deps: ChangeDeps, ctx: EffectContext, client: DokployClient, document: ChangeDocument, { startedAt }: Image) {
  const rows = await containersOf(client, document);
  for (const { service, containerId } of rows) {
    if ((await client.containerStart(containerId, document.serverId)) !== startedAt[service]) continue;
    await client.restartContainer(containerId, document.serverId);
    if ((await client.containerStart(containerId, document.serverId)) === startedAt[service]) throw unseen(document, service);
  }
  if (rows.length > 0) await untilHealthy(deps, ctx, client, document, null);
}

function unseen({ target }: ChangeDocument, service: string): AppError {
  return new AppError('RESTART_NOT_SEEN', {
    message: `Docker does not tell that the container of ${service} of ${target} started anew.`,
    fix: 'Look at Docker on the machine (docker ps, docker events), then retry.',
    retry: 'ask',
    applied: 'unknown',
  });
}
