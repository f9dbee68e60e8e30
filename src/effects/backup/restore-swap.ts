/**
 * In place: the restored database takes the name of the one in use. Invariants:
 * 1. Nothing is dropped: the one in use is kept whole under another name, and an undo gives it its name back.
 * 2. No session of a service is lost unseen: logins are refused first, then the rest is ended, then the names change in one transaction.
 */
import type { Client } from 'pg';
import * as contract from '../../../machines/effects/restore.ts';
import { AppError } from '../../errors.ts';
import { changedBySomebodyElse } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { type BackupDeps, databaseOf } from './deps.ts';
import { beside, markOn, openRestore, setMark, sqlFailure } from './restore-apply.ts';
import { type RestorePlan, readRestorePlan } from './restore-plan.ts';
import { identifier, literal } from './roles.ts';
import { contentsOf } from './verify.ts';

type Swapped = { database: string; keptAs: string; downMs: number };

export function swapDatabase() {
  return defineHandler(contract.swapDatabase, {
    async prepare(ctx, input): Promise<{ names: string[] }> {
      const { plan, place } = await openPlan(ctx, input);
      return { names: await beside(place, ctx, plan, (client) => namesOf(client, plan)) };
    },
    async run(ctx, input): Promise<Swapped> {
      const { plan, place } = await openPlan(ctx, input);
      const keptAs = requireKept(plan);
      return beside(place, ctx, plan, async (client) => {
        if ((await markOn(client, plan.into, ctx.runId)) !== 'restored')
          throw changedBySomebodyElse(`The database ${plan.into}`, { database: plan.into });
        const began = ctx.now();
        await rename(client, ctx, [
          [plan.database, keptAs],
          [plan.into, plan.database],
        ]);
        return { database: plan.database, keptAs, downMs: ctx.now() - began };
      });
    },
    async probe(ctx, input): Promise<Probe<Swapped>> {
      const { plan, place } = await openPlan(ctx, input);
      const keptAs = requireKept(plan);
      return beside(place, ctx, plan, async (client) => {
        const names = await namesOf(client, plan);
        if (names.includes(keptAs) && !names.includes(plan.into))
          return { state: 'applied', output: { database: plan.database, keptAs, downMs: 0 } };
        if (!names.includes(keptAs) && names.includes(plan.into)) {
          await allowLogins(client, [plan.database, plan.into], true);
          return { state: 'absent' };
        }
        return { state: 'unknown', say: `neither the names before nor those after are there: ${names.join(', ')}.` };
      });
    },
    async undo(ctx, input) {
      const { plan, place } = await openPlan(ctx, input);
      const keptAs = requireKept(plan);
      await beside(place, ctx, plan, async (client) => {
        const names = await namesOf(client, plan);
        if (!names.includes(keptAs)) return;
        if ((await markOn(client, plan.database, ctx.runId)) === 'foreign' || names.includes(plan.into))
          throw changedBySomebodyElse(`The database ${plan.database}`, { database: plan.database, names });
        await rename(client, ctx, [
          [plan.database, plan.into],
          [keptAs, plan.database],
        ]);
      });
    },
  });
}

async function openPlan(ctx: EffectContext, input: { plan: string; planHash: string }) {
  const plan = await readRestorePlan(ctx, input);
  return { plan, place: await databaseOf(ctx, plan.target) };
}

function requireKept({ keepAs }: RestorePlan): string {
  if (keepAs === null) throw new TypeError('the approved plan puts nothing in place');
  return keepAs;
}

async function namesOf(client: Client, { database, into, keepAs }: RestorePlan): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>('select datname as name from pg_database where datname = any($1) order by 1', [
    [database, into, keepAs ?? into],
  ]);
  return rows.map(({ name }) => name);
}

const allowLogins = async (client: Client, databases: readonly string[], allowed: boolean): Promise<void> => {
  for (const database of databases) await client.query(`alter database ${identifier(database)} allow_connections ${allowed}`);
};

/** Renames in order, all or none; logins are refused meanwhile and allowed again in any case. */
async function rename(client: Client, ctx: EffectContext, pairs: readonly [from: string, to: string][]): Promise<void> {
  const olds = pairs.map(([from]) => from);
  await allowLogins(client, olds, false);
  let done = false;
  try {
    for (let tries = 0; ; tries++) {
      const { rows } = await client.query<{ left: number }>(
        `select count(*) filter (where not pg_terminate_backend(pid, 5000))::int as left from pg_stat_activity where datname = any($1)`,
        [olds],
      );
      if (rows[0]?.left === 0) break;
      if (tries === 5)
        throw new AppError('SESSIONS_LEFT', {
          message: 'Sessions of the database do not end.',
          fix: 'Stop the service that holds them, then retry.',
        });
      ctx.progress('Waiting until the last session has ended');
    }
    await client.query('begin');
    for (const [from, to] of pairs) await client.query(`alter database ${identifier(from)} rename to ${identifier(to)}`);
    await client.query('commit');
    done = true;
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    throw error instanceof AppError ? error : sqlFailure(error, 'The databases could not be renamed');
  } finally {
    await allowLogins(
      client,
      pairs.map(([from, to]) => (done ? to : from)),
      true,
    );
  }
}

export function finishRestore(deps: BackupDeps) {
  return defineHandler(contract.finishRestore, {
    async prepare(ctx, input): Promise<{ mark: string | undefined }> {
      const { plan, place } = await openPlan(ctx, input);
      return { mark: await beside(place, ctx, plan, (client) => markOn(client, nameOf(plan, input.inPlace), ctx.runId)) };
    },
    async run(ctx, input) {
      const { plan, place, backup, file } = await openRestore(deps, ctx, input);
      const name = nameOf(plan, input.inPlace);
      const { properties } = await contentsOf(backup, file);
      await beside(place, ctx, plan, async (client) => {
        if ((await markOn(client, name, ctx.runId)) === 'foreign') throw changedBySomebodyElse(`The database ${name}`, { database: name });
        const { openSession } = await import('./connection.ts');
        const inside = await openSession(place, ctx.key, name);
        try {
          await inside.query('analyze');
        } finally {
          await inside.end();
        }
        await client.query(
          `comment on database ${identifier(name)} is ${properties.comment === null ? 'null' : literal(properties.comment)}`,
        );
      });
      return { database: name };
    },
    async probe(ctx, input): Promise<Probe<{ database: string }>> {
      const { plan, place } = await openPlan(ctx, input);
      const name = nameOf(plan, input.inPlace);
      const mark = await beside(place, ctx, plan, (client) => markOn(client, name, ctx.runId));
      return mark === 'restored' ? { state: 'absent' } : { state: 'applied', output: { database: name } };
    },
    async undo(ctx, input) {
      const { plan, place } = await openPlan(ctx, input);
      const name = nameOf(plan, input.inPlace);
      await beside(place, ctx, plan, async (client) => {
        if ((await markOn(client, name, ctx.runId)) !== undefined) await setMark(client, name, ctx.runId, 'restored');
      });
    },
  });
}

const nameOf = (plan: RestorePlan, inPlace: boolean): string => (inPlace ? plan.database : plan.into);
