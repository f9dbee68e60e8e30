/** Listing the kept configurations of a target, and planning the return to one. */
import { listSnapshots as listContract, planConfigReturn as planContract } from '../../../machines/effects/restore-config.ts';
import { AppError } from '../../errors.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { planChange } from './plan.ts';
import { changedVariables } from './recreated.ts';
import { composeRefusals, filesOf, type Kept, mergeEnvironment, mountRefusals, type Refusal } from './restore-decision.ts';
import { readSnapshot, type SnapshotDocument, sameConfiguration } from './snapshot.ts';

/** More would be a long list for a person, and each is read whole. */
const mostShown = 20;

export function listSnapshots() {
  return defineHandler(listContract, {
    async run(ctx, input) {
      const now = await readSnapshot(ctx, input.snapshot);
      const entries = (await ctx.snapshots(input.target)).slice(0, mostShown);
      const snapshots = [];
      for (const { reference } of entries) {
        const then = await readSnapshot(ctx, reference);
        snapshots.push({
          snapshot: reference,
          at: then.takenAt,
          why: then.why,
          same: sameConfiguration(now, then),
          differs: differences(now, then),
        });
      }
      return { snapshots };
    },
  });
}

/** Names only: what a variable was is a secret more often than not. */
function differences(now: SnapshotDocument, then: SnapshotDocument): string[] {
  const { files, left } = filesOf(now, then);
  return [
    ...[...changedVariables(now.env, then.env)].slice(0, 20),
    ...(now.compose === then.compose ? [] : ['docker-compose.yml']),
    ...files.filter(({ before, after }) => before !== after).map(({ filePath }) => filePath),
    ...left,
    ...(JSON.stringify(now.routes) === JSON.stringify(then.routes) ? [] : ['domains']),
  ];
}

export function planConfigReturn() {
  return defineHandler(planContract, {
    async run(ctx, input) {
      const now = await readSnapshot(ctx, input.snapshot);
      const then = await chosen(ctx, input.target, input.request.snapshot);
      if (then.composeId !== now.composeId) throw otherService(input.target);
      const parts = input.request.parts ?? ['environment', 'compose', 'files', 'domains'];
      const has = (part: (typeof parts)[number]) => parts.includes(part);
      const refusals = [
        ...(has('compose') ? composeRefusals(now.compose, then.compose) : []),
        ...(has('files') ? mountRefusals(now, then) : []),
      ];
      if (refusals.length > 0) throw refused(refusals);
      const { env, kept } = has('environment') ? mergeEnvironment(now.env, then.env) : { env: now.env, kept: [] };
      const { files, left } = has('files') ? filesOf(now, then) : { files: [], left: [] };
      return planChange(ctx, now, {
        workflow: 'restore-config',
        env,
        compose: has('compose') ? then.compose : now.compose,
        files,
        routes: has('domains') ? then.routes : now.routes,
        note: { facts: { restoredFrom: input.request.snapshot } },
        say: `The configuration of ${then.takenAt} returns${parts.length < 4 ? ` (${parts.join(', ')})` : ''}${kept.length === 0 ? '' : `, but for ${kept.map(({ name }) => name).join(', ')}`}.`,
        warnings: [...kept.map(keptWarning), ...left.map(leftWarning)],
      });
    },
  });
}

/** Throws SNAPSHOT_UNKNOWN: an artifact that is no snapshot of this target is never read. */
async function chosen(ctx: EffectContext, target: string, reference: string): Promise<SnapshotDocument> {
  if ((await ctx.snapshots(target)).some((entry) => entry.reference === reference)) return readSnapshot(ctx, reference);
  throw new AppError('SNAPSHOT_UNKNOWN', {
    message: `There is no snapshot ${JSON.stringify(reference.slice(0, 60))} of ${target}.`,
    fix: 'Choose one of the list.',
  });
}

function otherService(target: string): AppError {
  return new AppError('SNAPSHOT_OF_ANOTHER_SERVICE', {
    message: `That snapshot was taken of another service, when the name ${target} meant that one.`,
    fix: 'Choose a snapshot of the service that the target is now.',
  });
}

function refused(refusals: readonly Refusal[]): AppError {
  const workflows = [...new Set(refusals.flatMap(({ workflow }) => workflow ?? []))];
  return new AppError('RESTORE_REFUSED', {
    message: `That configuration cannot return whole: ${refusals.map(({ what, why }) => `${what} (${why})`).join('; ')}.`,
    fix: `${workflows.length === 0 ? 'No workflow changes that yet; choose' : `Use ${workflows.join(', ')} for that, and choose`} the other parts only, such as parts: ["environment", "domains"].`,
    details: { refusals: refusals.map((each) => ({ ...each })) },
  });
}

function keptWarning({ name, why, workflow }: Kept) {
  return { code: 'VALUE_KEPT', say: `${name} keeps its present value: ${why}. ${workflow ?? 'No workflow yet'} changes it properly.` };
}

function leftWarning(filePath: string) {
  return { code: 'FILE_LEFT', say: `The file ${filePath} was not there then; it stays.` };
}
