/**
 * Importing the template into the fresh service. Dokploy wipes mounts and domains first and then parses, so the payload is
 * previewed before, and what stands there is compared with the before-image and with the plan (engine.md E9).
 */
import * as contract from '../../../machines/effects/dokploy.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type Probe } from '../handler.ts';
import { hashKept, type PlanDocument, readPlan } from '../supabase/plan-document.ts';
import type { ComposeOne } from './schemas.ts';
import { changedBySomebodyElse, type DokployDeps, notTakenBack, openDokploy, orMissing } from './session.ts';

export type ServiceImage = { composeFile: string; env: string; domainIds: string[]; mountPaths: string[] };
type Output = { composeHash: string; mounts: number; domains: number };

/** How a service stands to an import: untouched, done, begun, or changed by somebody else. */
export type ImportState = 'absent' | 'applied' | 'partial' | 'foreign';

/** Pure. `before` is missing only when the process died before it was stored, and then nothing was written. */
export function judgeImport(
  row: ServiceImage,
  before: ServiceImage,
  plan: Pick<PlanDocument, 'composeHash' | 'mounts' | 'importedDomains'>,
): ImportState {
  const found = hashKept(row.composeFile);
  const isOurs = found === plan.composeHash;
  const isBefore = found === hashKept(before.composeFile);
  const missing = plan.mounts.filter((path) => !row.mountPaths.includes(path));
  const strange = row.mountPaths.filter((path) => !plan.mounts.includes(path) && !before.mountPaths.includes(path));
  const newDomains = row.domainIds.filter((id) => !before.domainIds.includes(id));
  if ((!isOurs && !isBefore) || strange.length > 0) return 'foreign';
  if (isOurs && missing.length === 0 && newDomains.length >= plan.importedDomains) return 'applied';
  // Mounts without the compose text that uses them are dead files: our own undo leaves them, and they go with the service.
  return isBefore && newDomains.length === 0 ? 'absent' : 'partial';
}

export function toServiceImage(row: ComposeOne): ServiceImage {
  return {
    composeFile: row.composeFile,
    env: row.env ?? '',
    domainIds: row.domains.map((domain) => domain.domainId),
    mountPaths: row.mounts.map((mount) => mount.filePath ?? mount.mountPath),
  };
}

export function importTemplate(deps: DokployDeps) {
  return defineHandler(contract.importTemplate, {
    async prepare(ctx, input): Promise<ServiceImage> {
      const client = await openDokploy(deps, ctx, input.dokploy);
      return toServiceImage(await client.composeOne(input.composeId));
    },
    async run(ctx, input, before) {
      const plan = await readPlan(ctx, input);
      const client = await openDokploy(deps, ctx, input.dokploy);
      await client.previewTemplate(plan.template, input.appName);
      const state = judgeImport(toServiceImage(await client.composeOne(input.composeId)), before, plan);
      if (state === 'foreign')
        throw changedBySomebodyElse(`The service of "${input.name}"`, { composeId: input.composeId, fields: ['composeFile', 'mounts'] });
      const row = await client.importTemplate(input.composeId, plan.template);
      if (judgeImport(toServiceImage(row), before, plan) !== 'applied') throw incomplete(input.name);
      return toOutput(row, plan);
    },
    async probe(ctx, input, before): Promise<Probe<Output>> {
      const plan = await readPlan(ctx, input);
      const client = await openDokploy(deps, ctx, input.dokploy);
      const row = await orMissing(client.composeOne(input.composeId));
      if (!row) return { state: 'absent' };
      const state = judgeImport(toServiceImage(row), before, plan);
      if (state === 'applied') return { state, output: toOutput(row, plan) };
      if (state === 'absent') return { state };
      // `foreign` is judged again, and refused with the reason, by the run or undo that follows.
      return { state: 'partial', say: state === 'partial' ? 'only a part of the template stands there.' : 'something else stands there.' };
    },
    async undo(ctx, input, before) {
      const plan = await readPlan(ctx, input);
      const client = await openDokploy(deps, ctx, input.dokploy);
      const row = await orMissing(client.composeOne(input.composeId));
      if (!row) return;
      const state = judgeImport(toServiceImage(row), before, plan);
      if (state === 'absent') return;
      if (state === 'foreign')
        throw changedBySomebodyElse(`The service of "${input.name}"`, { composeId: input.composeId, fields: ['composeFile', 'mounts'] });
      for (const { domainId } of row.domains) if (!before.domainIds.includes(domainId)) await client.deleteDomain(domainId);
      const emptied = await client.updateCompose({ composeId: input.composeId, composeFile: before.composeFile, env: before.env });
      if (judgeImport(toServiceImage(emptied), before, plan) !== 'absent') {
        throw notTakenBack(`the template in "${input.name}"`, 'Empty the service in Dokploy, then resolve this step as undone.');
      }
    },
  });
}

function toOutput(row: ComposeOne, plan: PlanDocument): Output {
  return { composeHash: plan.composeHash, mounts: row.mounts.length, domains: row.domains.length };
}

function incomplete(name: string): AppError {
  return new AppError('IMPORT_INCOMPLETE', {
    message: `Dokploy accepted the template for "${name}", but the compose text, the mounts or the domain do not read back.`,
    fix: 'The step is checked and repeated; if it stays so, look at Dokploy’s own log.',
    retry: 'later',
    applied: 'unknown',
  });
}
