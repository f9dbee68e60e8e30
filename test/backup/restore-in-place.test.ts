/** A restore over what is in use: judged by the sandbox's journal, by a service behind the gateway, by Postgres and by pg_dump. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { whyWithout } from '../helpers/backup-postgres.ts';
import { databasesOf, dumpText, openRestoreStage, type RestoreStage, takeBack } from '../helpers/restore-stage.ts';

const why = whyWithout('pg_dump', 'pg_restore', 'zstd');
const late = "insert into auth.users (id, email) values (gen_random_uuid(), 'late@example.com')";
let stage: RestoreStage;
let backup: string;
beforeAll(async () => {
  if (why) return;
  stage = await openRestoreStage();
  await stage.server.sql("insert into auth.users (id, email) values (gen_random_uuid(), 'early@example.com')", stage.database);
  const made = await stage.at.run('backup', { target: 'shop', parts: ['database', 'roles'] });
  backup = (made.output as { backup: string }).backup;
  await stage.server.sql(late, stage.database);
}, 120_000);
afterAll(() => stage?.close());
beforeEach(() => stage?.sandbox.setFaults([]));

type InPlace = { database: string; keptAs: string; safetyBackup: string; gateway: string; downMs: number };

const emails = async (database: string) =>
  (await stage.server.sql('select email from auth.users order by 1', database)).map((row) => row['email']);
const both = ['early@example.com', 'late@example.com'];

async function toSwapReview() {
  const asked = await stage.at.run('restore', { backup, database: stage.database, mode: 'replace' });
  expect([asked.state, asked.error]).toEqual(['review', undefined]);
  const ready = await stage.at.send(asked.runId, 'approve');
  expect([ready.state, ready.error]).toEqual(['swapReview', undefined]);
  return asked;
}

/** What is in use is as it was: text, logins, gateway, names. */
async function expectUntouched(before: string) {
  expect(dumpText(stage.server, stage.database)).toBe(before);
  expect(await emails(stage.database)).toEqual(both);
  expect(await stage.askService()).toBe(200);
}

test.skipIf(why)(
  'the downtime is announced; the gateway closes, work in hand ends, a verified safety backup is made, then the proven copy is in place and the gateway open',
  async () => {
    const { server, at, database } = stage;
    const before = dumpText(server, database);
    const calls = stage.dockerCalls().length;
    const asked = await toSwapReview();
    const plan = asked.details['plan'] as { downtime: { gateway: string; expectSeconds: number; say: string }; writes: string[] };
    expect(plan.downtime.gateway).toBe('kong');
    expect(plan.downtime.expectSeconds).toBeGreaterThan(0);
    expect(plan.writes.join('\n')).toMatch(/stop the container of kong[\s\S]*back up[\s\S]*start the container of kong/);
    expect(stage.dockerCalls().slice(calls)).toEqual([]);

    // A service in the middle of its work, and an idle one.
    const working = new pg.Client({ connectionString: server.url(database) });
    const idle = new pg.Client({ connectionString: server.url(database) });
    const cut = new Promise((resolve) => idle.on('error', resolve));
    working.on('error', () => undefined);
    await Promise.all([working.connect(), idle.connect()]);
    const work = working.query('select pg_sleep(3), 42 as answer');
    const swapped = at.send(asked.runId, 'swap');
    await cut;
    // Now nobody outside reaches it, and nobody is let in.
    expect(await stage.askService()).toBe(404);
    await expect(server.sql('select 1', database)).rejects.toMatchObject({ code: '55000' });
    expect((await work).rows[0].answer).toBe(42);
    const view = await swapped;
    const output = view.output as InPlace;
    expect([view.state, view.error]).toEqual(['done', undefined]);
    expect(output).toMatchObject({ database, gateway: 'closed', downMs: expect.any(Number) });
    expect(output.downMs).toBeGreaterThan(2_000);
    expect(stage.dockerCalls().slice(calls)).toEqual(['stop kong', 'start kong']);
    expect(await stage.askService()).toBe(200);
    expect(await emails(database)).toEqual(['early@example.com']);
    expect(dumpText(server, output.keptAs)).toBe(before);

    // The safety backup is one like any other: in the index, verified, and it brings back what was in use.
    const row = await at.app.backups.backup(output.safetyBackup);
    expect(row.verifiedAt).not.toBeNull();
    const again = await at.run('restore', { backup: output.safetyBackup, database, into: 'from_safety' });
    expect((await at.send(again.runId, 'approve')).state).toBe('done');
    expect(dumpText(server, 'from_safety')).toBe(before);
    await takeBack(at, again.runId, 0);

    // And all of it can be taken back, behind a closed gateway.
    const back = await takeBack(at, asked.runId, 0);
    expect([back.status, back.error]).toEqual(['cancelled', undefined]);
    expect(stage.dockerCalls().slice(calls)).toEqual(['stop kong', 'start kong', 'stop kong', 'start kong']);
    expect(await databasesOf(server, 'capstan_sandbox')).toEqual([database]);
    await expectUntouched(before);
    expect((await at.app.backups.backup(output.safetyBackup)).id).toBe(output.safetyBackup);
  },
  120_000,
);

test.skipIf(why)(
  'a safety backup that cannot be written gives the database its name back and opens the gateway by itself',
  async () => {
    const { server, at, database } = stage;
    const before = dumpText(server, database);
    const calls = stage.dockerCalls().length;
    const asked = await toSwapReview();
    const folder = join(at.home, 'backups', 'shop');
    renameSync(folder, `${folder}.away`);
    writeFileSync(folder, 'in the way');
    const view = await at.send(asked.runId, 'swap').finally(() => {
      rmSync(folder);
      renameSync(`${folder}.away`, folder);
    });
    expect([view.state, view.status]).toEqual(['swapReview', 'waiting']);
    expect(view.error?.code).toBeDefined();
    expect(stage.dockerCalls().slice(calls)).toEqual(['stop kong', 'start kong']);
    await expectUntouched(before);
    // Once the reason is gone, the same copy is put in place.
    const done = await at.send(asked.runId, 'swap');
    expect([done.state, done.error]).toEqual(['done', undefined]);
    expect(await emails(database)).toEqual(['early@example.com']);
    await takeBack(at, asked.runId, 0);
    await expectUntouched(before);
  },
  120_000,
);

test.skipIf(why)(
  'a copy that somebody wrote into after its proof is not put in place',
  async () => {
    const { server, at, database } = stage;
    const before = dumpText(server, database);
    const asked = await toSwapReview();
    const { into } = asked.details['plan'] as { into: string };
    await server.sql("update auth.users set email = 'meddled@example.com'", into);
    const view = await at.send(asked.runId, 'swap');
    expect([view.state, view.error?.code]).toEqual(['swapReview', 'RESTORE_DIFFERS']);
    await expectUntouched(before);
    await takeBack(at, asked.runId, 0);
    expect(await databasesOf(server, 'capstan_sandbox')).toEqual([database]);
  },
  120_000,
);

test.skipIf(why)(
  'a gateway that Docker does not stop is no closed gateway: nobody is cut off',
  async () => {
    const { server, at, database } = stage;
    const before = dumpText(server, database);
    const asked = await toSwapReview();
    const service = new pg.Client({ connectionString: server.url(database) });
    await service.connect();
    stage.sandbox.setFaults(['no-docker@docker.stopContainer']);
    const view = await at.send(asked.runId, 'swap');
    expect([view.state, view.error?.code]).toEqual(['swapReview', 'GATEWAY_NOT_SWITCHED']);
    expect((await service.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await service.end();
    await expectUntouched(before);
    await takeBack(at, asked.runId, 0);
  },
  120_000,
);

test.skipIf(why)(
  'where only the address is known the plan says that no gateway can be closed, and the database refuses by itself',
  async () => {
    const { server, at, database } = stage;
    await at.addTarget('address', server.url(database));
    const calls = stage.dockerCalls().length;
    const asked = await at.run('restore', { backup, target: 'address', database, mode: 'replace' });
    expect(asked.warnings.map(({ code }) => code)).toContain('GATEWAY_STAYS_OPEN');
    expect((await at.send(asked.runId, 'approve')).state).toBe('swapReview');
    const view = await at.send(asked.runId, 'swap');
    expect([view.state, (view.output as InPlace).gateway]).toEqual(['done', 'none']);
    expect(stage.dockerCalls().slice(calls)).toEqual([]);
    await takeBack(at, asked.runId, 0);
    expect(await emails(database)).toEqual(both);
  },
  120_000,
);

test.skipIf(why)('a database that is not there cannot be replaced', async () => {
  await stage.at.addTarget('elsewhere', stage.server.url());
  await stage.server.sql(`alter database ${stage.database} rename to away`);
  const asked = await stage.at.run('restore', { backup, target: 'elsewhere', database: stage.database, mode: 'replace' });
  await stage.server.sql(`alter database away rename to ${stage.database}`);
  expect(asked.error?.code).toBe('NOTHING_TO_REPLACE');
});
