/** SQL that changes something, as effects: judged and planned first, run once after the approval. */
import { z } from 'zod';
import { planStatement, runStatement, statement } from '../../../machines/effects/sql.ts';
import { AppError } from '../../errors.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import { defineHandler, type EffectContext } from '../handler.ts';
import { escapeInvisible } from '../http/vendor-text.ts';
import { readDocument, storeDocument } from '../plan-artifact.ts';
import type { Purpose, SqlSession } from './session.ts';

const document = statement.extend({ version: z.literal(1), classes: z.array(z.string()) });
const shownLength = 2_000;

/** A session on a registered target for an effect; its key is the application's name there (engine.md E6). */
export async function openFor(
  deps: DokployDeps,
  ctx: EffectContext,
  target: string,
  purpose: Purpose,
  timeoutMs?: number,
): Promise<SqlSession> {
  const [{ toSqlTarget }, { openSession }] = await Promise.all([import('./sql-target.ts'), import('./open.ts')]);
  const ways = await toSqlTarget(await ctx.target(target), {
    reveal: ctx.secrets.reveal,
    dokploy: ctx.dokploy,
    async client(connection) {
      const { createDokployClient } = await import('../dokploy/client.ts');
      return createDokployClient(connection, { limiter: deps.limiterFor(connection.name), signal: ctx.signal });
    },
  });
  return openSession(ways, purpose, {
    signal: ctx.signal,
    applicationName: `capstan ${ctx.key}`.slice(0, 63),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
}

/** Opens, works and closes. */
export async function withSession<T>(opening: Promise<SqlSession>, work: (session: SqlSession) => Promise<T>): Promise<T> {
  const session = await opening;
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

export function createSqlHandlers(deps: DokployDeps) {
  return {
    'sql.planStatement@1': defineHandler(planStatement, {
      async run(ctx, input) {
        const [{ judge }, { requireParameters }, { lacksNotes }] = await Promise.all([
          import('./judge.ts'),
          import('./read-statement.ts'),
          import('./once.ts'),
        ]);
        const judged = await judge(input.sql);
        requireParameters(judged, input.parameters.length);
        return withSession(openFor(deps, ctx, input.target, 'model-write'), async (session) => {
          const kept = { ...input, sql: judged.text, version: 1 as const, classes: judged.classes };
          const shown = escapeInvisible(judged.text);
          return {
            ...(await storeDocument(ctx, document, kept)),
            role: session.role,
            rung: session.rung,
            classes: judged.classes,
            shown: shown.length > shownLength ? `${shown.slice(0, shownLength)}… (${shown.length} characters)` : shown,
            makesNotes: await lacksNotes(session),
          };
        });
      },
    }),
    'sql.runStatement@1': defineHandler(runStatement, {
      /** What the statement will change cannot be kept; whether our schema was there can. */
      async prepare(ctx, input) {
        const { lacksNotes } = await import('./once.ts');
        return withSession(openFor(deps, ctx, input.target, 'model-write'), async (session) => ({ makesNotes: await lacksNotes(session) }));
      },
      async run(ctx, input) {
        const { runOnce } = await import('./once.ts');
        const { sql, parameters, timeoutMs } = await readDocument(ctx, document, input);
        return withSession(openFor(deps, ctx, input.target, 'model-write', timeoutMs), async (session) => {
          const way = { role: session.role, rung: session.rung };
          try {
            return { ...way, rowCount: await runOnce(session, ctx.key, { text: sql, parameters, timeoutMs, signal: ctx.signal }) };
          } catch (error) {
            if (error instanceof AppError && error.code === 'ALREADY_RAN') return { ...way, rowCount: null };
            throw error;
          }
        });
      },
      async probe(ctx, input) {
        const { hasRun } = await import('./once.ts');
        return withSession(openFor(deps, ctx, input.target, 'model-write'), async (session) =>
          (await hasRun(session, ctx.key))
            ? { state: 'applied' as const, output: { role: session.role, rung: session.rung, rowCount: null } }
            : { state: 'absent' as const },
        );
      },
    }),
  };
}
