/**
 * Giving a role rights. Invariants:
 * 1. Only rights of the plan that are still missing when it runs are given, in one transaction; those alone are revoked by the undo.
 * 2. It runs as a superuser where one can be had, so that grants come from the owners of the objects, whoever they are.
 */
import { z } from 'zod';
import * as contract from '../../../machines/effects/access.ts';
import { AppError } from '../../errors.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { escapeInvisible } from '../http/vendor-text.ts';
import { readDocument, storeDocument } from '../plan-artifact.ts';
import { isApiRole } from './access-matrix.ts';
import { openFor, withSession } from './effects.ts';
import { grantStatements, keyOf, missingRights, type Right, revokeStatements, standingRights } from './missing-rights.ts';
import type { SqlSession } from './session.ts';

const right = z.object({ kind: z.enum(['schema', 'table', 'sequence']), name: z.string(), right: z.string(), open: z.boolean() });
const grantPlan = contract.accessWish.extend({
  version: z.literal(1),
  kind: z.literal('grant'),
  target: z.string(),
  missing: z.array(right),
});
type Plan = z.infer<typeof grantPlan>;
type Image = { missing: Right[] };

const shownStatements = 20;
const shownLength = 300;

export function createGrantHandlers(deps: DokployDeps) {
  const withAdmin = <T>(ctx: EffectContext, target: string, work: (session: SqlSession) => Promise<T>) =>
    withSession(openFor(deps, ctx, target, 'admin'), work);
  return {
    'postgres.planGrants@1': defineHandler(contract.planGrants, {
      run: (ctx, input) =>
        withAdmin(ctx, input.target, async (session) => {
          const missing = await missingRights(session, input);
          const reference = await storeDocument(ctx, grantPlan, { ...input, version: 1, kind: 'grant', missing });
          const statements = grantStatements(input, missing);
          return {
            ...reference,
            nothing: missing.length === 0,
            by: session.role,
            rung: session.rung,
            objects: new Set(missing.map(({ kind, name }) => `${kind} ${name}`)).size,
            statements: statements.slice(0, shownStatements).map(short),
            notes: notesOf(input.role, missing, statements.length),
          };
        }),
    }),
    'postgres.grantRights@1': defineHandler(contract.grantRights, {
      async prepare(ctx, input): Promise<Image> {
        const plan = await readDocument(ctx, grantPlan, input);
        return withAdmin(ctx, input.target, async (session) => ({ missing: await stillMissing(session, plan) }));
      },
      async run(ctx, input, before) {
        const plan = await readDocument(ctx, grantPlan, input);
        await withAdmin(ctx, input.target, async (session) => {
          if (before.missing.length > 0) await session.query(`${grantStatements(plan, before.missing).join(';\n')};`);
          const left = await stillMissing(session, plan);
          if (left.length > 0) throw notGiven(session.role, left);
        });
        return { granted: before.missing.length };
      },
      async probe(ctx, input, before): Promise<Probe<{ granted: number }>> {
        const plan = await readDocument(ctx, grantPlan, input);
        const left = await withAdmin(ctx, input.target, (session) => stillMissing(session, plan));
        if (left.length === 0) return { state: 'applied', output: { granted: before?.missing.length ?? 0 } };
        const began = before?.missing.length ?? plan.missing.length;
        return left.length >= began ? { state: 'absent' } : { state: 'partial', say: `${left.length} of ${began} rights are missing.` };
      },
      async undo(ctx, input, before) {
        const plan = await readDocument(ctx, grantPlan, input);
        await withAdmin(ctx, input.target, async (session) => {
          const given = await standingRights(session, plan, before.missing);
          if (given.length === 0) return;
          await session.query(`${revokeStatements(plan, given).join(';\n')};`);
          const left = await standingRights(session, plan, given);
          if (left.length > 0) throw notRevoked(session.role, left);
        });
      },
    }),
  };
}

/** Of the planned ones: what somebody gave meanwhile is not ours, and what was made meanwhile was not approved. */
async function stillMissing(session: SqlSession, plan: Plan): Promise<Right[]> {
  const planned = new Set(plan.missing.map(keyOf));
  return (await missingRights(session, plan)).filter((each) => planned.has(keyOf(each)));
}

function notesOf(role: string, missing: readonly Right[], statements: number): string[] {
  const open = new Set(missing.filter((each) => each.open).map(({ name }) => name)).size;
  return [
    ...(open > 0 && isApiRole(role)
      ? [`${open} of the tables have no row security: everybody who may call the API as this role sees and changes all of their rows.`]
      : []),
    ...(statements > shownStatements ? [`Only the first ${shownStatements} of ${statements} statements are shown.`] : []),
  ];
}

function short(statement: string): string {
  const shown = escapeInvisible(statement);
  return shown.length > shownLength ? `${shown.slice(0, shownLength)}… (${shown.length} characters)` : shown;
}

function notGiven(role: string, left: readonly Right[]): AppError {
  return new AppError('GRANT_NOT_KEPT', {
    message: `The database took the grants of ${role}, but ${left.length} of the rights are still missing.`,
    fix: 'The objects may belong to somebody who did not let this role give them away: hand over the login of a superuser, then look again.',
    applied: 'unknown',
  });
}

function notRevoked(role: string, left: readonly Right[]): AppError {
  return new AppError('REVOKE_NOT_KEPT', {
    message: `${left.length} rights still stand after ${role} revoked them: somebody else gave them too.`,
    fix: 'Whoever gave them revokes them; then let the rollback retry.',
    retry: 'ask',
  });
}
