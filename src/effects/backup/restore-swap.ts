/**
 * In place, by names alone. Invariants:
 * 1. Nothing is dropped and nothing written into: the database in use is kept whole under a name that no service knows.
 * 2. Logins are refused first, then what runs may end, then the rest is ended; the name changes when no connection is left.
 * 3. Which of the three stands (in use, withdrawn, replaced) is read from the names and our mark, never remembered; so any step can be
 *    repeated, and given back, by any process.
 */
import type { Client } from 'pg';
import * as contract from '../../../machines/effects/restore.ts';
import { AppError } from '../../errors.ts';
import { changedBySomebodyElse } from '../dokploy/session.ts';
import { defineHandler, type EffectContext, type Probe } from '../handler.ts';
import { beside, markOn, openPlan, type RestorePlan, sqlFailure } from './restore-document.ts';
import { requireLasting } from './restore-preflight.ts';
import { identifier } from './roles.ts';

type Withdrawn = { database: string; keptAs: string; ended: number; waitedMs: number };
type Stands = 'in use' | 'withdrawn' | 'replaced';

/** Statements that run get this long to end by themselves. */
const graceMs = 10_000;
const patienceMs = 60_000;
/** What a bridge must have left when the names begin to change; the plan asked for more. */
const lastingMs = 15 * 60_000;

export function withdrawDatabase() {
  return defineHandler(contract.withdrawDatabase, {
    async prepare(ctx, input): Promise<{ names: string[] }> {
      const { plan, place } = await openPlan(ctx, input);
      return { names: await beside(place, ctx, plan, (client) => namesOf(client, plan)) };
    },
    async run(ctx, input): Promise<Withdrawn> {
      const { plan, place } = await openPlan(ctx, input);
      const keptAs = requireKept(plan);
      requireLasting(place, ctx.now(), lastingMs);
      return beside(place, ctx, plan, async (client) => {
        await requireStands(client, ctx, plan, 'in use');
        const began = ctx.now();
        const ended = await rename(client, ctx, plan.database, keptAs);
        return { database: plan.database, keptAs, ended, waitedMs: ctx.now() - began };
      });
    },
    async probe(ctx, input): Promise<Probe<Withdrawn>> {
      const { plan, place } = await openPlan(ctx, input);
      const keptAs = requireKept(plan);
      const stands = await beside(place, ctx, plan, (client) => standsIn(client, ctx, plan));
      if (stands === 'in use') return { state: 'absent' };
      return { state: 'applied', output: { database: plan.database, keptAs, ended: 0, waitedMs: 0 } };
    },
    undo: (ctx, input) => returnNames(ctx, input),
  });
}

export function swapDatabase() {
  return defineHandler(contract.swapDatabase, {
    async prepare(ctx, input): Promise<{ names: string[] }> {
      const { plan, place } = await openPlan(ctx, input);
      return { names: await beside(place, ctx, plan, (client) => namesOf(client, plan)) };
    },
    async run(ctx, input) {
      const { plan, place } = await openPlan(ctx, input);
      const keptAs = requireKept(plan);
      await beside(place, ctx, plan, async (client) => {
        await requireStands(client, ctx, plan, 'withdrawn');
        await rename(client, ctx, plan.into, plan.database);
      });
      return { database: plan.database, keptAs };
    },
    async probe(ctx, input): Promise<Probe<{ database: string; keptAs: string }>> {
      const { plan, place } = await openPlan(ctx, input);
      const keptAs = requireKept(plan);
      const stands = await beside(place, ctx, plan, (client) => standsIn(client, ctx, plan));
      return stands === 'replaced' ? { state: 'applied', output: { database: plan.database, keptAs } } : { state: 'absent' };
    },
    async undo(ctx, input) {
      const { plan, place } = await openPlan(ctx, input);
      await beside(place, ctx, plan, async (client) => {
        if ((await standsIn(client, ctx, plan)) === 'replaced') await rename(client, ctx, plan.database, plan.into);
      });
    },
  });
}

export function giveBack() {
  return defineHandler(contract.giveBack, {
    async prepare(ctx, input): Promise<{ names: string[] }> {
      const { plan, place } = await openPlan(ctx, input);
      return { names: await beside(place, ctx, plan, (client) => namesOf(client, plan)) };
    },
    async run(ctx, input) {
      await returnNames(ctx, input);
      const { plan } = await openPlan(ctx, input);
      return { database: plan.database };
    },
    async probe(ctx, input): Promise<Probe<{ database: string }>> {
      const { plan, place } = await openPlan(ctx, input);
      return beside(place, ctx, plan, async (client) => {
        const back = (await standsIn(client, ctx, plan)) === 'in use' && (await allowsLogins(client, plan.database));
        return back ? { state: 'applied', output: { database: plan.database } } : { state: 'absent' };
      });
    },
  });
}

/** From wherever it stands to `in use`, with logins allowed. */
async function returnNames(ctx: EffectContext, input: { plan: string; planHash: string }): Promise<void> {
  const { plan, place } = await openPlan(ctx, input);
  const keptAs = requireKept(plan);
  await beside(place, ctx, plan, async (client) => {
    if ((await standsIn(client, ctx, plan)) === 'replaced') await rename(client, ctx, plan.database, plan.into);
    if ((await standsIn(client, ctx, plan)) === 'withdrawn') await rename(client, ctx, keptAs, plan.database);
    await allowLogins(client, plan.database, true);
  });
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

/** Throws CHANGED_BY_SOMEBODY_ELSE when the names are none of the three that we make. */
async function standsIn(client: Client, ctx: EffectContext, plan: RestorePlan): Promise<Stands> {
  const names = await namesOf(client, plan);
  const there = [plan.database, plan.into, requireKept(plan)].map((name) => names.includes(name)).join();
  if (/^true,.*,false$/.test(there)) return 'in use';
  if (there === 'false,true,true') return 'withdrawn';
  if (there === 'true,false,true' && (await markOn(client, plan.database, ctx.runId)) !== 'foreign') return 'replaced';
  throw changedBySomebodyElse(`The names of ${plan.database} and of what was restored`, { names });
}

async function requireStands(client: Client, ctx: EffectContext, plan: RestorePlan, wanted: Stands): Promise<void> {
  const stands = await standsIn(client, ctx, plan);
  if (stands === wanted && (await markOn(client, plan.into, ctx.runId)) === 'restored') return;
  throw changedBySomebodyElse(`The database ${plan.into}`, { database: plan.into, stands, wanted });
}

async function allowsLogins(client: Client, database: string): Promise<boolean> {
  const { rows } = await client.query<{ allowed: boolean }>('select datallowconn as allowed from pg_database where datname = $1', [
    database,
  ]);
  return rows[0]?.allowed === true;
}

const allowLogins = (client: Client, database: string, allowed: boolean) =>
  client.query(`alter database ${identifier(database)} allow_connections ${allowed}`);

/** Answers how many connections were ended. Logins are allowed again in any case, under whichever name it then has. */
async function rename(client: Client, ctx: EffectContext, from: string, to: string): Promise<number> {
  await allowLogins(client, from, false);
  let name = from;
  try {
    const ended = await drain(client, ctx, from);
    await client.query(`alter database ${identifier(from)} rename to ${identifier(to)}`);
    name = to;
    return ended;
  } catch (error) {
    throw error instanceof AppError ? error : sqlFailure(error, `The database ${from} could not be renamed`);
  } finally {
    await allowLogins(client, name, true);
  }
}

/** Idle connections are ended at once, those that work after a grace. Throws SESSIONS_LEFT when one does not end. */
async function drain(client: Client, ctx: EffectContext, database: string): Promise<number> {
  const began = ctx.now();
  const seen = new Set<number>();
  for (;;) {
    const hurry = ctx.now() - began > graceMs;
    const { rows } = await client.query<{ pid: number; gone: boolean }>(
      `select pid, case when $2 or state is distinct from 'active' and state is distinct from 'idle in transaction'
         then pg_terminate_backend(pid, 2000) else false end as gone
       from pg_stat_activity where datname = $1`,
      [database, hurry],
    );
    for (const { pid } of rows) seen.add(pid);
    const left = rows.filter(({ gone }) => !gone).length;
    if (left === 0) return seen.size;
    if (ctx.now() - began > patienceMs)
      throw new AppError('SESSIONS_LEFT', {
        message: `${left} connections of ${database} do not end; nothing was renamed.`,
        fix: 'Stop the services that hold them, then retry.',
      });
    ctx.progress(`Waiting until ${left} connections have ended`);
    await ctx.sleep(250);
  }
}
