/**
 * Seeds. Invariants:
 * 1. The record is written in the transaction of the statements, so that it stands there exactly when they took effect.
 * 2. That transaction first takes a lock of its own and compares the record with the one that was planned for: an attempt that lands late,
 *    after a successor's, changes nothing.
 * 3. The session carries the key of the effect as its name: whoever takes over ends what a dead process left running, before he looks.
 * 4. Never as a superuser: the rung is chosen for `ddl`.
 */
import { createHash } from 'node:crypto';
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, isAbsolute } from 'node:path';
import { z } from 'zod';
import * as contract from '../../../machines/effects/seed.ts';
import { AppError } from '../../errors.ts';
import type { DokployDeps } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { readDocument, storeDocument } from '../plan-artifact.ts';
import { maxSeedLength, readSeed } from './seed-text.ts';
import type { SqlSession } from './session.ts';
import { openTargetSession } from './target-session.ts';

const seedPlan = z.strictObject({
  version: z.literal(1),
  kind: z.literal('seed'),
  target: z.string(),
  recordedAs: z.string(),
  sha256: z.string(),
  statements: z.number(),
  /** The hash that stood in the record when the plan was made; null: none. */
  previous: z.string().nullable(),
  text: z.string(),
});
type Plan = z.infer<typeof seedPlan>;
type Output = z.infer<(typeof contract.applySeed)['output']>;
type SeedState = z.infer<(typeof contract.planSeed)['output']>['state'];

/** The server ends a seed that takes longer. */
const statementMs = 5 * 60_000;

export function createSeedHandlers(deps: DokployDeps) {
  return {
    'postgres.planSeed@1': defineHandler(contract.planSeed, {
      async run(ctx, input) {
        const text = readSeedFile(input.file);
        const { statements, classes } = await readSeed(text);
        const sha256 = createHash('sha256').update(text).digest('hex');
        // The name stands inside our own block of code: no character of it may mean anything there.
        const recordedAs =
          input.as ??
          basename(input.file)
            .replace(/[^\w.-]/g, '_')
            .slice(0, 200);
        const session = await openTargetSession(deps, ctx, input.target, 'read');
        const previous = await recordOf(session, recordedAs).finally(() => session.close());
        const state: SeedState = previous === null ? 'new' : previous === sha256 ? 'same' : 'changed';
        const plan = { version: 1, kind: 'seed', target: input.target, recordedAs, sha256, statements, previous, text } as const;
        return {
          ...(await storeDocument(ctx, seedPlan, plan)),
          recordedAs,
          sha256,
          bytes: Buffer.byteLength(text),
          statements,
          classes,
          state,
          role: 'postgres',
          notes: notesOf(state, classes),
        };
      },
    }),
    'postgres.applySeed@1': defineHandler(contract.applySeed, {
      async prepare(ctx, input): Promise<{ previous: string | null }> {
        const plan = await readDocument(ctx, seedPlan, input);
        const session = await openTargetSession(deps, ctx, input.target, 'read');
        const now = await recordOf(session, plan.recordedAs).finally(() => session.close());
        if (now === plan.previous) return { previous: now };
        throw recordChanged(plan);
      },
      async run(ctx, input): Promise<Output> {
        const plan = await readDocument(ctx, seedPlan, input);
        const session = await openTargetSession(deps, ctx, input.target, 'ddl', { applicationName: nameOf(ctx), timeoutMs: statementMs });
        try {
          ctx.progress(`Running ${plan.statements} statements as ${session.role}`);
          await session.query(seedSql(plan), undefined, { timeoutMs: statementMs, signal: ctx.signal });
          return toOutput(plan);
        } catch (error) {
          if (!(error instanceof AppError) || error.details?.['sqlState'] !== recordMoved) throw error;
          if ((await recordOf(session, plan.recordedAs)) === plan.sha256) return toOutput(plan);
          throw recordChanged(plan);
        } finally {
          await session.close();
        }
      },
      async probe(ctx, input): Promise<Probe<Output>> {
        const plan = await readDocument(ctx, seedPlan, input);
        const session = await openTargetSession(deps, ctx, input.target, 'ddl');
        try {
          await endLeftOver(session, ctx);
          const now = await recordOf(session, plan.recordedAs);
          return now === plan.sha256 ? { state: 'applied', output: toOutput(plan) } : { state: 'absent' };
        } finally {
          await session.close();
        }
      },
    }),
  };
}

const toOutput = ({ recordedAs, sha256, statements }: Plan): Output => ({ recordedAs, sha256, statements });

/** Postgres keeps 63 bytes of a name; the end of a key is what differs. */
const nameOf = ({ key }: EffectContext): string => `capstan ${key}`.slice(-63);

async function endLeftOver(session: SqlSession, ctx: EffectContext): Promise<void> {
  await session.query(
    'select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = $1 and pid <> pg_backend_pid()',
    [nameOf(ctx)],
  );
}

function notesOf(state: SeedState, classes: readonly { class: string }[]): string[] {
  const has = (...names: string[]) => classes.some((each) => names.includes(each.class));
  return [
    ...(state === 'changed' ? ['Another version of this file was seeded before: what it wrote is still there.'] : []),
    ...(has('DO', 'CALL', 'EXECUTE') ? ['It holds blocks of code (DO, CALL): what they do cannot be told from outside.'] : []),
    ...(has('DELETE', 'TRUNCATE', 'DROP', 'UPDATE') ? ['It deletes or changes what is there.'] : []),
  ];
}

/** The hash under which a file is recorded; null without a record or without the table. */
async function recordOf(session: SqlSession, name: string): Promise<string | null> {
  const table = await session.query<{ there: boolean }>("select to_regclass('supabase_migrations.seed_files') is not null as there");
  if (table.rows[0]?.there !== true) return null;
  const { rows } = await session.query<{ hash: string }>('select hash from supabase_migrations.seed_files where path = $1', [name]);
  return rows[0]?.hash ?? null;
}

function recordChanged({ recordedAs, target }: Plan): AppError {
  return new AppError('SEED_RECORD_CHANGED', {
    message: `Since the plan was made, somebody else seeded ${recordedAs} on ${target}; nothing was run.`,
    fix: 'Read the file anew (retry) and look at the new plan.',
  });
}

/** What our own block raises when the record is not the one that was planned for. */
const recordMoved = 'CPS01';

/** As the CLI of Supabase keeps it. The statements stand alone on their lines, so that a comment at their end swallows nothing. */
function seedSql({ text, recordedAs, sha256, previous }: Plan): string {
  const literal = (value: string | null) => (value === null ? 'null' : `'${value.replaceAll("'", "''")}'`);
  return [
    `select pg_advisory_xact_lock(hashtext('capstan seed'), hashtext(${literal(recordedAs)}));`,
    'create schema if not exists supabase_migrations;',
    'create table if not exists supabase_migrations.seed_files (path text not null primary key, hash text not null);',
    'do $capstan$ begin',
    `if (select hash from supabase_migrations.seed_files where path = ${literal(recordedAs)}) is distinct from ${literal(previous)} then`,
    `raise exception 'recorded meanwhile' using errcode = '${recordMoved}'; end if;`,
    'end $capstan$;',
    text,
    ';',
    `insert into supabase_migrations.seed_files (path, hash) values (${literal(recordedAs)}, ${literal(sha256)})`,
    'on conflict (path) do update set hash = excluded.hash',
  ].join('\n');
}

/** An agent may name the path: only a file that is .sql by its real name is read, and no message holds a part of it. */
function readSeedFile(path: string): string {
  const refuse = (why: string, cause?: unknown) =>
    new AppError('SEED_UNREADABLE', {
      message: `The seed file ${JSON.stringify(path.slice(0, 300))} ${why}.`,
      fix: 'Name the absolute path of a .sql file of at most 4 MB on the machine that runs Capstan.',
      cause,
    });
  if (!isAbsolute(path)) throw refuse('is not named by an absolute path');
  try {
    const real = realpathSync(path);
    if (!real.endsWith('.sql')) throw refuse('is no .sql file');
    const info = statSync(real);
    if (!info.isFile() || info.size > maxSeedLength) throw refuse('is not a file of at most 4 MB');
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(readFileSync(real));
  } catch (error) {
    throw error instanceof AppError ? error : refuse('cannot be read as text', error);
  }
}
